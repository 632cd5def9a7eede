"""Nobody is disconnected, nothing is lost and nothing comes twice when processes are killed.

DESIGN.md, "Surviving kill -9". A short run of chaos.py, with the sanitizers on.
"""
import pytest

import chaos


@pytest.fixture(scope="module")
def chaos_server(session_maker):
    server = session_maker(config={"loglevel": "info"})
    chaos.prepare(server)
    return server


@pytest.mark.parametrize("tls", ["none", "starttls", "direct"])
def test_killed_workers_are_not_noticed(chaos_server, tls):
    result = chaos.run(chaos_server, ("worker",), kills=6, pause=1.0, tls=tls, seed=1)
    assert result["kills"] >= 3
    assert (result["lost"], result["repeated"], result["stalled_pairs"]) == (0, 0, 0), result
    assert result["messages"] > 100


def test_any_killed_process_is_not_noticed(chaos_server):
    result = chaos.run(chaos_server, chaos.ROLES, kills=12, pause=1.0, seed=2)
    assert result["kills"] >= 6
    assert (result["lost"], result["repeated"], result["stalled_pairs"]) == (0, 0, 0), result


def test_killed_masters_are_not_noticed(chaos_server):
    result = chaos.run(chaos_server, ("master",), kills=5, pause=1.2, seed=3)
    assert result["kills"] >= 3
    assert (result["lost"], result["repeated"], result["stalled_pairs"]) == (0, 0, 0), result
    assert result["messages"] > 100
