"""killer.py -- kill -9, at random instants and at kill points

Two things cannot be survived, as two processes hold what a third one needs: a worker and its
keeper at once (the sockets of its clients), and the master and both holders at once (the way
to everybody). After one of them was killed the other is spared until it has what it needs again.
"""
import os
import random
import signal
import time

import crowd
from harness import killpoints, wait

ROLES = ("worker", "router", "keeper", "auth", "sql", "admin", "holder", "master")
SPARE_S = 1.0  # so soon a keeper, or a holder, has been told everything again
HIT_S = 3.0    # the load comes to most kill points sooner


class Killer:
    def __init__(self, server, roles=ROLES, seed=None, page=None):
        self.server, self.roles, self.page = server, roles, page
        self.rng = random.Random(seed)
        self.died = {}   # name -> when
        self.kills = {}  # role -> how many
        self.incidents = []  # (when, what, names)
        self.points = {}  # name of a point -> how many

    def environment(self):
        return self.page.environment() if self.page else {}

    def is_spared(self, name, others=()):
        """Would its death, with these and what died just now, take the last copy of something?"""
        now, kind, slot = time.monotonic(), crowd.role_of(name), crowd.slot_of(name)

        def recently(who):
            return who in others or now - self.died.get(who, 0) < SPARE_S

        if kind in ("worker", "keeper"):
            return recently(f"{'keeper' if kind == 'worker' else 'worker'} {slot}")
        if kind in ("master", "holder"):
            return any(recently(who) for who in ("master", "holder 0", "holder 1") if who != name)
        return False

    def candidates(self, others=()):
        there = crowd.processes(self.server)
        return {n: pid for n, pid in there.items()
                if crowd.role_of(n) in self.roles and not self.is_spared(n, others)}

    def choose(self, others=()):
        """A name, every role as likely as the others; None: nobody may be killed now."""
        there = self.candidates(others)
        roles = sorted({crowd.role_of(n) for n in there})
        if not roles:
            return None, 0
        role = self.rng.choice(roles)
        name = self.rng.choice(sorted(n for n in there if crowd.role_of(n) == role))
        return name, there[name]

    def count(self, name):
        self.died[name] = time.monotonic()
        role = crowd.role_of(name)
        self.kills[role] = self.kills.get(role, 0) + 1

    def kill(self, name, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.count(name)
        return True

    def restart_master(self):
        """As a service manager would."""
        self.server.wait_master()
        time.sleep(self.rng.random() / 4)
        self.died["master"] = time.monotonic()
        self.server.start(ready=False, env=self.environment())

    def note(self, when, what, names):
        self.incidents.append((when, what, tuple(names)))

    def total(self):
        return sum(self.kills.values())

    # What may happen

    def one(self):
        name, pid = self.choose()
        when = time.monotonic()
        if name and self.kill(name, pid):
            self.note(when, "one", [name])
            if name == "master":
                self.restart_master()

    def several(self):
        victims = {}
        for _ in range(self.rng.randrange(2, 5)):
            name, pid = self.choose(victims)
            if name and name not in victims:
                victims[name] = pid
        when = time.monotonic()
        hit = [n for n, pid in victims.items() if self.kill(n, pid)]
        if hit:
            self.note(when, "several", hit)
        if "master" in hit:
            self.restart_master()

    def again(self):
        """The same once more, before it has recovered."""
        name, pid = self.choose()
        when, hit = time.monotonic(), []
        for _ in range(self.rng.randrange(2, 4)):
            if not name or name == "master" or not self.kill(name, pid):
                break
            hit.append(name)
            before, end = pid, time.monotonic() + 2
            while time.monotonic() < end:
                pid = crowd.processes(self.server).get(name, before)
                if pid != before:
                    break
            else:
                break
            time.sleep(self.rng.random() * 0.03)
        if hit:
            self.note(when, "again", hit)
        elif name == "master":
            self.one()

    def at_point(self):
        """Somewhere inside; n: the nth time that somebody comes there."""
        point = self.rng.choice([p for p in killpoints.POINTS if p.when == "LOAD"])
        role = self.rng.choice(point.roles)
        slots = [n for n in crowd.processes(self.server) if crowd.role_of(n) == role]
        if role not in self.roles or any(self.is_spared(n) for n in slots):
            return self.one()
        before = self.page.killed(point.name)[0]
        names = {pid: n for n, pid in crowd.processes(self.server).items()}
        self.page.arm(point.name, role, self.rng.choice((1, 1, 2, 5, 20, 100)))
        end = time.monotonic() + HIT_S
        while self.page.killed(point.name)[0] == before and time.monotonic() < end:
            time.sleep(0.002)
        when = time.monotonic()
        self.page.disarm(point.name)
        n, pid = self.page.killed(point.name)
        if n == before:
            return self.one()
        name = names.get(pid, slots[0] if slots else role)
        self.count(name)
        self.points[point.name] = self.points.get(point.name, 0) + 1
        self.note(when - 0.002, "point", [name])
        return None

    def incident(self):
        kinds = [self.one] * 10 + [self.several] * 3 + [self.again] * 2 + \
            ([self.at_point] * 5 if self.page else [])
        self.rng.choice(kinds)()

    def wait_all(self, names):
        wait.until(lambda: set(crowd.processes(self.server)) == set(names) and
                   self.server.ctl_status("status")[0] == 0, "all to be there again", 3 * wait.PATIENCE)
