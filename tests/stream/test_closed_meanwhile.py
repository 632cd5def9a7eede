"""A client that leaves while its worker is dead: as if the worker had been there

What it sent before is handled, then its session ends (RFC 6120, 4.4), or waits for it
(XEP-0198); what it asked for it still gets, if it only closed its side.
"""
import os
import signal
import socket

import pytest

from harness import wait, xml

SM = "urn:xmpp:sm:3"


@pytest.fixture(scope="module")
def one_worker(session_maker):
    return session_maker(workers=1, config={"modules": {"mod_ping": {}, "mod_stream_mgmt": {}}})


@pytest.fixture
def server(one_worker):
    one_worker.new_test()
    yield one_worker
    one_worker.new_test()


def while_dead(server, do):
    """do() happens behind the worker's last instruction and before its successor's first."""
    pid = server.processes("worker")[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait.until(lambda: stopped(pid), "the worker to stop")
    do()
    os.kill(pid, signal.SIGKILL)
    wait.until(lambda: server.processes("worker")[0]["pid"] not in (0, pid), "a successor")
    server.wait_ready()


def stopped(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0] == "T"


def half_close(stream):
    stream.sock.shutdown(socket.SHUT_WR)


def log_in(server, name, mode):
    s = server.stream(name, mode=mode)
    if mode != "none":
        return s.login()
    s.connect().open()
    s.authenticate("SCRAM-SHA-256").open()
    return s.bind()


def gone(server, stream):
    wait.until(lambda: stream.full not in server.ctl_lines("connected_users"),
               "the session to end")


@pytest.mark.parametrize("mode", ["none", "starttls"])
@pytest.mark.parametrize("how", ["half", "whole", "reset"])
@pytest.mark.parametrize("n", [0, 1, 300])
def test_what_it_sent_is_handled(server, mode, how, n):
    romeo = server.stream("romeo").login()
    juliet = log_in(server, "juliet", mode)

    def leave():
        for i in range(n):
            juliet.send(f"<message to='{romeo.full}' id='m{i}'><body>{'x' * 100}</body></message>")
        {"half": lambda: half_close(juliet), "whole": juliet.abort, "reset": juliet.reset}[how]()

    while_dead(server, leave)
    if how != "reset":  # a reset may take what is under way with it
        for i in range(n):
            romeo.expect(f"<message id='m{i}'/>")
    gone(server, juliet)
    if how != "reset":
        romeo.expect_nothing()
    if how == "half":
        assert juliet.next_event()[0] == "close"
        assert juliet.next_event()[0] == "end"


@pytest.mark.parametrize("mode", ["none", "starttls"])
def test_half_a_stanza(server, mode):
    """It is no stanza, and never will be one"""
    romeo = server.stream("romeo").login()
    juliet = log_in(server, "juliet", mode)
    juliet.send(f"<message to='{romeo.full}' id='a'/><message to='{romeo.full}' id")
    romeo.expect("<message id='a'/>")

    def leave():
        juliet.send("='b'><bo")
        juliet.abort()

    while_dead(server, leave)
    gone(server, juliet)
    romeo.expect_nothing()


@pytest.mark.parametrize("mode", ["none", "starttls"])
def test_answers_to_a_half_closed_client(server, mode):
    juliet = log_in(server, "juliet", mode)

    def leave():
        for i in range(5):
            juliet.send(f"<iq type='get' id='q{i}' to='{juliet.host}'>"
                        "<ping xmlns='urn:xmpp:ping'/></iq>")
        half_close(juliet)

    while_dead(server, leave)
    for i in range(5):
        juliet.expect(f"<iq type='result' id='q{i}'/>")
    assert juliet.next_event()[0] == "close"
    assert juliet.next_event()[0] == "end"


@pytest.mark.parametrize("mode", ["none", "starttls"])
@pytest.mark.parametrize("how", ["half", "whole", "reset"])
def test_its_session_waits(server, mode, how):
    """XEP-0198, 5: and counts what came before the end"""
    romeo = server.stream("romeo").login()
    juliet = log_in(server, "juliet", mode)
    juliet.send(f"<enable xmlns='{SM}' resume='true'/>")
    previd = juliet.next().get("id")

    def leave():
        for i in range(3):
            juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")
        {"half": lambda: half_close(juliet), "whole": juliet.abort, "reset": juliet.reset}[how]()

    while_dead(server, leave)
    if how != "reset":
        for i in range(3):
            romeo.expect(f"<message id='m{i}'/>")
    full = juliet.full
    assert full in server.ctl_lines("connected_users")
    romeo.send(f"<message to='{full}' id='back'/>")
    again = server.stream("juliet").login("features")
    again.send(f"<resume xmlns='{SM}' previd='{previd}' h='0'/>")
    answer = again.next()
    assert answer.tag == f"{{{SM}}}resumed", xml.show(answer)
    if how != "reset":
        assert answer.get("h") == "3"
    while (got := again.next()).get("id") != "back":
        assert got.tag == f"{{{SM}}}r"


@pytest.mark.parametrize("mode", ["none", "starttls"])
def test_the_server_had_closed_its_side(server, mode):
    """A closing stream whose client still has to say its last word ends in order"""
    juliet = log_in(server, "juliet", mode)
    half = log_in(server, "romeo", mode)
    juliet.send("</stream:stream>")
    juliet.footer_sent = True
    assert juliet.next_event()[0] == "close"
    assert juliet.next_event()[0] == "end"

    def leave():
        half_close(juliet)

    while_dead(server, leave)
    gone(server, juliet)
    half.ping()
    wait.until(lambda: server.worker_connections()[0] == 1, "juliet's connection to be released")


def test_a_client_that_does_not_close(server):
    """Its time goes on with the next worker: seconds, not that of a negotiation"""
    juliet = server.stream("juliet").login()
    juliet.send("</stream:stream>")
    wait.until(lambda: server.counter("sessions") == 0, "the session to end")
    server.kill_workers()
    assert server.counter("connections") == 1
    wait.until(lambda: server.counter("connections") == 0, "the connection to be closed")
