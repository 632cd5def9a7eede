"""What processes died of: set aside, told, and everybody else goes on

DESIGN, 7: a poisonous stanza does not kill twice; 8: last words. The module mod_poison
(tests/modules) dies of what it is told to die of.
"""
import json
import os
import re
import signal
import stat
import tempfile

import pytest

from harness import program, wait

POISON = "<message to='romeo@example.net' id='bad'><body>poison &amp; daggers</body></message>"


@pytest.fixture(scope="module")
def poisonous(top):
    """The program with the module."""
    return program.copy(tempfile.mkdtemp(prefix="poison-", dir=top), ["mod_poison"])


@pytest.fixture
def server(make_server, poisonous):
    s = make_server(workers=2, program=poisonous, config={"modules": {"mod_ping": {}, "mod_poison": {}}})
    yield s
    s.forget_reports()  # the deaths that were wanted


def crashes(server, end=None):
    found = json.loads(server.ctl("crashes", "--json"))
    return [c for c in found if end in (None, c["end"])]


def files(server):
    folder = os.path.join(server.dir, "quarantine")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def test_a_stanza_that_kills(server):
    """Two deaths, then it is in a file, its connection ends, and all others go on"""
    others = [server.stream(n, worker=w).login(until="online")
              for n, w in (("juliet", 0), ("mercutio", 0), ("tybalt", 1))]
    mad = server.stream("benvolio", resource="mad", worker=0).login(until="online")
    mad.send(POISON)
    mad.expect_error("internal-server-error")
    for other in others:
        other.ping()
    server.wait_ready()
    wait.until(lambda: files(server), "a file")
    [path] = files(server)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    text = read(path)
    assert POISON in text
    head = dict(line.split(": ", 1) for line in text.split("\n\n")[0].splitlines())
    assert head["process"] == "worker 0" and head["deaths"] == "2"
    assert head["what"] == "input of a client"
    assert head["connection"] == mad.full
    assert re.match(r"\d{4}-\d\d-\d\dT", head["time"])
    assert text.count("death: ") == 2 and "signal 6" in head["death"]
    assert mad.bare in head["death"]  # whose stanza it was
    faults = crashes(server, "fault")
    assert [f["process"] for f in faults] == ["worker 0", "worker 0"]
    assert all("signal 6" in f["details"] and mad.bare in f["details"] for f in faults)
    if "san-" not in server.program:
        assert all("stack " in f["details"] and "hook_run" in f["details"] for f in faults), faults
    [aside] = crashes(server, "set aside")
    assert mad.full in aside["details"] and os.path.basename(path) in aside["details"]
    # The same again is another incident.
    mad = server.stream("benvolio", resource="mad", worker=0).login(until="online")
    mad.send(POISON)
    mad.expect_error("internal-server-error")
    wait.until(lambda: len(files(server)) == 2, "another file")


def test_a_job_that_kills(server):
    """It is dropped after three deaths; the connection it came from goes on, as all others"""
    juliet = server.stream("juliet", worker=0).login(until="online")
    romeo = server.stream("romeo", worker=1).login(until="online")
    juliet.send("<iq type='set' id='job' to='example.net'><query xmlns='urn:poison'/></iq>")
    wait.until(lambda: files(server), "a file", 2 * wait.PATIENCE)
    juliet.ping(), romeo.ping()
    [path] = files(server)
    text = read(path)
    assert "what: job of mod_poison, step 1" in text and "deaths: 3" in text
    assert f"from: {juliet.full}" in text and "to: example.net" in text
    assert "xmlns='urn:poison'" in text
    assert len(crashes(server, "fault")) == 3
    server.wait_ready()
    juliet.ping()


def test_kill_9_is_no_poison(make_server):
    """Who is killed from outside did not die of what it was doing"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    for _ in range(4):
        server.kill_workers()
        juliet.ping()
    killed = crashes(server, "killed")
    assert [c["process"] for c in killed] == ["worker 0"] * 4
    assert all("signal 9" in c["details"] for c in killed)
    assert files(server) == [] and crashes(server, "set aside") == []


def test_ends_are_told_by_kind(make_server):
    """planned, killed, fault; and the list outlives the master, and the service"""
    server = make_server(workers=1, asan="handle_segv=0")
    server.ctl("restart", "worker")
    planned = crashes(server)
    assert [(c["process"], c["end"]) for c in planned] == [("worker 0", "planned")]
    os.kill(server.processes("router")[0]["pid"], signal.SIGSEGV)
    wait.until(lambda: crashes(server, "fault"), "a fault")
    server.wait_ready()
    before = crashes(server)
    wait.until(lambda: "fault" in read(os.path.join(server.dir, "deaths")), "it to be kept")
    server.kill_master()
    server.start()
    after = crashes(server)
    assert after[:len(before)] == before
    assert [(c["process"], c["end"]) for c in after[len(before):]] == [("master", "died")]
    server.ctl("restart")
    wait.until(lambda: server.ctl_status("status")[0] == 0, "the service to be ready")
    assert crashes(server)[:len(after)] == after
    server.forget_reports()


def test_the_list_is_bounded(make_server):
    """Planned ends go first"""
    server = make_server(start=False, workers=1)
    lines = ["1700000000000000\trouter\t7\tfault\twas ended by signal 11"]
    lines += [f"{1700000000000001 + i}\tworker 0\t{i}\tplanned\t" for i in range(299)]
    with open(os.path.join(server.dir, "deaths"), "w") as f:
        f.write("\n".join(lines) + "\n")
    server.start()
    server.ctl("restart", "worker")
    found = crashes(server)
    assert len(found) == 300
    assert found[0]["end"] == "fault" and found[1]["pid"] == 1 and found[-1]["process"] == "worker 0"


def test_a_damaged_list_does_no_harm(make_server):
    """What a disk has made of it"""
    server = make_server(start=False, workers=1)
    with open(os.path.join(server.dir, "deaths"), "wb") as f:
        f.write(b"\0\t\t\n\xff\xfe no line\n1\t2")
    with open(os.path.join(server.dir, "replacement"), "wb") as f:
        f.write(b"\0under way\n\xff\t")
    server.start()
    server.ctl("crashes", "--json"), server.ctl("progress", "--json")
    server.ctl("restart", "all")


def test_files_are_bounded(server):
    """The oldest goes"""
    folder = os.path.join(server.dir, "quarantine")
    for i in range(100):
        with open(os.path.join(folder, f"20200101T000000Z-worker-0-{i:06}"), "w") as f:
            f.write("old\n")
    mad = server.stream("benvolio", worker=0).login(until="online")
    mad.send(POISON)
    mad.expect_error("internal-server-error")
    wait.until(lambda: not files(server)[-1].endswith("-worker-0-000099"), "a new file")
    found = files(server)
    assert len(found) == 100 and found[0].endswith("-worker-0-000001")


def test_without_a_master(server):
    """What is set aside meanwhile the next master writes"""
    mad = server.stream("benvolio", worker=0).login(until="online")
    pid = server.processes("worker")[0]["pid"]
    mad.send(POISON)
    wait.until(lambda: server.processes("worker")[0]["pid"] not in (0, pid), "a successor")
    server.kill_master()
    server.start()
    mad.expect_error("internal-server-error")
    wait.until(lambda: files(server), "a file")
    assert POISON in read(files(server)[0])
