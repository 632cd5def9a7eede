"""Stream management: XEP-0198, 1.6"""
import os
import signal

import pytest

from harness import wait, xml
from harness.sm import SM, ask_h, body, enable, next_nonza, next_stanza, resume, say

MODULES = {"mod_ping": {}, "mod_stream_mgmt": {}}


@pytest.fixture(scope="module")
def sm_server(session_maker):
    return session_maker(config={"modules": MODULES})


@pytest.fixture
def server(sm_server):
    sm_server.new_test()
    yield sm_server
    sm_server.new_test()


def pids(server):
    return [p["pid"] for p in server.processes("worker")]


def test_feature(server):
    """3: after authentication only"""
    juliet = server.stream().login(until="tls")
    assert juliet.features.find(f"{{{SM}}}sm") is None
    juliet.authenticate().open()
    assert juliet.features.find(f"{{{SM}}}sm") is not None


def test_enable_before_bind(server):
    """3: unexpected-request"""
    juliet = server.stream().login(until="features")
    juliet.send(f"<enable xmlns='{SM}'/>")
    juliet.expect(f"<failed xmlns='{SM}'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
    juliet.bind()
    juliet.ping()


def test_enable_twice(server):
    """3: unexpected-request"""
    juliet = server.stream().login()
    enable(juliet)
    juliet.send(f"<enable xmlns='{SM}'/>")
    juliet.expect(f"<failed xmlns='{SM}'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")


def test_no_resumption_unless_asked_for(server):
    """3: resume is absent"""
    juliet = server.stream().login()
    assert enable(juliet, "") is None


def test_no_location(server):
    """3: a hint where to reconnect; any worker of the one address takes the session over"""
    juliet = server.stream().login()
    juliet.send(f"<enable xmlns='{SM}' resume='1'/>")
    assert set(juliet.next().attrib) == {"id", "resume", "max"}


def test_max_is_bounded(server):
    """3: what the client prefers, within what the server allows"""
    juliet = server.stream().login()
    juliet.send(f"<enable xmlns='{SM}' resume='1' max='99999'/>")
    assert juliet.next().get("max") == "300"
    romeo = server.stream("romeo").login()
    romeo.send(f"<enable xmlns='{SM}' resume='1' max='20'/>")
    assert romeo.next().get("max") == "20"


def test_the_server_counts(server):
    """4: stanzas, nothing else, from <enable/> on"""
    juliet = server.stream().login(until="online")
    juliet.ping()
    enable(juliet)
    assert ask_h(juliet) == 0
    juliet.ping()
    juliet.send("<presence/>")
    juliet.send("<message to='not a jid/'><body/></message>")
    juliet.send(f"<a xmlns='{SM}' h='1'/>")
    for _ in range(3):
        next_stanza(juliet)
        break
    juliet.send(f"<r xmlns='{SM}'/>")
    while True:
        el = juliet.next()
        if el.tag == f"{{{SM}}}a":
            break
    assert el.get("h") == "3"


def test_the_server_asks(server):
    """4: soon after a stanza, and does not ask again and again"""
    juliet = server.stream().login(until="online")
    enable(juliet)
    romeo = server.stream("romeo").login()
    say(romeo, juliet, "1")
    assert body(juliet.next()) == "1"
    assert juliet.next().tag == f"{{{SM}}}r"
    juliet.send(f"<a xmlns='{SM}' h='1'/>")
    juliet.ping()


def test_acknowledging_too_much(server):
    """4: undefined-condition with handled-count-too-high"""
    juliet = server.stream().login()
    enable(juliet)
    juliet.send(f"<a xmlns='{SM}' h='1'/>")
    el = juliet.next()
    assert el.tag == "{http://etherx.jabber.org/streams}error", xml.show(el)
    too_high = el.find(f"{{{SM}}}handled-count-too-high")
    assert too_high.get("h") == "1" and too_high.get("send-count") == "0"
    juliet.expect_closed()


@pytest.mark.parametrize("h", ["", "x", "-1", "4294967296", None])
def test_bad_acknowledgements(server, h):
    juliet = server.stream().login()
    enable(juliet)
    juliet.send(f"<a xmlns='{SM}'{'' if h is None else f' h={chr(39)}{h}{chr(39)}'}/>")
    juliet.expect_error("bad-format")


@pytest.mark.parametrize("how", ["abort", "reset"])
@pytest.mark.parametrize("worker", [0, 1])
def test_resume(server, how, worker):
    """5: nothing is lost, nothing comes twice, in whichever worker"""
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    say(romeo, juliet, "1", "2", "3")
    assert [body(next_stanza(juliet)) for _ in range(3)] == ["1", "2", "3"]
    getattr(juliet, how)()
    say(romeo, juliet, "4", "5")
    romeo.ping()
    again, answer = resume(server, "juliet", previd, 2, worker=worker)
    assert answer.tag == f"{{{SM}}}resumed" and answer.get("previd") == previd
    assert answer.get("h") == "0"
    assert [body(next_stanza(again)) for _ in range(3)] == ["3", "4", "5"]
    say(romeo, juliet, "6")
    assert body(next_stanza(again)) == "6"
    again.send(f"<message to='{romeo.full}'><body>back</body></message>")
    got = next_stanza(romeo)
    assert got.get("from") == juliet.full and body(got) == "back"
    again.send(f"<a xmlns='{SM}' h='6'/>")
    assert ask_h(again) == 1


def test_the_session_stays_available(server):
    """5: nobody is told anything"""
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    other = server.stream("juliet", resource="other").login()
    other.presence()
    other.expect_any_order(f"<presence from='{other.full}'/>", f"<presence from='{juliet.full}'/>")
    juliet.expect(f"<presence from='{other.full}'/>")
    previd = enable(juliet)
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    other.expect_nothing()
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    other.ping()
    again.send("<presence><show>away</show></presence>")
    other.expect(f"<presence from='{juliet.full}'><show>away</show></presence>")
    assert next_stanza(again).find("{jabber:client}show").text == "away"


def test_resume_while_the_connection_is_there(server):
    """5: the server may not have noticed the loss"""
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    say(romeo, juliet, "1")
    assert body(next_stanza(juliet)) == "1"
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    assert body(next_stanza(again)) == "1"
    juliet.expect_closed(footer=False)


def test_resume_again_and_again(server):
    """5: from one connection to the next"""
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    s, handled = juliet, 0
    for i in range(6):
        s.abort()
        say(romeo, juliet, str(i))
        s, answer = resume(server, "juliet", previd, handled, worker=i % 2)
        assert answer.tag == f"{{{SM}}}resumed", i
        assert body(next_stanza(s)) == str(i)
        handled += 1
        previd = answer.get("previd")
    s.ping()


@pytest.mark.parametrize("previd", ["", "x", "0" * 40, "'\"&lt;", "f" * 16 + "a" * 24])
def test_unknown_sessions(server, previd):
    """5: item-not-found, and one may bind"""
    s, answer = resume(server, "juliet", previd.replace("'", "").replace('"', ""), 0)
    assert answer.tag == f"{{{SM}}}failed"
    assert answer[0].tag == "{urn:ietf:params:xml:ns:xmpp-stanzas}item-not-found"
    s.bind()
    s.ping()


def test_somebody_else_s_session(server):
    """5: item-not-found"""
    juliet = server.stream().login(until="online")
    previd = enable(juliet)
    s, answer = resume(server, "romeo", previd, 0)
    assert answer.tag == f"{{{SM}}}failed"
    juliet.ping()


def test_a_wrong_token(server):
    """The id cannot be guessed from the number of a connection"""
    juliet = server.stream().login(until="online")
    previd = enable(juliet)
    s, answer = resume(server, "juliet", previd[:-1] + ("a" if previd[-1] != "a" else "b"), 0)
    assert answer.tag == f"{{{SM}}}failed"
    juliet.ping()


def test_a_closed_stream_cannot_be_resumed(server):
    """5: </stream:stream> ends the session"""
    juliet = server.stream().login(until="online")
    previd = enable(juliet)
    juliet.close()
    s, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}failed"


def test_resuming_with_too_high_a_count(server):
    """5: refused, with the server's count"""
    juliet = server.stream().login(until="online")
    previd = enable(juliet)
    juliet.ping()
    juliet.abort()
    s, answer = resume(server, "juliet", previd, 5)
    assert answer.tag == f"{{{SM}}}failed" and answer.get("h") == "1"


def test_the_time_is_over(make_server):
    """5: the session ends, others are told, what waited is returned"""
    server = make_server(config={"modules": {"mod_ping": {}, "mod_stream_mgmt": {"resume_timeout": 1}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    other = server.stream("juliet", resource="other").login()
    other.presence(priority=-1)
    other.expect_any_order(f"<presence from='{other.full}'/>", f"<presence from='{juliet.full}'/>")
    juliet.expect(f"<presence from='{other.full}'/>")
    previd = enable(juliet)
    juliet.abort()
    romeo.send(f"<message to='{juliet.full}' type='chat' id='m'><body>?</body></message>")
    romeo.expect("<message type='error' id='m'><error><service-unavailable/></error></message>")
    other.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    s, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}failed"


def test_the_time_of_many_is_over(make_server):
    """At once, as after a restart: what they give back fits what survives a kill"""
    n, k, size = 60, 20, 100000
    server = make_server(config={"modules": {**MODULES, "mod_offline": {}}, "loglevel": "info"})
    romeo = server.stream("romeo", worker=0).login()
    them = [server.stream(f"user{i}", worker=1).login() for i in range(n)]
    for s in them:
        enable(s, "resume='true' max='4'")
        say(romeo, s, *(f"{i} {'x' * size}" for i in range(k)))
        romeo.ping()
    for s in them:
        s.abort()
    wait.until(lambda: server.log().count("the client did not come back") == n, "the time to be over")
    wait.until(lambda: all(int(server.ctl("get_offline_count", s.user, "example.net")) == k for s in them),
               "all to be stored")
    assert "outbox is full" not in server.log()


def test_what_waited_goes_to_another_resource(make_server):
    """RFC 6121, 8.5.3: as if the session had not been there; with the time when it was sent"""
    server = make_server(config={"modules": {"mod_ping": {}, "mod_stream_mgmt": {"resume_timeout": 1}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    enable(juliet)
    juliet.abort()
    say(romeo, juliet, "1", "2")
    other = server.stream("juliet", resource="other").login()
    other.presence()
    got = [other.next() for _ in range(5)]
    messages = [el for el in got if el.tag == "{jabber:client}message"]
    assert [body(el) for el in messages] == ["1", "2"]
    assert all(el.find("{urn:xmpp:delay}delay") is not None for el in messages)
    other.ping()


@pytest.mark.parametrize("worker", [0, 1])
def test_workers_are_killed_while_the_session_waits(make_server, worker):
    """It is in the slot"""
    server = make_server(config={"modules": MODULES})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    say(romeo, juliet, "1")
    assert body(next_stanza(juliet)) == "1"
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    server.kill_workers()
    say(romeo, juliet, "2")
    romeo.ping()
    server.kill_workers()
    again, answer = resume(server, "juliet", previd, 0, worker=worker)
    assert answer.tag == f"{{{SM}}}resumed"
    assert [body(next_stanza(again)) for _ in range(2)] == ["1", "2"]
    server.kill_workers()
    say(romeo, juliet, "3")
    assert body(next_stanza(again)) == "3"
    assert ask_h(again) == 0


def test_tls_1_2_resumes_after_a_kill(make_server):
    """Its connection dies with the worker; the session does not"""
    server = make_server(config={"modules": MODULES, "tls_takeover": False})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    enable(romeo)
    server.kill_workers()
    juliet.abort()
    wait.until(lambda: server.log().count("waits for") >= 2, "the sessions to wait")
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    again.ping()


def test_a_router_that_is_killed_hears_of_it(make_server):
    """ROUTE_SYNC names waiting sessions, too"""
    server = make_server(config={"modules": MODULES})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    old = server.processes("router")[0]["pid"]
    os.kill(old, signal.SIGKILL)
    wait.until(lambda: server.processes("router")[0]["pid"] not in (0, None, old)
               and server.ctl_status("status")[0] == 0, "another router")
    wait.until(lambda: "removed that no worker" not in server.log()
               and juliet.full in server.ctl("connected_users"), "the session to be known")
    say(romeo, juliet, "1")
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    assert body(next_stanza(again)) == "1"


def half_of_it_comes(giver, taker):
    """A worker gives a session away in more frames than a mailbox takes, and stops in between."""
    def stands_still():
        with open(f"/proc/{giver}/stat") as stat:
            now = stat.read().rpartition(")")[2].split()
        seen.append((now[0], now[11], now[12]))
        return len(seen) > 10 and len(set(seen[-10:])) == 1 and now[0] == "S"
    seen = []
    os.kill(taker, signal.SIGSTOP)
    os.kill(giver, signal.SIGCONT)
    wait.until(stands_still, "a full mailbox")
    os.kill(giver, signal.SIGSTOP)
    os.kill(taker, signal.SIGCONT)


@pytest.mark.parametrize("ends", ["before", "in between"])
def test_the_connection_ends_while_the_session_comes(make_server, ends):
    """What was given away waits in the new worker, also if nobody is there to take it"""
    server = make_server(config={"negotiation_timeout": 2, "modules": MODULES})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    taker, giver = (p["pid"] for p in sorted(server.processes("worker"), key=lambda p: p["slot"]))
    previd = enable(juliet)
    say(romeo, juliet, *(f"{i} {'x' * 30000}" for i in range(100)))
    romeo.ping()
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    lost = server.stream("juliet", worker=0).login(until="features")
    os.kill(giver, signal.SIGSTOP)
    lost.send(f"<resume xmlns='{SM}' previd='{previd}' h='0'/>")
    wait.until(lambda: "-> SM_WAIT" in server.log(), "the question")
    romeo.ping()
    if ends == "before":
        lost.expect_error("connection-timeout")
        lost.abort()
    enable(romeo, "")
    half_of_it_comes(giver, taker)
    if ends != "before":
        lost.expect_closed(footer=False)
    for _ in range(2):  # once a second the worker sees whose time is over, and asks for this
        romeo.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        next_nonza(romeo, "r", skip=("iq",))
    os.kill(giver, signal.SIGCONT)
    wait.until(lambda: server.ctl("connected_users_number") == "2", "both sessions")
    again, answer = resume(server, "juliet", previd, 0, worker=1)
    assert answer.tag == f"{{{SM}}}resumed", xml.show(answer)
    assert [int(body(next_stanza(again)).split()[0]) for i in range(100)] == list(range(100))


def test_a_worker_is_killed_while_the_session_comes(make_server):
    """What has come of it is in the slot; the rest, and who waits for it, are not lost"""
    server = make_server(config={"modules": MODULES})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    taker, giver = (p["pid"] for p in sorted(server.processes("worker"), key=lambda p: p["slot"]))
    previd = enable(juliet)
    say(romeo, juliet, *(f"{i} {'x' * 30000}" for i in range(100)))
    romeo.ping()
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    again = server.stream("juliet", worker=0).login(until="features")
    os.kill(giver, signal.SIGSTOP)
    again.send(f"<resume xmlns='{SM}' previd='{previd}' h='0'/>")
    wait.until(lambda: "-> SM_WAIT" in server.log(), "the question")
    romeo.ping()
    half_of_it_comes(giver, taker)
    romeo.ping()
    os.kill(taker, signal.SIGKILL)
    wait.until(lambda: taker not in pids(server) and 0 not in pids(server), "another worker")
    os.kill(giver, signal.SIGCONT)
    assert next_nonza(again, "resumed").get("h") == "0"
    assert [int(body(next_stanza(again)).split()[0]) for i in range(100)] == list(range(100))
    say(romeo, juliet, "more")
    assert body(next_stanza(again)) == "more"


def test_work_that_waits_for_the_client_goes_on_elsewhere(make_server):
    """Messages are given out as fast as the client reads; it does so by another connection"""
    server = make_server(config={"modules": {**MODULES, "mod_offline": {}}})
    romeo = server.stream("romeo", worker=0).login()
    account = server.account("juliet")
    for i in range(10):
        romeo.send(f"<message to='{account.user}@{account.host}' type='chat'>"
                   f"<body>{i} {'x' * 1000000}</body></message>")
    wait.until(lambda: server.ctl("get_offline_count", account.user, account.host) == "10", "all to be stored")
    juliet = server.stream("juliet", worker=0).login()
    previd = enable(juliet)
    juliet.send("<presence/>")
    wait.until(lambda: int(server.ctl("get_offline_count", account.user, account.host)) <= 7, "some to be given out")
    again, answer = resume(server, "juliet", previd, 0, worker=1)
    assert answer.tag == f"{{{SM}}}resumed"
    got = []
    while len(got) < 10:
        el = next_stanza(again)
        if el.tag == "{jabber:client}message":
            got.append(int(body(el).split()[0]))
    assert got == list(range(10))


def test_work_that_waits_for_the_router_ends_with_the_session(make_server):
    """Otherwise it would stay for ever"""
    server = make_server(config={"modules": {**MODULES, "mod_carboncopy": {}}})
    juliet = server.stream("juliet").login()
    router = server.processes("router")[0]["pid"]
    os.kill(router, signal.SIGSTOP)
    juliet.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
    juliet.abort()
    wait.until(lambda: "session closed" in server.log(), "the end of the session")
    os.kill(router, signal.SIGCONT)
    server.stop()
    assert "could not be finished" not in server.log()


def test_a_stop_keeps_what_was_not_acknowledged(make_server):
    """A session that cannot be resumed leaves it to offline storage, also in another worker"""
    server = make_server(config={"modules": {**MODULES, "mod_offline": {}}})
    romeo = server.stream("romeo", worker=1).login()
    others = [server.stream(f"user{i}", worker=1).login() for i in range(6)]
    for i, s in enumerate(others):
        enable(s, "")
        romeo.send(f"<message to='{s.full}' type='chat'><body>{i}</body></message>")
        assert body(next_stanza(s)) == str(i)
    server.stop()
    server.start()
    accounts = [s.account for s in others]
    assert [server.ctl("get_offline_count", a.user, a.host) for a in accounts] == ["1"] * 6


def test_too_much_unacknowledged(make_server):
    """A session that waits cannot take all the memory: then it ends, and all of it is answered"""
    server = make_server(config={"modules": MODULES})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    enable(juliet)
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    for i in range(17):
        romeo.send(f"<message to='{juliet.full}' type='chat' id='{i}'><body>{'x' * 1000000}</body></message>")
    errors = [romeo.next() for _ in range(17)]
    assert all(el.get("type") == "error" for el in errors)
    assert {el.get("id") for el in errors} == {str(i) for i in range(17)}
    assert "too much waits for the client" in server.log()


def test_too_many_unacknowledged(make_server):
    """max_ack_queue"""
    server = make_server(config={"modules": {"mod_ping": {}, "mod_stream_mgmt": {"max_ack_queue": 10}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    enable(juliet)
    say(romeo, juliet, *map(str, range(12)))
    for _ in range(12):
        next_stanza(juliet)
    while True:
        el = juliet.next()
        if el.tag == "{http://etherx.jabber.org/streams}error":
            break
    assert el.find("{urn:ietf:params:xml:ns:xmpp-streams}policy-violation") is not None


def test_no_answer_to_a_request(make_server):
    """ack_timeout: the connection is given up, the session waits"""
    server = make_server(config={"modules": {"mod_ping": {}, "mod_stream_mgmt": {"ack_timeout": 1}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    say(romeo, juliet, "1")
    assert body(next_stanza(juliet)) == "1"
    assert juliet.next().tag == f"{{{SM}}}r"
    juliet.expect_closed(footer=False)
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    assert body(next_stanza(again)) == "1"


def test_kicked_while_waiting(server):
    """The administrator ends it"""
    juliet = server.stream().login(until="online")
    previd = enable(juliet)
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    server.ctl("kick_user", juliet.user, juliet.host)
    wait.until(lambda: juliet.full not in server.ctl("connected_users"), "it to be gone")
    s, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}failed"


def test_order_is_kept_when_a_session_has_moved(make_server):
    """A message may go by way of the old worker, and the next one straight to the new"""
    server = make_server(config={"workers": 3, "modules": MODULES})
    romeo = server.stream("romeo", worker=0).login()
    juliet = server.stream("juliet", worker=1).login(until="online")
    previd = enable(juliet)
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    old = next(p["pid"] for p in server.processes("worker") if p["slot"] == 1)
    [router] = [p["pid"] for p in server.processes("router")]
    stopped = [router]
    os.kill(router, signal.SIGSTOP)  # the route table still shows the old worker
    try:
        again, answer = resume(server, "juliet", previd, 0, worker=2)
        assert answer.tag == f"{{{SM}}}resumed", xml.show(answer)
        say(romeo, juliet, "by way of the old one")
        assert body(next_stanza(again)) == "by way of the old one"
        os.kill(old, signal.SIGSTOP)
        stopped.append(old)
        say(romeo, juliet, "1")
        romeo.ping()
        os.kill(router, signal.SIGCONT)
        romeo.presence()
        romeo.expect(f"<presence from='{romeo.full}'/>")  # the router is behind the new route
        say(romeo, juliet, "2")
        romeo.ping()
        again.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert next_stanza(again).get("id") == "p"  # "2" waits for "1"
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert [body(next_stanza(again)) for _ in range(2)] == ["1", "2"]
    say(romeo, juliet, "3")
    assert body(next_stanza(again)) == "3"
