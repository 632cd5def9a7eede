"""Nobody is disconnected, nothing is lost and nothing comes twice when processes are killed.

DESIGN.md, "Surviving kill -9". A minute of chaos.py, with the sanitizers on.
"""
import os

import pytest

import chaos
import crowd
from harness import killpoints
from killer import ROLES, Killer


@pytest.fixture(scope="module")
def world(top):
    path = os.path.join(top, "chaos")
    os.mkdir(path)
    server = crowd.make_server(path)
    page = killpoints.Page(os.path.join(path, "page")) if server.can_kill_at_points() else None
    try:
        server.start(env=page.environment() if page else {})
        c = crowd.Crowd(server, 24, 16, 3, rate=150, pace=4, to_visitors=True)
        c.page, c.names = page, set(crowd.processes(server))
        yield c
        c.end()
        server.stop()
    finally:
        server.kill()


@pytest.mark.parametrize("roles, kills, seed", [
    (("worker",), 10, 1), (("worker", "keeper", "router", "sql", "auth"), 15, 2), (("master", "holder"), 5, 3),
    (ROLES, 15, 4)], ids=["workers", "servants", "masters", "all"])
def test_killed_processes_are_not_noticed(world, roles, kills, seed):
    killer = Killer(world.server, roles, seed, world.page)
    chaos.run(world, killer, kills, pause=0.7)
    killer.wait_all(world.names)
    world.check(world.settle())
    assert killer.total() >= kills


def test_nothing_is_left_over(world):
    after = chaos.settled_holdings(world.server)
    assert after.kept == after.open and after.jobs == 0
