"""What a session leaves unacknowledged that others of its account got at the same time (XEP-0198, 4)"""
import os
import signal
import time

import pytest

from harness import wait, xml
from harness.sm import SM, next_nonza

MODULES = {"mod_ping": {}, "mod_stream_mgmt": {}, "mod_carboncopy": {}, "mod_offline": {}}
CARBONS = "urn:xmpp:carbons:2"
STEADY_S = 4  # who was there for so long is known to have got it


def messages(s):
    """Up to now, the carbons' contents as well: their texts"""
    s.send("<iq type='get' id='end' to='example.net'><ping xmlns='urn:xmpp:ping'/></iq>")
    got = []
    while (el := s.next()).get("id") != "end":
        if el.tag == f"{{{xml.NS_CLIENT}}}message":
            got += [b.text for b in el.iter(f"{{{xml.NS_CLIENT}}}body")]
    return got


class Case:
    """One account with two resources; the first will leave, and acknowledges nothing"""

    def __init__(self, server, name, worker, priority=0, carbons=False):
        self.server, self.name = server, name
        self.first = server.stream(name, resource="first", worker=0).login()
        self.first.presence(priority)
        self.other = server.stream(name, resource="other", worker=worker).login()
        self.other.presence(0)
        if carbons:
            self.other.send(f"<iq type='set' id='c'><enable xmlns='{CARBONS}'/></iq>")
            while self.other.next().get("id") != "c":
                pass
        self.enable(self.first)

    @staticmethod
    def enable(stream):
        stream.send(f"<enable xmlns='{SM}' resume='true'/>")
        next_nonza(stream, "enabled", skip=("r", "presence"))

    def is_steady(self):
        lines = [li.split() for li in self.server.ctl_lines("connected_users_info")]
        return [int(li[6]) >= STEADY_S for li in lines if li[0].startswith(f"{self.name}@")] == [True] * 2

    def say(self, romeo, to=None, inner=""):
        to = to or self.first.bare
        romeo.send(f"<message to='{to}' type='chat'><body>{self.name}</body>{inner}</message>")
        romeo.ping()
        assert messages(self.first) == [self.name]

    def leave(self):
        self.first.close()
        wait.until(lambda: self.first.full not in self.server.ctl_lines("connected_users"), "the end")


@pytest.mark.parametrize("worker", [0, 1])
def test_what_others_have_is_not_repeated(make_server, worker):
    """Not as the message, nor after its copy; who has not got it gets it"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo").login()
    shared = Case(server, "shared", worker)
    copied = Case(server, "copied", worker, carbons=True)
    below = Case(server, "below", worker, priority=5, carbons=True)
    private = Case(server, "private", worker, carbons=True)
    unshared = Case(server, "unshared", worker)
    uncopied = Case(server, "uncopied", worker, priority=5)
    cases = [shared, copied, below, private, unshared, uncopied]
    wait.until(lambda: all(c.is_steady() for c in cases), "them to be there for a while")
    late = Case(server, "late", worker, priority=5)

    shared.say(romeo)
    copied.say(romeo, copied.first.full)
    below.say(romeo)
    private.say(romeo, private.first.full, f"<private xmlns='{CARBONS}'/>")
    unshared.say(romeo, unshared.first.full)
    uncopied.say(romeo)
    late.say(romeo)
    newcomer = server.stream("shared", resource="newcomer", worker=worker).login()
    newcomer.presence(0)
    for c in shared, copied, below:
        assert messages(c.other) == [c.name]
    for c in private, unshared, uncopied, late:
        assert messages(c.other) == []
    assert messages(newcomer) == []

    for c in *cases, late:
        c.leave()
    for c in private, unshared, uncopied, late:
        wait.until(lambda: c.name in messages(c.other), f"{c.name} to get it")
    wait.until(lambda: messages(newcomer) == ["shared"], "the newcomer to get it")
    for c in cases:
        assert messages(c.other) == []


@pytest.mark.parametrize("worker", [0, 1])
def test_the_last_one_gives_it_back(make_server, worker):
    """Nobody has acknowledged it: it is stored, once"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo").login()
    c = Case(server, "juliet", worker)
    c.enable(c.other)
    wait.until(c.is_steady, "them to be there for a while")
    c.say(romeo)
    assert messages(c.other) == ["juliet"]
    c.other.abort()
    wait.until(lambda: "the session waits" in server.log(), "the session to wait")
    c.leave()
    assert server.ctl("get_offline_count", "juliet", "example.net") == "0"
    server.ctl("kick_user", "juliet", "example.net")
    wait.until(lambda: server.ctl("get_offline_count", "juliet", "example.net") == "1", "it to be stored")
    juliet = server.stream("juliet").login()
    juliet.presence()
    wait.until(lambda: messages(juliet) == ["juliet"], "it to be given out")
    assert messages(juliet) == []


def test_who_comes_after_it_was_sent_gets_it(make_server):
    """Its way to the other session was long: it counts who was there when it was sent"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo", worker=1).login()
    c = Case(server, "juliet", 1, priority=5)
    late = server.stream("juliet", resource="late", worker=1).login(until="features")
    wait.until(c.is_steady, "them to be there for a while")
    assert messages(c.first) == []
    pid = next(p["pid"] for p in server.processes("worker") if p["slot"] == 0)
    os.kill(pid, signal.SIGSTOP)
    try:
        romeo.send(f"<message to='{c.first.bare}' type='chat'><body>juliet</body></message>")
        romeo.ping()
        late.bind()
        late.presence(5)
        came = time.monotonic()
        assert messages(late) == []
        wait.until(lambda: time.monotonic() - came > STEADY_S, "it to have been there for a while")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert messages(c.first) == ["juliet"]
    c.leave()
    wait.until(lambda: "juliet" in messages(late), "it to come")
    assert messages(c.other) == []


def test_what_a_full_session_did_not_take_comes_to_it(make_server):
    """It waits and takes nothing more; then its client comes back before it is ended"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo", worker=1).login()
    c = Case(server, "juliet", 0)
    other = server.stream("juliet", worker=1).login(until="features")
    c.other.send(f"<enable xmlns='{SM}' resume='true'/>")
    previd = next_nonza(c.other, "enabled", skip=("r", "presence")).get("id")
    wait.until(c.is_steady, "them to be there for a while")
    c.other.abort()
    wait.until(lambda: "the session waits" in server.log(), "the session to wait")

    def say(*bodies, to=c.other.full):
        for text in bodies:
            romeo.send(f"<message to='{to}' type='chat'><body>{text}</body></message>")
            romeo.ping()
    pid = next(p["pid"] for p in server.processes("worker") if p["slot"] == 0)
    say(*["x" * 1000000] * 15)
    os.kill(pid, signal.SIGSTOP)
    try:
        say("small", "x" * 1000000)
        say("juliet", to=c.first.bare)
        other.send(f"<resume xmlns='{SM}' previd='{previd}' h='17'/>")
        wait.until(lambda: "-> SM_WAIT" in server.log(), "the question")
    finally:
        os.kill(pid, signal.SIGCONT)
    next_nonza(other, "resumed")
    assert messages(other) == []
    assert messages(c.first) == ["juliet"]
    c.leave()
    wait.until(lambda: messages(other) == ["juliet"], "it to come")


def test_copies_that_nobody_makes_any_more(make_server):
    """The session still wants them when the module has been taken away"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo", worker=0).login()
    c = Case(server, "juliet", 0, carbons=True)
    wait.until(c.is_steady, "them to be there for a while")
    server.write_config(modules={k: v for k, v in MODULES.items() if k != "mod_carboncopy"})
    server.ctl("reload_config")
    c.say(romeo, c.first.full)
    assert messages(c.other) == []
    c.leave()
    wait.until(lambda: messages(c.other) == ["juliet"], "it to come")


def test_who_got_it_from_one_does_not_give_it_to_the_others(make_server):
    """It comes back a second time, from a session that was not there at first"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo", worker=0).login()
    c = Case(server, "juliet", 0)
    wait.until(c.is_steady, "them to be there for a while")
    c.say(romeo)
    assert messages(c.other) == ["juliet"]
    newcomer = server.stream("juliet", resource="newcomer", worker=0).login()
    newcomer.presence(0)
    Case.enable(newcomer)
    romeo.send(f"<message to='{newcomer.full}' type='headline'><body>live</body></message>")
    wait.until(lambda: messages(newcomer) == ["live"], "what is stored to have come")
    c.leave()
    wait.until(lambda: messages(newcomer) == ["juliet"], "it to come")
    assert messages(c.other) == []
    c.first = newcomer
    c.leave()
    assert messages(c.other) == []
