"""crowd.py -- a server and the crowd that uses it (tests/chaos/crowd.c)

Who is killed is found in /proc, not asked for: the admin process may be dead. What the
crowd says of violations is collected from its output, as it comes.
"""
import collections
import json
import os
import re
import subprocess
import threading

from harness import wait
from harness.server import BUILD, ROOT, Server

DOMAIN = "example.net"
MODULES = {
    "mod_ping": {}, "mod_offline": {}, "mod_stream_mgmt": {"resume_timeout": 300},
    "mod_roster": {"versioning": True, "store_current_id": True},
    "mod_mam": {"default": "never"},
}
CONFIG = {"loglevel": "info", "modules": MODULES, "hosts": [DOMAIN]}

# What a run must not have any of, and what of it makes a report.
WRONG = ("connections_lost", "sessions_lost", "lost", "acked_lost", "repeated", "late", "bounced",
         "presence_wrong", "presence_back", "roster_wrong", "push_repeated", "never_online")


class Crowd:
    """clients of the server; -n of them, -t with TLS, and visitors."""

    def __init__(self, server, clients, tls, visitors=2, rate=200, pace=1, seed=1, to_visitors=False):
        self.server, self.n = server, clients
        self.violations = []
        self.checked, self.n_checked = {}, 0
        self.answers = collections.deque()
        self.came = threading.Condition()
        self.ended = False
        for i in range(clients):
            server.ctl("register", f"bench{i}", DOMAIN, "bench")
        for i in range(visitors):
            server.ctl("register", f"visitor{i}", DOMAIN, "bench")
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "chaos", "crowd"), "-p", str(server.port), "-P", str(server.port_tls),
             "-d", DOMAIN, "-n", str(clients), "-t", str(tls), "-v", str(visitors), "-r", str(rate),
             "-x", str(pace), "-s", str(seed)] + ["-o"] * to_visitors,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.answer(240)

    def read(self):
        for line in self.process.stdout:
            with self.came:
                if line.startswith("violation "):
                    self.violations.append(line.rstrip())
                else:
                    self.answers.append(line.rstrip())
                self.came.notify_all()
        with self.came:
            self.ended = True
            self.came.notify_all()

    def answer(self, timeout):
        with self.came:
            assert self.came.wait_for(lambda: self.answers or self.ended, timeout), "the crowd is silent"
            assert self.answers, f"the crowd has ended: {self.process.wait(10)} {self.violations[-5:]}"
            text = self.answers.popleft()
        assert text == "ready" or text.startswith("{"), "\n".join([text, *self.answers, *self.violations[-5:]])
        return json.loads(text) if text.startswith("{") else text

    def ask(self, command, timeout=2 * wait.PATIENCE):
        try:
            self.process.stdin.write(command + "\n")
        except BrokenPipeError:
            pass  # answer() says why
        return self.answer(timeout)

    def go(self):
        return self.ask("go")

    def books(self):
        return self.ask("books")

    def settle(self):
        """Nobody says anything more; what has not come by now is counted as lost."""
        return self.ask("settle", 60 + 2 * wait.PATIENCE)

    def check(self, books):
        """Nothing went wrong since the last check."""
        wrong = {k: books[k] - self.checked.get(k, 0) for k in WRONG if books[k] > self.checked.get(k, 0)}
        told = self.violations[self.n_checked:]
        self.checked, self.n_checked = books, len(self.violations)
        assert not wrong, f"{wrong}\n" + "\n".join(told[:20])

    def end(self):
        if self.process.poll() is None:
            try:
                self.ask("quit")
                self.process.wait(wait.PATIENCE)
            finally:
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()


def processes(server):
    """Name -> pid of all that are alive now: "master", "worker 0", "keeper 1" …"""
    found = {}
    for pid in server.pids_left():
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                title = f.read().split("\0")[0]
        except OSError:
            continue
        name = title.partition(": ")[2]
        if name:
            found[name] = pid
    if server.process is not None and server.process.poll() is None:
        found["master"] = server.process.pid
    return found


def role_of(name):
    return name.split()[0]


def slot_of(name):
    return int(re.search(r"\d+$", name)[0]) if name[-1].isdigit() else 0


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def counters(server):
    """Name of a process -> name of a counter -> value."""
    found = collections.defaultdict(dict)
    for c in json.loads(server.ctl("counters", "--json")):
        many = c["role"] in ("worker", "keeper", "holder")
        found[f"{c['role']} {c['slot']}" if many else c["role"]][c["counter"]] = c["value"]
    return found


def make_server(top, database="sqlite", cluster=None, workers=2):
    return Server(top, config=CONFIG, hosts=(DOMAIN,), workers=workers, database=database, cluster=cluster)


__all__ = ["Crowd", "processes", "role_of", "slot_of", "n_descriptors", "counters", "make_server", "WRONG", "ROOT"]
