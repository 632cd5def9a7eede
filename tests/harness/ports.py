"""ports.py -- TCP ports that nobody uses

Below the range that the kernel gives to outgoing connections, and different between test
runs side by side: SO_REUSEPORT would let two servers share a port without an error.
"""
import os
import socket

# pytest-xdist's processes: gw0, gw1 ...
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_next = 12000 + (os.getpid() * 37 + _WORKER * 4001) % 18000


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


HAS_IPV6 = has_ipv6()


def _is_free(port):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        if family == socket.AF_INET6 and not HAS_IPV6:
            continue
        with socket.socket(family) as s:
            try:
                s.bind((address, port))
            except OSError:
                return False
    return True


def free():
    global _next
    while True:
        _next = 12000 + (_next - 12000 + 1) % 18000
        if _is_free(_next):
            return _next
