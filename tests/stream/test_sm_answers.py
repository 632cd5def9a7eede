"""Stream management, 4: answers to <r/> that go out with a stanza (worker/owed.c)"""
import os
import signal

import pytest

from harness import wait
from harness.sm import SM, body, enable, resume, say

MODULES = {"mod_stream_mgmt": {}}
R = f"<r xmlns='{SM}'/>"


@pytest.fixture
def server(make_server):
    return make_server(config={"modules": MODULES, "workers": 1})


def worker(server):
    return server.processes("worker")[0]["pid"]


def closely(server, romeo, juliet, *sends):
    """Four messages that come at once, and what others send meanwhile, in one turn."""
    pid = worker(server)
    os.kill(pid, signal.SIGSTOP)
    say(romeo, juliet, *"1234")
    for stream, text in sends:
        stream.send(text)
    os.kill(pid, signal.SIGCONT)


def names(stream, n):
    """What the next n elements are: a message's body, "a" with its h; <r/>, presence pass."""
    found = []
    while len(found) < n:
        el = stream.next()
        name = el.tag.rpartition("}")[2]
        if name == "message":
            found.append(el.get("type") if el.get("type") == "error" else body(el))
        elif name not in ("r", "presence"):
            found.append(name + el.get("h", ""))
    return found


@pytest.fixture
def pair(server):
    romeo, juliet = (server.stream(name).login(until="online") for name in ("romeo", "juliet"))
    juliet.previd = enable(juliet)
    return romeo, juliet


def test_it_goes_with_a_stanza(server, pair):
    """What was handled until it goes is acknowledged by it, too"""
    romeo, juliet = pair
    mercutio = server.stream("mercutio").login()
    closely(server, romeo, juliet, (juliet, R), (mercutio, f"<message to='{juliet.full}'><body>5</body></message>"))
    assert names(juliet, 6) == ["1", "2", "3", "4", "5", "a0"]


def test_it_does_not_wait_for_long(server, pair):
    romeo, juliet = pair
    closely(server, romeo, juliet, (juliet, f"<presence/>{R}"))
    assert names(juliet, 5)[-1] == "a1"
    juliet.send(R)
    assert names(juliet, 1) == ["a1"]


def test_it_does_not_wait_when_nothing_is_near(server, pair):
    """In its place among other answers, as it was asked for"""
    romeo, juliet = pair
    juliet.send(f"{R}<iq type='get' id='1' to='example.net'><none xmlns='x'/></iq>{R}")
    assert names(juliet, 3) == ["a0", "iq", "a1"]


def test_each_request_is_answered(server, pair):
    romeo, juliet = pair
    closely(server, romeo, juliet, (juliet, R * 3))
    assert names(juliet, 7) == ["1", "2", "3", "4", "a0", "a0", "a0"]
    juliet.send("<message to='not a jid/'><body/></message>" + R * 2)
    assert sorted(names(juliet, 3)) == ["a1", "a1", "error"]


def test_the_worker_is_killed(server, pair):
    """That it is owed is in the slot"""
    romeo, juliet = pair
    for n in range(5):
        closely(server, romeo, juliet, (juliet, R))
        pid = worker(server)
        assert names(juliet, 4) == ["1", "2", "3", "4"]
        os.kill(pid, signal.SIGKILL)
        assert names(juliet, 1) == ["a0"]
        juliet.send(f"<a xmlns='{SM}' h='{4 * n + 4}'/>")


def test_the_stream_ends(server, pair):
    romeo, juliet = pair
    closely(server, romeo, juliet, (juliet, f"{R}</stream:stream>"))
    assert names(juliet, 5)[-1] == "a0"
    juliet.expect_closed()


def test_an_error_of_the_stream(server, pair):
    romeo, juliet = pair
    closely(server, romeo, juliet, (juliet, f"{R}<unknown xmlns='x'/>"))
    assert names(juliet, 5)[-1] == "a0"
    juliet.expect_error("unsupported-stanza-type")


def test_the_connection_is_lost(server, pair):
    """Who resumes hears the count, and no answer to what was asked before"""
    romeo, juliet = pair
    closely(server, romeo, juliet, (juliet, R))
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    again, answer = resume(server, "juliet", juliet.previd, 0)
    assert answer.get("h") == "0"
    assert names(again, 4) == ["1", "2", "3", "4"]
    again.send("<presence/>" + R)
    assert names(again, 1) == ["a1"]
