"""Contact lists and presence while processes are killed: what was asked for has happened to
both sides of each subscription, every client's list is what the server has, no push comes
twice, and everybody knows what those whom he sees have said last.

Of each two accounts one thing is under way at a time: the states of RFC 6121, appendix A, do
not always come together again if both sides act at once. All pairs act at the same time.
"""
import os
import random
import signal
import time

import pytest

from harness import sm, wait, xml
from harness.roster import NS, item, query
from harness.stream import Closed

MODULES = {"mod_ping": {}, "mod_roster": {"versioning": True, "store_current_id": True}}
class Client:
    """A client that keeps books of what it is told, also from session to session."""

    def __init__(self, server, name, slots):
        self.server, self.name, self.slots = server, name, slots
        self.roster, self.versions, self.seen, self.answers = {}, [], {}, {}
        self.show, self.n_sent, self.ver = None, 0, ""
        self.s = server.stream(name, resource="r", worker=slots[0]).login()
        self.begin()

    def begin(self):
        """Its roster, or what has changed in it, and its presence."""
        self.seen = {}
        i = self.send(f"<iq type='get' id='ID'>{query(ver=self.ver)}</iq>")
        q = self.wait_for(i).find(f"{{{NS}}}query")
        if q is not None:
            self.roster, self.ver = {}, q.get("ver")
            self.put(self.roster, q)
        self.say("")

    def say(self, show):
        self.show = show
        inner = f"<show>{show}</show>" if show else ""
        self.send(f"<presence>{inner}</presence>")

    def come_and_go(self, rng):
        """Another show, away and back, or another session under the same address."""
        what = rng.random()
        if what < 0.7:
            self.say(rng.choice(("away", "xa", "dnd", "chat", "")))
        elif what < 0.85:
            self.seen[self.s.full] = ""
            self.send("<presence type='unavailable'/>")
            wait.until(lambda: self.drain(0.01) or self.seen.get(self.s.full, "") is None,
                       "one's own unavailable presence", 2 * wait.PATIENCE)
            self.seen = {}
            self.say("")
        else:
            # What it has sent is handled; what is on its way to it is lost.
            self.wait_for(self.send("<iq type='get' id='ID'><ping xmlns='urn:xmpp:ping'/></iq>"))
            rng.choice((self.s.abort, self.s.close))()
            self.s = self.server.stream(self.name, resource="r").login()
            self.begin()

    def take(self, el):
        kind = el.tag.rpartition("}")[2]
        if kind == "iq" and el.get("type") == "set":
            q = el.find(f"{{{NS}}}query")
            assert el.get("from") == self.s.bare
            self.ver = q.get("ver")
            self.versions.append(tuple(self.ver.split(":")))
            self.put(self.roster, q)
            self.s.send(f"<iq type='result' id='{el.get('id')}'/>")
        elif kind == "iq":
            self.answers[el.get("id")] = el
        elif kind == "presence" and el.get("type") in (None, "unavailable"):
            self.seen[el.get("from")] = None if el.get("type") else \
                el.findtext(f"{{{xml.NS_CLIENT}}}show") or ""
        elif kind == "presence" and el.get("type") == "subscribe":
            self.send(f"<presence type='subscribed' to='{el.get('from')}'/>")
        elif kind == "presence":
            assert el.get("type") in ("subscribed", "unsubscribe", "unsubscribed"), xml.show(el)

    @staticmethod
    def put(roster, q):
        for i in q:
            if i.get("subscription") == "remove":
                roster.pop(i.get("jid"), None)
            else:
                roster[i.get("jid")] = (i.get("subscription"), i.get("ask"), i.get("name"),
                                        i.get("approved"), sorted(g.text for g in i))

    def drain(self, timeout=0.001):
        while True:
            try:
                kind, el = self.s.next_event(timeout)
            except AssertionError:
                return
            if kind != "element":
                raise Closed(f"{self.s.name()}: the stream ended")
            self.take(el)

    def send(self, text):
        self.n_sent += 1
        i = f"q{self.n_sent}"
        self.s.send(text.replace("ID", i))
        return i

    def wait_for(self, i):
        wait.until(lambda: self.drain(0.01) or i in self.answers, "an answer", 2 * wait.PATIENCE)
        return self.answers.pop(i)

    def get(self):
        roster = {}
        answer = self.wait_for(self.send(f"<iq type='get' id='ID'>{query()}</iq>"))
        assert answer.get("type") == "result", xml.show(answer)
        self.put(roster, answer.find(f"{{{NS}}}query"))
        return roster

    def kind(self, other):
        return self.roster.get(other.s.bare, ("none",))[0]

    def sees(self, other):
        return self.kind(other) in ("to", "both")


class Pair:
    """What two accounts should be to each other; both may be changed when they are."""

    def __init__(self, a, b):
        self.both, self.n_done = (a, b), 0
        self.sub = {(a, b): False, (b, a): False}  # who sees whom
        self.listed = {a: False, b: False}
        self.names = {a: None, b: None}

    def is_settled(self):
        for x, y in (self.both, self.both[::-1]):
            kind = {(0, 0): "none", (1, 0): "to", (0, 1): "from", (1, 1): "both"}[
                int(self.sub[x, y]), int(self.sub[y, x])]
            entry = x.roster.get(y.s.bare)
            if (entry is not None) != self.listed[x]:
                return f"{x.s.bare} has {entry} for {y.s.bare}"
            if entry and (entry[0], entry[1], entry[2]) != (kind, None, self.names[x]):
                return f"{x.s.bare} has {entry} for {y.s.bare}, not {kind} {self.names[x]}"
            if x.seen.get(y.s.full) != (y.show if self.sub[x, y] else None):
                return f"{x.s.bare} ({kind}) sees {y.s.full} {x.seen.get(y.s.full)}, who says {y.show}"
        return None

    def act(self, rng):
        a, b = rng.sample(self.both, 2)
        self.n_done += 1
        what = rng.random()
        if what < 0.2:
            self.names[a] = f"n{self.n_done}"
            self.listed[a] = True
            a.send("<iq type='set' id='ID'>" + query(item(
                b.s.bare, f"<group>g{self.n_done}</group>", name=self.names[a])) + "</iq>")
        elif what < 0.3 and self.listed[a]:
            self.sub[a, b] = self.sub[b, a] = self.listed[a] = False
            self.names[a] = None
            a.send(f"<iq type='set' id='ID'>{query(item(b.s.bare, subscription='remove'))}</iq>")
        elif self.sub[a, b]:
            self.sub[a, b] = False
            who, kind, to = rng.choice(((a, "unsubscribe", b), (b, "unsubscribed", a)))
            who.send(f"<presence type='{kind}' to='{to.s.bare}'/>")
        else:
            self.sub[a, b] = self.listed[a] = self.listed[b] = True
            a.send(f"<presence type='subscribe' to='{b.s.bare}'/>")


def run(server, roles, kills, seed, pause=0.5, n_clients=6):
    rng = random.Random(seed)
    slots = sorted(server.worker_connections())
    clients = [Client(server, f"u{i}", slots[i % len(slots):]) for i in range(n_clients)]
    pairs = [Pair(a, b) for i, a in enumerate(clients) for b in clients[:i]]
    hits = 0

    def drain():
        for c in clients:
            c.drain()

    for _ in range(kills):
        end = time.monotonic() + pause  # the rhythm of the attack
        while time.monotonic() < end:
            drain()
            for p in pairs:
                if not p.is_settled():
                    p.act(rng)
            if rng.random() < 0.3:
                rng.choice(clients).come_and_go(rng)
        there = [p["pid"] for p in server.processes() if p["role"] in roles and p["pid"]]
        if there:
            os.kill(rng.choice(there), signal.SIGKILL)
            hits += 1
    try:
        wait.until(lambda: drain() or not any(p.is_settled() for p in pairs), "all to settle",
                   3 * wait.PATIENCE, pause=0.05)
    except AssertionError:
        raise AssertionError("\n".join(filter(None, (p.is_settled() for p in pairs)))) from None
    for c in clients:
        assert c.get() == c.roster
        numbers = [int(n) for _, n in c.versions]
        assert len({epoch for epoch, _ in c.versions}) <= 1, c.versions
        assert numbers == sorted(set(numbers)), numbers
    return hits, sum(p.n_done for p in pairs)


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
@pytest.mark.parametrize("roles", [("worker",), ("worker", "router", "sql")], ids=["workers", "any"])
def test_contacts_are_what_was_asked_for(make_server, database, roles):
    server = make_server(database=database, config={"loglevel": "info", "modules": MODULES})
    hits, actions = run(server, roles, 6, seed=f"{database}{roles}")
    assert hits >= 4 and actions > 30


def test_a_session_that_has_just_moved_is_told(make_server):
    """
    Its new worker dies before the route table shows it there: what the successor hears of the
    account before it has the socket is for this session, too.
    """
    server = make_server(config={"modules": {**MODULES, "mod_stream_mgmt": {}}})
    names = [f"m{i}" for i in range(6)]  # half of them have their home in the worker that lives
    movers, others = {}, {}
    for name in names:
        server.account(name)
        others[name] = Client(server, name, [0])
        s = server.stream(name, resource="s", worker=0).login(until="online")
        s.send(f"<iq type='get' id='g'>{query()}</iq>")
        wait.until(lambda: s.next().get("id") == "g", "the roster")
        movers[name] = sm.enable(s)
        s.abort()
    wait.until(lambda: server.log().count("waits for") == len(names), "the sessions to wait")
    router = server.processes("router")[0]["pid"]
    worker = next(p["pid"] for p in server.processes("worker") if p["slot"] == 1)
    os.kill(router, signal.SIGSTOP)
    try:
        for name in names:
            movers[name], answer = sm.resume(server, name, movers[name], 0, worker=1)
            assert answer.tag == f"{{{sm.SM}}}resumed", xml.show(answer)
        server.kill_master()
        os.kill(worker, signal.SIGKILL)
        for name in names:
            others[name].send(f"<iq type='set' id='ID'>{query(item('note@example.net', name='x'))}</iq>")
        wait.until(lambda: [c.drain(0.01) for c in others.values()] and
                   sum("note@example.net" in c.roster for c in others.values()) >= 1, "changes")
        server.start(ready=False)
        server.wait_log("worker 1: took over")
    finally:
        os.kill(router, signal.SIGCONT)
    for name in names:
        push = wait.until(lambda: next_push(movers[name]), f"a push to {name}")
        assert push.find(f"{{{NS}}}query")[0].get("jid") == "note@example.net"


def next_push(stream):
    el = stream.next()
    return el if el.get("type") == "set" else None
