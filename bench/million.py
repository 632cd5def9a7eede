#!/usr/bin/python3
"""
million.py -- very many idle TLS 1.3 sessions on one machine, each of which answers afterwards

    bench/million.py [SESSIONS]        1,000,000 unless said otherwise

Every session has an account of its own, has asked for its roster and is available. Both ends
are on this machine: beside the server's memory, the kernel needs about 8 kB for the two
sockets of a session and the generator 1 kB. A process has a limit of descriptors, so there are
as many workers (with their keepers) and generator processes as it takes. Afterwards every
client sends a message to its partner and gets one: then all is well, and only then.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import compare
import servers

FREE = 1 / 4  # of a worker's descriptors: connections are not spread quite evenly


def available():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("MemAvailable"))


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sessions", type=int, nargs="?", default=1000000)
    n = p.parse_args().sessions
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    workers = max(2, int(n / (files * (1 - FREE))) + 1)
    generators = max(1, int(n / (files - 500)) + 1)
    print(f"{n:,} sessions, {workers} workers, {generators} generator processes, "
          f"{files:,} descriptors each, {available() / 2**30:.1f} GiB available", flush=True)
    with tempfile.TemporaryDirectory(prefix="stanzad-million-") as top:
        os.chmod(top, 0o755)
        compare.certificate(f"{top}/cert.pem")
        server = servers.Stanzad(top, workers=workers)
        try:
            began = time.monotonic()
            server.fill(n, 0)
            server.start()
            print(f"{time.monotonic() - began:.0f} s: accounts are made", flush=True)
            return measure(server, n, generators)
        finally:
            server.stop()


def measure(server, n, generators):
    began = time.monotonic()
    load = subprocess.Popen(
        [compare.LOAD, "-P", str(server.pid), "-p", str(server.port_tls), "-t", "direct", "-D",
         "-n", str(n), "-a", str(n), "-j", str(generators), "-w", "10", "-s", "10", "-c", "idle"],
        stdout=subprocess.PIPE, text=True)
    for line in load.stdout:
        if line == "ready\n":
            took = time.monotonic() - began
            print(f"all are online after {took:.0f} s, {n / took:.0f} log-ins a second", flush=True)
        elif line == "start\n":
            print(f"{available() / 2**30:.1f} GiB available", flush=True)
        elif line.startswith("{"):
            found = json.loads(line)
    if load.wait() != 0:
        print("the generator failed", file=sys.stderr)
        return 1
    print(f"server: {found['pss_per_client']} bytes per session, {found['pss'] / 2**30:.2f} GiB; "
          f"{found['cpu_percent']} % of a core while all are idle")
    print(f"of {n:,} clients {found['stalled_pairs']} did not get their message, "
          f"{found['lost']} lost, {found['repeated']} twice")
    return 1 if found["stalled_pairs"] or found["lost"] or found["repeated"] else 0


if __name__ == "__main__":
    sys.exit(main())
