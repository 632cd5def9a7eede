"""chaos.py -- kill -9 under load, and what the clients notice of it

    STANZAD_BUILD=build/killpoints /usr/bin/python3 -B tests/chaos/chaos.py
        [--minutes M | --kills N] [--tls 500] [--plain 200] [--rate R] [--pause S]
        [--roles worker,router,…] [--stored] [--seed S]

`make chaos MINUTES=30` and `make chaos KILLS=1000` run it. It starts a server of its own and the
crowd (crowd.c), kills until enough has been killed, lets everything settle, and prints a report.
The exit code is 1 when a client noticed anything or something was left over.
"""
import argparse
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import crowd  # noqa: E402
from harness import killpoints, wait  # noqa: E402
from killer import ROLES, Killer  # noqa: E402

WINDOW_S = 3.0  # a disturbance is looked for so long after a kill, or until the next one
SLOT_BYTES = 48 << 10  # of a worker that has no client: what it reads into
SLOT_PATIENCE_S = 90  # what passes on stanzas of moved sessions ends after a minute


def run(world, killer, kills, pause):
    """Kills so many, in this rhythm."""
    until = killer.total() + kills
    world.go()
    while killer.total() < until:
        time.sleep(pause * (0.5 + killer.rng.random()))  # the rhythm of the attack
        killer.incident()


def disturbances(killer, path):
    """Of each incident: milliseconds of the longest gap and of the longest delay."""
    times = []
    with open(path) as f:
        for line in f:
            if line.startswith("t "):
                at, gap, latency = map(int, line.split()[1:])
                times.append((at / 1e6, gap / 1e3, latency / 1e3))
    found = []
    starts = [i[0] for i in killer.incidents]
    for n, (when, what, names) in enumerate(killer.incidents):
        end = min(when + WINDOW_S, starts[n + 1] if n + 1 < len(starts) else when + WINDOW_S)
        inside = [t for t in times if when - 0.01 <= t[0] < end]
        found.append((what, names, max((t[1] for t in inside), default=0),
                      max((t[2] for t in inside), default=0)))
    return found


def archives_wrong(server, path):
    """Messages that an archive lacks or has twice; (how many there must be, lacking, twice)"""
    talks = {}
    with open(path) as f:
        for line in f:
            if line.startswith("m "):
                talk, a, b, a_keeps, b_keeps, n = line.split()[1:]
                for user, keeps in ((a, a_keeps), (b, b_keeps)):
                    if int(keeps):
                        talks[user, int(talk)] = int(n)
    names = [os.path.join(d, n) for d, _, files in os.walk(server.dir) for n in files
             if n.endswith((".db", ".sqlite"))]
    found = {}
    for name in names:
        db = sqlite3.connect(name)
        try:
            for user, text in db.execute("select username, txt from archive"):
                talk, number = text.split()[:2]
                found.setdefault((user, int(talk)), []).append(int(number))
        finally:
            db.close()
    lacking = twice = 0
    for key, n in talks.items():
        numbers = found.get(key, [])
        lacking += len(set(range(1, n + 1)) - set(numbers))
        twice += len(numbers) - len(set(numbers))
    return sum(talks.values()), lacking, twice


class Holdings:
    """What processes have beyond what their clients need."""

    def __init__(self, server):
        count = crowd.counters(server)
        self.descriptors, self.memory = {}, {}
        for name, pid in crowd.processes(server).items():
            own = count[name].get("connections" if crowd.role_of(name) == "worker" else "kept", 0) \
                if crowd.role_of(name) in ("worker", "keeper") else 0
            self.descriptors[name] = crowd.n_descriptors(pid) - own
            with open(f"/proc/{pid}/statm") as f:
                pages = [int(n) for n in f.read().split()]
            self.memory[name] = (pages[1] - pages[2]) * os.sysconf("SC_PAGE_SIZE")
        self.kept = {n: count[n]["kept"] for n in count if crowd.role_of(n) == "keeper"}
        self.open = {n.replace("worker", "keeper"): count[n]["connections"]
                     for n in count if crowd.role_of(n) == "worker"}
        self.slot_bytes = sum(c.get("slot_bytes", 0) for c in count.values())
        self.jobs = sum(c.get("jobs", 0) for c in count.values())


def settled_holdings(server):
    """Counters are brought up to date once a second."""
    def quiet():
        h = Holdings(server)
        return h.kept == h.open and h.jobs == 0 and h

    try:
        return wait.until(quiet, "kept sockets to be those that are open", wait.PATIENCE, pause=0.3)
    except AssertionError:
        return Holdings(server)


def leaks(before, after, slot_bytes):
    found = []
    for name, n in sorted(after.descriptors.items()):
        if n > before.descriptors.get(name, 0) + 3:
            found.append(f"{name} has {n} descriptors beside its clients', {before.descriptors.get(name)} before")
    if after.kept != after.open:
        found.append(f"keepers hold {after.kept}, open are {after.open}")
    if after.jobs:
        found.append(f"{after.jobs} jobs do not end")
    if slot_bytes:
        found.append(f"{slot_bytes} bytes of the slots are in use though no client is there")
    return found


def say_times(title, rows):
    if rows:
        gaps, delays = sorted(r[2] for r in rows), sorted(r[3] for r in rows)

        def three(v):
            return f"{statistics.median(v):7.0f} {v[int(len(v) * 0.95)]:7.0f} {v[-1]:7.0f}"
        print(f"  {title:24} {len(rows):5}   {three(gaps)}   {three(delays)}")


def report(killer, books, times, archive, before, after, found, seconds):
    print(f"\n{killer.total()} kills in {len(killer.incidents)} incidents, {seconds:.0f} s: "
          + ", ".join(f"{r} {n}" for r, n in sorted(killer.kills.items())))
    print(f"{sum(killer.points.values())} of them at {len(killer.points)} kill points")
    print(f"{books['messages']} messages ({books['messages'] / seconds:.0f}/s), {books['presences']} presences, "
          f"{books['names']} roster changes, {books['logins']} logins, {books['resumed']} resumptions; "
          f"{books['logins_failed']} logins had to be tried again")
    print("\n  disturbance, ms           number   gap: median   95 %     max   delay: median   95 %     max")
    say_times("all", times)
    for what in ("one", "point", "again", "several"):
        say_times(what, [t for t in times if t[0] == what])
    for role in ROLES:
        say_times(f"one {role}", [t for t in times if t[0] in ("one", "point") and crowd.role_of(t[1][0]) == role])
    print()
    for key in crowd.WRONG:
        print(f"  {key.replace('_', ' '):24} {books[key]}")
    print(f"  {'archived':24} {archive[0]}, lacking {archive[1]}, twice {archive[2]}")
    print(f"  {'descriptors':24} {sum(before.descriptors.values())} before, {sum(after.descriptors.values())} after")
    print(f"  {'private memory, KiB':24} {sum(before.memory.values()) >> 10} before, "
          f"{sum(after.memory.values()) >> 10} after")
    for line in found:
        print(f"  left over: {line}")


def arguments():
    a = argparse.ArgumentParser()
    a.add_argument("--minutes", type=float)
    a.add_argument("--kills", type=int)
    a.add_argument("--tls", type=int, default=500)
    a.add_argument("--plain", type=int, default=200)
    a.add_argument("--visitors", type=int, default=8)
    a.add_argument("--stored", action="store_true", help="visitors are written to, also while they are away")
    a.add_argument("--rate", type=float, default=400)
    a.add_argument("--pause", type=float, default=0.7)
    a.add_argument("--roles", default=",".join(ROLES))
    a.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    a.add_argument("--keep", action="store_true", help="the server's folder")
    return a.parse_args()


def wait_empty(server):
    """Bytes that the slots still hold when their clients have gone."""
    end = time.monotonic() + SLOT_PATIENCE_S
    while True:
        h = Holdings(server)
        n = max(0, h.slot_bytes - SLOT_BYTES * len(h.open))
        if not n or time.monotonic() > end:
            return n
        time.sleep(1)


def attack(server, page, opt, top):
    killer = Killer(server, tuple(opt.roles.split(",")), opt.seed, page)
    world = crowd.Crowd(server, opt.tls + opt.plain, opt.tls, opt.visitors, opt.rate, 1, opt.seed,
                        opt.stored)
    names = set(crowd.processes(server))
    world.go()
    time.sleep(5)  # what fills up only once is full
    world.check(world.settle())
    before = settled_holdings(server)
    began = time.monotonic()
    end = began + opt.minutes * 60 if opt.minutes else float("inf")
    kills = opt.kills or (1000 if not opt.minutes else 1 << 30)
    while killer.total() < kills and time.monotonic() < end:
        run(world, killer, min(50, kills - killer.total()), opt.pause)
        print(f"{time.monotonic() - began:5.0f} s, {killer.total()} kills, "
              f"{len(world.violations)} violations", flush=True)
    seconds = time.monotonic() - began
    killer.wait_all(names)
    books = world.settle()
    after = settled_holdings(server)
    path = os.path.join(top, "times")
    world.ask(f"write {path}")
    for line in world.violations[:100]:
        print(line)
    world.end()
    slot_bytes = wait_empty(server)
    server.stop()
    archive = archives_wrong(server, path)
    found = leaks(before, after, slot_bytes)
    report(killer, books, disturbances(killer, path), archive, before, after, found, seconds)
    return any(books[k] for k in crowd.WRONG) or archive[1] or archive[2] or bool(found)


def main():
    opt = arguments()
    top = tempfile.mkdtemp(prefix="stanzad-chaos-")
    os.chmod(top, 0o755)
    server = crowd.make_server(top)
    page = killpoints.Page(os.path.join(top, "page")) if server.can_kill_at_points() else None
    print(f"seed {opt.seed}, {opt.tls} clients with TLS 1.3, {opt.plain} without, {opt.visitors} visitors"
          + ("" if page else "; a build without kill points"), flush=True)
    bad = True
    try:
        server.start(env=page.environment() if page else {})
        bad = attack(server, page, opt, top)
    finally:
        server.kill()
        if opt.keep or bad:
            print("kept:", top)
        else:
            shutil.rmtree(top, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
