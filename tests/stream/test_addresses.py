"""c2s_connections_per_ip: over all workers, also after they died; behind a balancer, too"""
import os
import signal
import socket

import pytest

from harness import ports, wait

HEADER = ("<stream:stream xmlns='jabber:client' to='example.net' version='1.0' "
          "xmlns:stream='http://etherx.jabber.org/streams'>").encode()


def enter(server, proxy=b"", address="127.0.0.1"):
    """A socket with an open stream; None: it was refused."""
    s = socket.create_connection((address, server.port), wait.PATIENCE)
    s.settimeout(wait.PATIENCE)
    seen = b""
    try:
        s.sendall(proxy + HEADER)
        while b"</stream:features>" not in seen:
            piece = s.recv(4096)
            if not piece:
                break
            seen += piece
    except ConnectionError:
        pass
    if b"</stream:features>" in seen:
        return s
    assert b"<stream:features" not in seen
    s.close()
    return None


def fill(server, limit, tries=20, **how):
    """As many as come in; more than the limit must not."""
    found = [s for s in (enter(server, **how) for _ in range(tries)) if s]
    assert len(found) == limit
    return found


def refusals(server):
    return [line for line in server.log().splitlines() if "refused: too many conn" in line]


def test_all_workers_count(make_server):
    """The kernel chooses the worker, so the limit must not depend on it"""
    server = make_server(workers=2, config={"c2s_connections_per_ip": 6})
    kept = fill(server, 6)
    slots = server.worker_connections()
    assert sum(slots.values()) == 6
    for _ in range(3):
        kept.pop().close()
    wait.until(lambda: sum(server.worker_connections().values()) == 3, "three to be gone")
    kept += fill(server, 3)
    assert server.counter("c2s_refused") == 14 + 17
    lines = refusals(server)
    assert 1 <= len(lines) <= 2, lines  # one for each worker
    assert all("from 127.0.0.1" in line for line in lines)
    for s in kept:
        s.close()


def test_workers_that_died_are_recounted(make_server):
    server = make_server(workers=2, config={"c2s_connections_per_ip": 4})
    kept = fill(server, 4)
    for slots in ([0], [1], [0, 1]):
        server.kill_workers(slots)
        assert fill(server, 0, tries=6) == []
        kept.pop().close()
        wait.until(lambda: sum(server.worker_connections().values()) == 3, "one to be gone")
        kept += fill(server, 1, tries=6)
    for s in kept:
        s.close()
    wait.until(lambda: sum(server.worker_connections().values()) == 0, "all to be gone")
    for s in fill(server, 4):
        s.close()


def test_a_client_that_left_while_its_worker_was_dead(make_server):
    """It is not counted for ever"""
    server = make_server(workers=1, config={"c2s_connections_per_ip": 2})
    for _ in range(2):
        kept = fill(server, 2, tries=3)
        pid = server.processes("worker")[0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        for s in kept:
            s.close()
        os.kill(pid, signal.SIGKILL)
        wait.until(lambda: server.processes("worker")[0]["pid"] not in (0, pid), "a successor")
        server.wait_ready()
        wait.until(lambda: sum(server.worker_connections().values()) == 0, "both to be gone")


def test_a_reload_changes_the_limit(make_server):
    server = make_server(workers=2)
    kept = fill(server, 5, tries=5)
    server.write_config(c2s_connections_per_ip=6)
    server.ctl("reload_config")
    kept += fill(server, 1, tries=5)
    server.write_config(c2s_connections_per_ip=8)
    server.ctl("reload_config")
    kept += fill(server, 2, tries=5)
    del server.config["c2s_connections_per_ip"]
    server.write_config()
    server.ctl("reload_config")
    kept += fill(server, 5, tries=5)
    for s in kept:
        s.close()


def test_a_master_that_died(make_server):
    """The table is handed on; the limit is the same with workers of the next master"""
    server = make_server(workers=2, config={"c2s_connections_per_ip": 3})
    kept = fill(server, 3, tries=6)
    server.kill_master()
    server.start()
    assert fill(server, 0, tries=4) == []
    server.kill_workers()
    assert fill(server, 0, tries=4) == []
    for s in kept:
        s.close()
    wait.until(lambda: sum(server.worker_connections().values()) == 0, "all to be gone")
    for s in fill(server, 3, tries=6):
        s.close()


def v1(address, family="TCP4"):
    return f"PROXY {family} {address} {address} 40000 5222\r\n".encode()


def test_behind_a_balancer(make_server):
    """The client's address counts, not the balancer's; of IPv6 its network"""
    server = make_server(workers=2, listen={"use_proxy_protocol": True},
                         config={"c2s_connections_per_ip": 2})
    kept = fill(server, 2, tries=6, proxy=v1("192.0.2.7"))
    kept += fill(server, 2, tries=6, proxy=v1("192.0.2.8"))
    kept += fill(server, 1, tries=1, proxy=v1("2001:db8:1:2::1", "TCP6"))
    kept += fill(server, 1, tries=6, proxy=v1("2001:db8:1:2:3::1", "TCP6"))
    kept += fill(server, 2, tries=6, proxy=v1("2001:db8:1:3::1", "TCP6"))
    server.kill_workers()
    for address, family in (("192.0.2.7", "TCP4"), ("2001:db8:1:2:9::9", "TCP6")):
        assert fill(server, 0, tries=4, proxy=v1(address, family)) == []
    text = "\n".join(refusals(server))
    for address in "192.0.2.7", "192.0.2.8", "2001:db8:1:2::/64", "2001:db8:1:3::/64":
        assert f"too many connections from {address} " in text
    for s in kept:
        s.close()


@pytest.mark.skipif(not ports.HAS_IPV6, reason="not here: no IPv6")
def test_both_families(make_server):
    server = make_server(workers=2, config={"c2s_connections_per_ip": 2})
    kept = fill(server, 2, tries=4) + fill(server, 2, tries=4, address="::1")
    for s in kept:
        s.close()


def test_sessions_that_wait_do_not_count(make_server):
    """XEP-0198: a session without its connection takes nobody's place"""
    server = make_server(workers=1, config={
        "c2s_connections_per_ip": 1, "modules": {"mod_ping": {}, "mod_stream_mgmt": {}}})
    for _ in range(3):
        juliet = server.stream("juliet").login()
        juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        juliet.next()
        juliet.abort()
        wait.until(lambda: sum(server.worker_connections().values()) == 0, "it to be gone")
    assert len(server.ctl_lines("connected_users")) == 3
    server.kill_workers()
    server.stream("romeo").login().ping()
