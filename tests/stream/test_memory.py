"""Memory of a worker: bounded for one client, and for all of them together"""
import socket
import time

import pytest

from harness import wait
from harness.sm import SM, ask_h, body, next_stanza, resume
from harness.stream import Closed

MIB = 1 << 20
SM_MODULES = {"mod_ping": {}, "mod_offline": {},
              "mod_stream_mgmt": {"max_ack_queue": 1000000, "ack_timeout": "infinity"}}
SMALL = {"worker_memory_max": 32 * MIB, "oom_watermark": 80}


def small_server(make_server, **config):
    return make_server(workers=1, listen={"max_fsm_queue": 1000000},
                       config={**SMALL, **config})


def pid(server):
    return server.processes("worker")[0]["pid"]


def send_to(juliet, full, n, size):
    """Headlines that nobody stores; back when the server has handled them."""
    for i in range(n):
        juliet.send(f"<message to='{full}' type='headline' id='h{send_to.n}'><body>"
                    + "x" * size + "</body></message>")
        send_to.n += 1
    juliet.send("<iq type='get' id='sent' to='example.net'><ping xmlns='urn:xmpp:ping'/></iq>")
    while juliet.next().get("id") != "sent":  # what came back from those that are gone
        pass


send_to.n = 0


def is_here(server, stream):
    return stream.full in server.ctl_lines("connected_users")


def read_headlines(stream, n):
    """All n, each whole, none twice."""
    ids = [int(stream.next().get("id")[1:]) for _ in range(n)]
    assert ids == sorted(set(ids)), ids
    stream.ping()


def test_the_greediest_is_cut(make_server):
    """One that hoards memory goes, those for whom less waits lose nothing"""
    server = small_server(make_server)
    before = pid(server)
    juliet = server.stream("juliet").login()
    modest = [server.stream(f"modest{i}").login() for i in range(3)]
    greedy = [server.stream(f"greedy{i}").login() for i in range(3)]
    for m in modest:
        send_to(juliet, m.full, 30, 100000)
    end = 0
    while server.counter("memory_cut") == 0:
        for g in greedy:
            send_to(juliet, g.full, 10, 200000)
        end += 1
        assert end < 60, "120 MB are waiting"
    wait.until(lambda: sum(is_here(server, g) for g in greedy) < 3, "a session to end")
    assert all(is_here(server, m) for m in modest)
    for m in modest:
        read_headlines(m, 30)
    assert "memory is short" in server.log()
    assert "cut: it holds" in server.log()
    server.stream("new").login().ping()
    juliet.ping()
    assert pid(server) == before
    for g in greedy:
        g.abort()


def online(server, name, attributes=None, **options):
    """Connected before memory is short; with XEP-0198 if there are attributes for it."""
    s = server.stream(name, **options).login(until="online")
    if attributes is not None:
        count_from_here(s, attributes)
    return s


def count_from_here(s, attributes):
    s.send(f"<enable xmlns='{SM}' {attributes}/>")
    el = s.next()
    while el.tag != f"{{{SM}}}enabled":
        el = s.next()
    s.previd, s.h = el.get("id"), 0


def round_trip(s):
    """As ping(), for whom anything may come in between; counts it."""
    i = s.next_id()
    s.send(f"<iq type='get' id='{i}' to='{s.host}'><ping xmlns='urn:xmpp:ping'/></iq>")
    el = None
    while el is None or el.get("id") != i:
        el = next_stanza(s)
        s.h += 1


def fill(server, juliet, hoarders, until, step=3):
    """What they have read and do not acknowledge."""
    n = 0
    while not until():
        for h in hoarders:
            send_to(juliet, h.full, step, 200000)
            for _ in range(step):
                next_stanza(h)
        n += 1
        assert n < 60, "they have it all"


def test_the_greediest_is_cut_if_it_only_does_not_acknowledge(make_server):
    """It reads; what it has is kept for it"""
    server = small_server(make_server, modules=SM_MODULES)
    juliet, modest = online(server, "juliet"), online(server, "modest")
    hoarders = [online(server, f"hoarder{i}", "") for i in range(3)]
    send_to(juliet, modest.full, 30, 100000)
    fill(server, juliet, hoarders, lambda: server.counter("memory_cut") > 0)
    wait.until(lambda: sum(is_here(server, h) for h in hoarders) < 3, "a session to end")
    read_headlines(modest, 30)


def test_messages_for_a_session_when_memory_is_short(make_server):
    """XEP-0198: each is kept for the session, or stored, or sent back; all that were acknowledged, once"""
    server = small_server(make_server, oom_killer=False, modules=SM_MODULES)
    romeo, juliet = online(server, "romeo", ""), online(server, "juliet")
    nurse = online(server, "nurse", "resume='true'")
    hoarders = [online(server, f"hoarder{i}", "") for i in range(2)]
    fill(server, juliet, hoarders, lambda: is_refused(server))
    before = server.counter("stanzas_in")
    for i in range(60):
        romeo.send(f"<message to='{nurse.full}' type='chat' id='c{i}'><body>{'x' * 100000}</body></message>")
    wait.until(lambda: server.counter("stanzas_in") == before + 60, "all to be handled")
    assert "stanzas dropped" in server.log()
    for h in hoarders:
        h.abort()
    wait.until(lambda: not is_refused(server), "connections to be accepted again")
    assert ask_h(romeo) == 60
    again, answer = resume(server, "nurse", nurse.previd, 0)
    if answer.tag != f"{{{SM}}}resumed":
        again.bind()
    again.presence()
    again.h, got = 0, []
    while len(got) < 60:
        el = next_stanza(again)
        if el.get("id", "").startswith("c"):
            got.append(int(el.get("id")[1:]))
    assert sorted(got) == list(range(60))
    round_trip(again)


def test_one_message_for_many_sessions(make_server):
    """XEP-0198: who goes on with his session gets it, whole and once, and counts as we do"""
    server = small_server(make_server, modules=SM_MODULES)
    romeos = [server.stream("romeo", resource=f"r{i}").login() for i in range(10)]
    juliet = server.stream("juliet").login()
    for r in romeos:
        r.presence()
    wait.until(lambda: len(server.ctl_lines("connected_users_info")) == 11, "all to be there")
    for r in romeos:
        count_from_here(r, "resume='true'")
    for r in romeos:
        round_trip(r)
    size = 3 * MIB
    juliet.send(f"<message to='{romeos[0].bare}' type='chat' id='big'><body>{'x' * size}</body></message>")
    juliet.ping()
    wait.until(lambda: "memory is short" in server.log(), "the warning")
    had, end = 0, time.monotonic() + wait.PATIENCE
    while romeos:
        r = romeos.pop(0)
        assert time.monotonic() < end, f"{r.full} and {len(romeos)} others are cut again and again"
        wait.until(lambda: not is_refused(server), "memory to be enough again")
        try:
            again, answer = resume(server, "romeo", r.previd, r.h)
        except Closed:  # too much for now: when others have got theirs
            romeos.append(r)
            continue
        if answer.tag != f"{{{SM}}}resumed":
            continue
        el = next_stanza(again)
        while el.get("id") != "big":
            el = next_stanza(again)
        assert len(body(el)) == size
        had += 1
        again.close()
    assert had > 0


def is_refused(server):
    s = socket.create_connection(("127.0.0.1", server.port), wait.PATIENCE)
    s.settimeout(wait.PATIENCE)
    try:
        s.sendall(b"<stream:stream xmlns='jabber:client' to='example.net' version='1.0' "
                  b"xmlns:stream='http://etherx.jabber.org/streams'>")
        return s.recv(100) == b""
    except ConnectionError:
        return True
    finally:
        s.close()


def test_new_connections_are_refused(make_server):
    """oom_killer: false; those that are there go on, and nobody else comes in"""
    server = small_server(make_server, oom_killer=False)
    before = pid(server)
    juliet = server.stream("juliet").login()
    deaf = [server.stream(f"deaf{i}").login() for i in range(3)]
    end = 0
    while not is_refused(server):
        for d in deaf:
            send_to(juliet, d.full, 5, 200000)
        end += 1
        assert end < 60, "60 MB are waiting"
    for _ in range(10):
        assert is_refused(server)
    assert server.counter("c2s_refused") >= 11
    assert server.counter("memory_cut") == 0
    lines = [line for line in server.log().splitlines() if "refused: " in line]
    assert len(lines) == 1 and "per cent of this worker's memory" in lines[0], lines
    for _ in range(20):
        juliet.ping()
    assert all(is_here(server, d) for d in deaf)
    for d in deaf:
        d.abort()
    wait.until(lambda: not is_refused(server), "connections to be accepted again")
    assert pid(server) == before


def test_who_holds_little_goes_on(make_server):
    """Also where output is dropped: that of those for whom much waits"""
    server = small_server(make_server, oom_killer=False)
    juliet = server.stream("juliet").login()
    deaf = [server.stream(f"deaf{i}").login() for i in range(4)]
    n = 0
    while "stanzas dropped" not in server.log():
        for d in deaf:
            send_to(juliet, d.full, 5, 200000)
        n += 1
        assert n < 60, "60 MB are waiting"
    for _ in range(20):
        juliet.ping()
    assert is_here(server, juliet)


def test_one_stanza_for_many(make_server):
    """A fan-out is one transaction: what finds no room is dropped, and its client cut"""
    server = small_server(make_server)
    before = pid(server)
    romeos = [server.stream("romeo", resource=f"r{i}").connect() for i in range(40)]
    for r in romeos:
        r.open()
        r.starttls().open()
        r.authenticate().open()
        r.bind().presence()
    juliet = server.stream("juliet").login()
    juliet.send(f"<message to='{romeos[0].bare}' type='headline'><body>{'x' * 3 * MIB}</body></message>")
    juliet.ping()
    wait.until(lambda: "memory is short" in server.log(), "the warning")
    assert "stanzas dropped" in server.log()
    juliet.ping()
    assert pid(server) == before
    left = server.ctl_lines("connected_users")
    assert 0 < len(left) < 41
    for r in romeos:
        r.abort()
    wait.until(lambda: len(server.ctl_lines("connected_users")) == 1, "the sessions to end")
    server.stream("new").login().ping()


@pytest.mark.parametrize("killer", [True, False])
def test_a_kill_when_memory_is_short(make_server, killer):
    """A successor finds the slot as full, and has the same marks"""
    server = small_server(make_server, oom_killer=killer)
    juliet = server.stream("juliet").login()
    deaf = [server.stream(f"deaf{i}").login() for i in range(4)]
    n = 0
    while server.counter("memory_cut") == 0 and n < 30 and not is_refused(server):
        for d in deaf:
            send_to(juliet, d.full, 5, 200000)
        n += 1
    server.kill_workers()
    juliet.ping()
    if not killer:
        assert is_refused(server)
    for d in deaf:
        d.abort()
    wait.until(lambda: not is_refused(server), "connections to be accepted again")
