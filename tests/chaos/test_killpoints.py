"""Every point of base/killpoint.def: a process dies there, under load, and no client notices.

One server and one crowd for all points. At each point the process must die by its own
hand, exactly once; then all are there again, the crowd settles, and the books are right:
no connection, no session and no message is lost, none comes twice or too late, everybody
sees everybody as he is, and the contact lists are what was asked for.
"""
import os
import signal

import pytest

import crowd
from harness import killpoints, wait

CLIENTS, TLS, VISITORS, RATE, PACE = 24, 16, 4, 150, 8
# KILLPOINT_N=7: the 7th time, too, of those that come often.
NTH = [1] + [int(n) for n in os.environ.get("KILLPOINT_N", "").split(",") if n]

CASES = [pytest.param(p, role, n, id=f"{p.name}-{role}" + (f"@{n}" if n > 1 else ""))
         for p in killpoints.POINTS if p.when not in ("START", "STOP", "CALL", "ROLL", "SAVED", "GONE")
         for role in p.roles
         for n in (NTH if p.when == "LOAD" else [1])]


class World:
    def __init__(self, server, page):
        self.server, self.page = server, page
        server.start(env=page.environment())
        self.crowd = crowd.Crowd(server, CLIENTS, TLS, VISITORS, RATE, PACE)
        self.names = set(crowd.processes(server))
        self.n_workers_killed = 0

    def start_master(self):
        self.server.start(ready=False, env=self.page.environment())

    def pid(self, name):
        return wait.until(lambda: crowd.processes(self.server).get(name), f"{name} to be there")

    def kill(self, role):
        """The workers in turn: who dies too often is started later."""
        names = sorted(n for n in self.names if crowd.role_of(n) == role)
        self.n_workers_killed += 1
        os.kill(self.pid(names[self.n_workers_killed % len(names)]), signal.SIGKILL)

    def all_there(self):
        return set(crowd.processes(self.server)) == self.names and \
            self.server.ctl_status("status")[0] == 0

    def wait_traffic(self):
        """Messages of this very moment, and more than those that were under way."""
        before = self.crowd.books()["messages"]
        wait.until(lambda: self.crowd.books()["messages"] > before + 100, "messages")


@pytest.fixture(scope="module")
def world(top):
    path = os.path.join(top, "killpoints")
    os.mkdir(path)
    server = crowd.make_server(path)
    if not server.can_kill_at_points():
        pytest.skip("a build without kill points (SAN=... and KILLPOINTS=1 have them)")
    w = World(server, killpoints.Page(os.path.join(path, "page")))
    try:
        yield w
        w.crowd.end()
        server.stop()
    finally:
        w.crowd.process.kill()
        server.kill()


def bring_about(world, point, role):
    """What makes a process come to the point, if the load alone does not."""
    server = world.server
    if point.name == "tx:undoing":
        world.page.arm("tx:stored", "worker", 30)  # in the middle of a transaction
    elif point.when == "KILLED":
        world.kill(role)
    elif point.when == "TAKEN":
        world.kill("worker")
    elif point.when == "SPAWN":
        world.kill("admin")
    elif point.when == "RELOAD":
        server.process.send_signal(signal.SIGHUP)
    elif point.when == "ADOPT":
        server.kill_master()
        world.start_master()
    elif role == "admin":
        server.spawn_ctl("status").wait(wait.PATIENCE)


@pytest.mark.parametrize("point, role, n", CASES)
def test_nobody_notices(world, point, role, n):
    world.crowd.go()
    world.wait_traffic()
    before = world.page.killed(point.name)[0]
    world.page.arm(point.name, role, n)
    bring_about(world, point, role)
    wait.until(lambda: world.page.killed(point.name)[0] > before, f"somebody to die at {point.name}")
    if role == "master":
        world.server.wait_master()
        world.start_master()
    wait.until(world.all_there, "all to be there again", 2 * wait.PATIENCE)
    world.wait_traffic()
    world.crowd.check(world.crowd.settle())
    assert world.page.killed(point.name)[0] == before + 1


def test_nothing_is_left_over(world):
    """The keepers hold the clients' sockets and no others, and no job goes on for ever"""
    def kept_is_open():
        count = crowd.counters(world.server)
        return all(count[f"keeper {slot}"]["kept"] == count[f"worker {slot}"]["connections"]
                   for slot in range(2))

    wait.until(kept_is_open, "as many sockets kept as are open")
    wait.until(lambda: world.server.counter("jobs") == 0, "the last job to end")
