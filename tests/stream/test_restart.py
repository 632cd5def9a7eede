"""Planned restarts: processes are replaced one after the other, and nobody notices

DESIGN: "A planned restart or upgrade uses the same way: stanzactl restart worker 2".
"""
import json
import os
import signal
import time

import pytest

from harness import load, sasl, wait

ROLES = ["holder", "keeper", "worker", "router", "auth", "sql", "admin"]


def pids(server, *roles):
    return {(p["role"], p["slot"]): p["pid"] for p in server.processes()
            if not roles or p["role"] in roles}


def progress(server):
    status, out, _ = server.ctl_status("progress", "--json")
    return status, json.loads(out) if status in (0, 1) else None


def finished(server, command):
    """The exit status of a stanzactl that runs beside the test."""
    return command.wait(2 * wait.PATIENCE)


def wait_log(server, text, n=1):
    wait.until(lambda: server.log().count(text) >= n, f"{text!r} in the log")


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_everybody_is_replaced_under_load(make_server, tls):
    """`restart all`, the master included: no connection, no message lost, none repeated"""
    server = make_server(workers=2, config={"loglevel": "info"})
    load.prepare(server)
    before = pids(server)
    clients = load.Load(server, tls, 8)
    out = server.ctl("restart", "all")
    result = clients.result()
    after = pids(server)
    assert (result["lost"], result["repeated"], result["stalled_pairs"]) == (0, 0, 0), result
    assert result["messages"] > 100
    assert set(after) == set(before)
    same = {name for name in after if after[name] == before[name]}
    assert same == {("master", 0)}  # it executes its program in its place
    assert {p["restarts"] for p in server.processes()} == {1}
    lines = out.splitlines()
    assert lines[0].split() == ["TIME", "PROCESS", "BEFORE", "NOW", "TOOK", "RESULT"]
    assert len(lines) == 1 + len(before)
    assert all(line.split()[-1] == "ready" for line in lines[1:]), out
    assert "connections of the predecessor, 0 were lost" in server.log()


def test_a_role_and_a_process(make_server):
    """Only those that were meant, and the report says so"""
    server = make_server(workers=2)
    juliet = server.stream().login(until="online")
    before = pids(server)
    report = json.loads(server.ctl("restart", "worker", "--json"))
    after = pids(server)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {("worker", 0), ("worker", 1)}
    assert [(r["process"], r["before"], r["now"], r["result"]) for r in report] == [
        (f"worker {i}", before["worker", i], after["worker", i], "ready") for i in (0, 1)]
    juliet.ping()
    server.ctl("restart", "keeper", "1")
    assert {name for name, pid in pids(server).items() if pid != after[name]} == {("keeper", 1)}
    assert progress(server)[0] == 0
    juliet.ping()


@pytest.mark.parametrize("arguments", [["juggler"], ["worker", "7"], ["all", "0"], ["router", "1"]],
                         ids=" ".join)
def test_nobody_of_that_name(make_server, arguments):
    server = make_server(workers=1)
    before = pids(server)
    status, out, err = server.ctl_status("restart", *arguments)
    assert status == 1 and "no such process" in out + err
    assert pids(server) == before


def test_restart_without_arguments_restarts_the_node(make_server):
    """As ejabberd's: clients are told"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    server.ctl("restart")
    juliet.expect_error("system-shutdown")
    wait.until(lambda: server.ctl_status("status")[0] == 0, "the service to be ready")
    assert progress(server) == (0, [])


def test_stanzas_in_pieces(make_server):
    """What has come of a stanza, and of a TLS record, goes over to the successor"""
    server = make_server(workers=2)
    juliet, romeo = server.pair(until="online")
    whole = f"<message to='{romeo.full}' id='cut'><body>O Romeo</body></message>"
    juliet.send(whole[:31])
    juliet.tls.write(whole[31:].encode())
    record = juliet.tls.pending()
    juliet.send_raw(record[:9])
    server.ctl("restart", "worker")
    juliet.send_raw(record[9:])
    romeo.expect("<message id='cut'><body>O Romeo</body></message>")
    juliet.ping()


def test_a_handshake_under_way(make_server):
    """OpenSSL's state would die with the worker: it waits for the end of the handshake"""
    server = make_server(workers=1)
    juliet = server.stream().connect().open()
    juliet.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    juliet.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    before = pids(server, "worker")
    command = server.spawn_ctl("restart", "worker")
    wait_log(server, "is replaced as planned")
    juliet.start_tls().open()
    juliet.authenticate().open()
    juliet.bind()
    assert finished(server, command) == 0
    assert pids(server, "worker") != before
    juliet.ping()
    assert "in the middle of handshakes" not in server.log()


def test_a_handshake_that_does_not_end_holds_up_nobody(make_server):
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    idle = server.stream("romeo").connect().open()
    idle.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    idle.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    server.ctl("restart", "worker")
    assert "in the middle of handshakes" in server.log()
    juliet.ping()
    idle.expect_closed(footer=False)


@pytest.mark.parametrize("role", ["auth", "worker", "router", "sql"])
def test_a_login_under_way(make_server, role):
    """Its SASL dialogue goes on, whoever is replaced"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="tls")
    dialogue = sasl.Scram("SCRAM-SHA-256", juliet.user, juliet.password, None, None, "")
    juliet.sasl_send("auth", dialogue.first(), "SCRAM-SHA-256")
    challenge = juliet.sasl_next("challenge")
    before = pids(server, role)
    command = server.spawn_ctl("restart", role)
    wait_log(server, "is replaced as planned")
    juliet.sasl_send("response", dialogue.final(challenge))
    dialogue.verify(juliet.sasl_next("success"))
    juliet.open()
    juliet.bind()
    assert finished(server, command) == 0
    assert pids(server, role) != before
    juliet.ping()


def test_new_clients_wait_for_the_successor(make_server):
    """Nobody is refused while a worker makes room: the listening socket is the master's"""
    server = make_server(workers=1)
    idle = server.stream("romeo").connect().open()
    idle.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    idle.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    command = server.spawn_ctl("restart", "worker")
    wait_log(server, "is replaced as planned")
    server.stream("juliet").login(until="online").ping()
    assert finished(server, command) == 0


def test_a_keeper_has_all_sockets_before_it_is_ready(make_server):
    """Then its worker may die"""
    server = make_server(workers=1)
    streams = [server.stream(n).login(until="online") for n in ("juliet", "romeo", "mercutio")]
    for _ in range(3):
        server.ctl("restart", "keeper")
        server.kill_workers()
        for s in streams:
            s.ping()


def test_one_at_a_time(make_server):
    """A second planned restart is refused while the first is under way"""
    server = make_server(workers=1)
    idle = server.stream("romeo").connect().open()
    idle.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    idle.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    command = server.spawn_ctl("restart", "worker")
    wait_log(server, "is replaced as planned")
    assert progress(server)[0] == 75
    status, out, err = server.ctl_status("restart", "all")
    assert status == 1 and "under way" in out + err
    assert finished(server, command) == 0


def test_who_does_not_end_is_killed(make_server):
    """And its connections go on all the same"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    pid = pids(server)["worker", 0]
    os.kill(pid, signal.SIGSTOP)
    server.ctl("restart", "worker")
    assert pids(server)["worker", 0] != pid
    assert "does not end; killing it" in server.log()
    juliet.ping()


def test_a_stop_in_between(make_server):
    """Ends it, and the service in order"""
    server = make_server(workers=2)
    juliet = server.stream(worker=1).login(until="online")
    slow = pids(server)["worker", 0]
    os.kill(slow, signal.SIGSTOP)  # so that it takes a while
    command = server.spawn_ctl("restart", "worker")
    wait_log(server, "is replaced as planned")
    server.ctl("stop")
    os.kill(slow, signal.SIGCONT)
    juliet.expect_error("system-shutdown")
    assert server.process.wait(3 * wait.PATIENCE) == 0
    server.process = None
    assert finished(server, command) != 0


@pytest.mark.parametrize("point", ["roll:turn@1", "roll:turn@5", "roll:turn@10", "roll:master@1"])
def test_a_master_that_is_killed_in_between(make_server, point):
    """The next one goes on with the processes, and says that not all were replaced"""
    server = make_server(start=False, workers=2)
    if not server.can_kill_at_points():
        pytest.skip("built without killpoints")
    server.start(env={"STANZAD_KILLPOINT": point})
    juliet, romeo = server.pair(until="online")
    command = server.spawn_ctl("restart", "all")
    server.wait_master()
    server.start()
    assert finished(server, command) == 1
    for i in range(3):
        juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")
        romeo.expect(f"<message id='m{i}'/>")
    status, report = progress(server)
    assert status == 1 and "ended meanwhile" in report[-1]["result"]
    assert json.loads(server.ctl("restart", "all", "--json"))[-1]["result"] == "ready"
    juliet.ping(), romeo.ping()


def test_a_master_that_has_been_replaced_replaces(make_server):
    """Processes that it has not started itself are watched, reaped and replaced"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    for _ in range(2):
        server.ctl("restart", "master")
        server.kill_workers()
        juliet.ping()
        server.ctl("restart", "all")
        juliet.ping()
    master = server.process.pid
    with open(f"/proc/{master}/task/{master}/children") as f:
        children = [int(pid) for pid in f.read().split()]
    assert set(children) == {p["pid"] for p in server.processes() if p["role"] != "master"}


def test_restart_of_busy_processes_is_quick(make_server):
    """A turn is a fraction of a second when nothing has to be waited for"""
    server = make_server(workers=2)
    server.pair(until="online")
    start = time.monotonic()
    server.ctl("restart", "all")
    assert time.monotonic() - start < wait.PATIENCE
