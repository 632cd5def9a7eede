"""The bench itself: figures are worth something only if what makes them is right."""
import json
import os
import subprocess

import pytest

from harness import ports, wait
from harness.server import BUILD

LOAD, FLOOR = (os.path.join(BUILD, "bench", name) for name in ("load", "floor"))
N = 6


@pytest.fixture(scope="module")
def crowd(session_maker):
    """A server with the accounts of the generator."""
    server = session_maker(config={"modules": {"mod_roster": {}, "mod_stream_mgmt": {}}})
    for i in range(N):
        server.ctl("register", f"bench{i}", server.hosts[0], "bench")
    return server


def load(*args, domain="localhost"):
    p = subprocess.run([LOAD, "-d", domain, "-n", str(N), "-a", str(N), *map(str, args)],
                       text=True, capture_output=True, timeout=3 * wait.PATIENCE)
    assert p.returncode == 0, p.stdout + p.stderr
    found = json.loads(p.stdout.splitlines()[-1])
    assert (found["lost"], found["repeated"], found["stalled_pairs"]) == (0, 0, 0)
    return found


def way(server, tls):
    return ["-t", tls, "-p", server.port_tls if tls == "direct" else server.port]


@pytest.mark.parametrize("tls,more", [("none", []), ("none", ["-m"])] + [
    (tls, more) for tls in ("starttls", "direct")
    for more in ([], ["-D"], ["-m"], ["-D", "-m"])])
def test_clients_chat(crowd, tls, more):
    """Plain, under OpenSSL, with records of our own, with XEP-0198, twice in a row"""
    for _ in range(2):
        found = load(*way(crowd, tls), *more, "-s", 30, "-N", 60, "chat", domain=crowd.hosts[0])
        assert found["ops"] >= 60


@pytest.mark.parametrize("scenario", ("login", "presence", "roster"))
def test_clients_do_other_things(crowd, scenario):
    found = load(*way(crowd, "direct"), "-D", "-s", 30, "-N", 20, scenario,
                 domain=crowd.hosts[0])
    assert found["ops"] >= 20 and found["p50_us"] <= found["p99_us"] <= found["max_us"] * 1.01


def test_messages_of_an_open_loop_are_all_sent(crowd):
    """However late: RATE times SECONDS"""
    found = load(*way(crowd, "none"), "-s", 2, "-r", 100, "open", domain=crowd.hosts[0])
    assert 150 <= found["ops"] <= 200


def test_idle_clients_of_several_processes_answer(crowd):
    """The server's memory and CPU time are seen"""
    found = load(*way(crowd, "direct"), "-D", "-j", 2, "-P", crowd.process.pid, "-s", 1, "-c",
                 "idle", domain=crowd.hosts[0])
    assert found["pss"] > 1000000 and "worker" in found["cpu_us"]


def test_what_a_client_is_refused_ends_the_generator(crowd):
    p = subprocess.run([LOAD, "-d", crowd.hosts[0], "-p", str(crowd.port), "-a", str(N + 1),
                        "-n", str(N + 1), "-s", "1", "chat"], capture_output=True, text=True,
                       timeout=3 * wait.PATIENCE)
    assert p.returncode == 1 and "refused" in p.stderr


def test_floor_looks_like_a_server(crowd, tmp_path):
    port, port_tls = ports.free(), ports.free()
    floor = subprocess.Popen([FLOOR, "-c", crowd.cert_file(crowd.hosts[0]), "-p", str(port), "-P",
                              str(port_tls), "-R", "3", "-k", "2", "-a", str(N)],
                             stdout=subprocess.PIPE, text=True)
    try:
        assert floor.stdout.readline() == "ready\n"
        for args in (["-p", port, "-t", "none"], ["-p", port_tls, "-t", "direct", "-D"]):
            for scenario in ("chat", "login", "roster"):
                assert load(*args, "-s", 30, "-N", 40, scenario)["ops"] >= 40
        # Each of N is told to two contacts and to itself.
        found = load("-p", port, "-t", "none", "-s", 30, "-N", 3 * N, "presence")
        assert found["ops"] >= 3 * N
        assert floor.poll() is None
    finally:
        floor.terminate()
        floor.wait()
