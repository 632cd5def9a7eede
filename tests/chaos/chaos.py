"""chaos.py -- kill -9 under load, and what the clients notice of it

Clients (bench/load.c) exchange numbered messages, one under way per pair; meanwhile processes
are killed at random instants. load counts what is lost, comes twice or never comes back, and
ends with an error when a connection is lost.

By hand, against servers that it starts itself:

    STANZAD_BUILD=build /usr/bin/python3 tests/chaos/chaos.py [ROLES [KILLS [SECONDS BETWEEN]]]
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.server import BUILD, Server  # noqa: E402

CLIENTS, ACCOUNTS = 60, 10
ROLES = ("worker", "router", "keeper", "auth", "sql", "admin", "holder", "master")


class Load:
    """The load generator, from its start to its line of JSON."""

    def __init__(self, port, tls, seconds, domain):
        self.seconds = seconds
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "bench", "load"), "-p", str(port), "-t", tls, "-d", domain,
             "-n", str(CLIENTS), "-a", str(ACCOUNTS), "-s", str(seconds), "chat"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if line.startswith("start"):
                return
        raise AssertionError("load did not begin")

    def result(self):
        out, _ = self.process.communicate(timeout=self.seconds + 60)
        assert self.process.returncode == 0, out
        return json.loads(out.strip().splitlines()[-1])


def kill_master(server, others, rng):
    """
    Kills the master, in every other case also somebody who then waits for its successor,
    and starts another master. How many were killed.
    """
    server.kill_master()
    victims = rng.sample(others, min(len(others), rng.randrange(2)))
    for p in victims:
        os.kill(p["pid"], signal.SIGKILL)
    time.sleep(rng.random() / 4)
    server.start(ready=False)
    return 1 + len(victims)


def kill_one(server, roles, rng):
    """Kills a random process of these roles. How many were killed; none may be there."""
    there = [p for p in server.processes() if p["role"] in roles and p["pid"]]
    if not there:
        return 0
    victim = rng.choice(there)
    if victim["role"] == "master":
        return kill_master(server, [p for p in there if p is not victim], rng)
    try:
        os.kill(victim["pid"], signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def run(server, roles=ROLES, kills=15, pause=0.8, tls="starttls", seed=None):
    """Kills under load; load's counts with the number of kills that hit."""
    rng = random.Random(seed)
    load = Load(server.port_tls if tls == "direct" else server.port, tls,
                int(kills * pause) + 3, server.hosts[0])
    hits = 0
    for _ in range(kills):
        time.sleep(pause)  # the rhythm of the attack, not a wait for something
        try:
            hits += kill_one(server, roles, rng)
        except (AssertionError, ValueError):
            pass  # the admin process is being replaced
    result = dict(load.result(), kills=hits)
    server.wait_ready()
    return result


def prepare(server):
    for i in range(ACCOUNTS):
        server.ctl("register", f"bench{i}", server.hosts[0], "bench")


def main():
    roles = tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else ROLES
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    pause = float(sys.argv[3]) if len(sys.argv) > 3 else 0.5
    bad = 0
    with tempfile.TemporaryDirectory(prefix="stanzad-chaos-") as top:
        os.chmod(top, 0o755)
        server = Server(top, config={"loglevel": "info"})
        server.start()
        prepare(server)
        for tls in ("none", "starttls"):
            result = run(server, roles, kills, pause, tls)
            print(tls, json.dumps(result), flush=True)
            bad += result["lost"] + result["repeated"] + result["stalled_pairs"]
        server.stop()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
