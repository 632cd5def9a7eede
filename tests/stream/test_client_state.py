"""Client state indication: XEP-0352; stamps of XEP-0203

Juliet and Nurse speak, Romeo's client is inactive. Both users are in one worker, or in two.
"""
import datetime
import re

import pytest

from harness import wait, xml
from harness.roster import befriend, online
from test_sm import enable as sm_enable, resume

NS = "urn:xmpp:csi:0"
ACTIVE, INACTIVE = f"<active xmlns='{NS}'/>", f"<inactive xmlns='{NS}'/>"
CHAT_STATES = "http://jabber.org/protocol/chatstates"
MODULES = {"mod_ping": {}, "mod_roster": {}, "mod_client_state": {}, "mod_carboncopy": {},
           "mod_stream_mgmt": {}}


@pytest.fixture(scope="module")
def csi_server(session_maker):
    return session_maker(workers=2, hosts=("example.net", "example.org", "example.com", "example.edu"), config={
        "modules": MODULES, "append_host_config": {
            "example.org": {"modules": {"mod_client_state": {"queue_presence": False}}},
            "example.com": {"modules": {"mod_client_state": {"queue_chat_states": False, "queue_pep": False}}},
            "example.edu": {"modules": {"mod_client_state": {
                "queue_presence": False, "queue_chat_states": False, "queue_pep": False}}}}})


@pytest.fixture
def server(csi_server):
    csi_server.new_test()
    yield csi_server
    csi_server.new_test()


@pytest.fixture(params=["one worker", "two workers"])
def friends(request, server):
    return pair(server, request.param == "two workers")


def pair(server, apart=True, host="example.net"):
    """juliet, and romeo, who is inactive"""
    slots = sorted(server.worker_connections())
    juliet = online(server.stream("juliet", host, worker=slots[0]).login())
    romeo = online(server.stream("romeo", host, worker=slots[1 if apart else 0], resource="r").login())
    befriend(juliet, romeo)
    server.held_before = server.counter("held")
    return juliet, inactive(romeo)


def inactive(stream):
    stream.send(INACTIVE)
    return stream.ping()


def held(server):
    return server.counter("held"), server.counter("held_dropped")


def waiting(server, romeo, n):
    """So many stanzas have been held since pair(), and the client has seen nothing."""
    wait.until(lambda: server.counter("held") - server.held_before == n, f"{n} held stanzas")
    romeo.expect_nothing()


def status(stream, text):
    stream.send(f"<presence><status>{text}</status></presence>")
    stream.expect(f"<presence from='{stream.full}'><status>{text}</status></presence>")


def stamp(el):
    delay = el.find("{urn:xmpp:delay}delay")
    assert delay is not None, xml.show(el)
    assert delay.get("from") == el.get("to").partition("/")[0].partition("@")[2] and delay.text == "Client Inactive"
    return datetime.datetime.fromisoformat(delay.get("stamp").replace("Z", "+00:00"))


def chat_state(to, state, inner=""):
    return f"<message to='{to}' type='chat'><{state} xmlns='{CHAT_STATES}'/>{inner}</message>"


def event(to, node, inner="<item id='1'/>"):
    return (f"<message to='{to}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>"
            f"<items node='{node}'>{inner}</items></event></message>")


# 4: the protocol


def test_feature(server):
    """4.1: after authentication; not where nothing waits"""
    juliet = server.stream().login(until="tls")
    assert juliet.features.find(f"{{{NS}}}csi") is None
    juliet.authenticate().open()
    assert juliet.features.find(f"{{{NS}}}csi") is not None
    nobody = server.stream("juliet", "example.edu").login(until="features")
    assert nobody.features.find(f"{{{NS}}}csi") is None


def test_no_answer(server):
    """4.2: to neither; as often as the client likes"""
    juliet = server.stream().login(until="online")
    juliet.send((INACTIVE * 2 + ACTIVE * 2) * 3)
    juliet.expect_nothing()


@pytest.mark.parametrize("element", [f"<idle xmlns='{NS}'/>", "<inactive xmlns='urn:example'/>"])
def test_others_are_unknown(server, element):
    """RFC 6120, 4.9.3.24"""
    juliet = server.stream().login(until="online")
    juliet.send(element)
    juliet.expect_error("unsupported-stanza-type")


def test_not_before_a_resource_is_bound(server):
    juliet = server.stream().login(until="features")
    juliet.send(INACTIVE)
    juliet.expect_error("unsupported-stanza-type")


# What waits


def test_presence_waits(server, friends):
    """Only the newest of each address, with the time when it came, before the answer to a ping (5.1)"""
    juliet, romeo = friends
    before = datetime.datetime.now(datetime.timezone.utc)
    for i in range(5):
        status(juliet, f"s{i}")
    waiting(server, romeo, 5)
    sent = datetime.datetime.now(datetime.timezone.utc)
    i = romeo.next_id()
    romeo.send(f"{ACTIVE}<iq type='get' id='{i}' to='{romeo.host}'><ping xmlns='urn:xmpp:ping'/></iq>")
    got = romeo.expect(f"<presence from='{juliet.full}' to='{romeo.bare}'><status>s4</status></presence>")
    assert before <= stamp(got) <= sent
    romeo.expect(f"<iq type='result' id='{i}'/>")
    status(juliet, "live")
    got = romeo.expect(f"<presence from='{juliet.full}'><status>live</status></presence>")
    assert got.find("{urn:xmpp:delay}delay") is None


def test_unavailable_presence_waits(server, friends):
    juliet, romeo = friends
    status(juliet, "there")
    juliet.close()
    waiting(server, romeo, 2)
    romeo.send(ACTIVE)
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    romeo.expect_nothing()


def test_order(server, friends):
    """As they came: what is replaced goes to the end"""
    juliet, romeo = friends
    nurse = server.stream("nurse").login(until="online")
    for s, n in ((juliet, 1), (nurse, 2), (juliet, 3)):
        s.send(f"<presence to='{romeo.full}'><status>{n}</status></presence>")
        waiting(server, romeo, n)
    juliet.send(chat_state(romeo.full, "paused"))
    waiting(server, romeo, 4)
    romeo.send(ACTIVE)
    romeo.expect(f"<presence from='{nurse.full}'><status>2</status></presence>")
    romeo.expect(f"<presence from='{juliet.full}'><status>3</status></presence>")
    stamp(romeo.expect(f"<message from='{juliet.full}'><paused xmlns='{CHAT_STATES}'/></message>"))


def test_chat_states_wait(server, friends):
    """XEP-0085: the newest of each peer, if there is nothing else in it"""
    juliet, romeo = friends
    for state in ("active", "composing", "paused"):
        juliet.send(chat_state(romeo.bare, state))
    waiting(server, romeo, 3)
    juliet.send(chat_state(romeo.bare, "active", "<body>Hi</body>"))
    romeo.expect(f"<message from='{juliet.full}'><paused xmlns='{CHAT_STATES}'/></message>")
    romeo.expect(f"<message from='{juliet.full}'><active xmlns='{CHAT_STATES}'/><body>Hi</body></message>")


def test_events_wait(server, friends):
    """XEP-0163: the newest of a node, unless it says something else"""
    juliet, romeo = friends
    juliet.send(event(romeo.full, "tune") + event(romeo.full, "mood") + event(romeo.full, "tune", "<item id='2'/>"))
    juliet.send(event(romeo.full, "tune", "<retract id='2'/>") + event(romeo.full, "tune", "<item id='3'/>"))
    waiting(server, romeo, 5)
    romeo.send(ACTIVE)
    got = [(lambda i: (i.get("node"), i[0].tag.rpartition("}")[2], i[0].get("id")))(romeo.next()[0][0])
           for _ in range(3)]
    assert got == [("mood", "item", "1"), ("tune", "retract", "2"), ("tune", "item", "3")]
    romeo.expect_nothing()


@pytest.mark.parametrize("stanza", [
    "<message to='{}' type='chat' id='x'><body>Hi</body></message>",
    "<message to='{}' type='chat' id='x'><received xmlns='urn:xmpp:receipts' id='y'/></message>",
    "<message to='{}' type='headline' id='x'><body>News</body></message>",
    "<iq to='{}' type='get' id='x'><q xmlns='urn:example'/></iq>",
    "<presence to='{}' type='subscribe' id='x'/>",
    "<presence to='{}' id='x'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>",
    "<presence to='{}' id='x' type='error'/>"],
    ids=["body", "receipt", "headline", "iq", "subscribe", "self-presence", "error"])
def test_what_does_not_wait(server, friends, stanza):
    """It comes at once, and before it what is held of the same sender, not that of others"""
    juliet, romeo = friends
    nurse = server.stream("nurse").login(until="online")
    nurse.send(f"<presence to='{romeo.full}'><status>nurse</status></presence>")
    status(juliet, "first")
    waiting(server, romeo, 2)
    juliet.send(stanza.format(romeo.full))
    if "subscribe" not in stanza:  # that comes from the bare address, through the home
        stamp(romeo.expect(f"<presence from='{juliet.full}'><status>first</status></presence>"))
        romeo.expect(re.sub(" to='{}'", "", stanza).replace("{}", ""))
    else:
        romeo.expect_nothing()  # a subscription that there is already
        romeo.send(ACTIVE)
        romeo.expect_any_order(f"<presence from='{juliet.full}'/>", f"<presence from='{nurse.full}'/>")
        return
    romeo.send(ACTIVE)
    romeo.expect(f"<presence from='{nurse.full}'><status>nurse</status></presence>")
    romeo.expect_nothing()


def test_one_s_own_devices_do_not_wait(server):
    """Copies of what the user sends, and of his reading (XEP-0280); copies of others' states do"""
    juliet, romeo = pair(server)
    assert romeo.request("<enable xmlns='urn:xmpp:carbons:2'/>", "set").get("type") == "result"
    tv = server.stream("romeo", resource="tv").login(until="bound")
    tv.send(chat_state(juliet.full, "composing"))
    juliet.expect(f"<message from='{tv.full}'/>")
    romeo.expect(f"<message from='{romeo.bare}'><sent xmlns='urn:xmpp:carbons:2'/></message>")
    juliet.send(chat_state(tv.full, "paused"))
    tv.expect("<message/>")
    waiting(server, romeo, 1)
    juliet.send(f"<message to='{tv.full}' type='chat'><body>Hi</body></message>")
    tv.expect("<message/>")
    stamp(romeo.expect(f"<message from='{romeo.bare}'><received xmlns='urn:xmpp:carbons:2'/></message>"))
    got = romeo.expect(f"<message from='{romeo.bare}'><received xmlns='urn:xmpp:carbons:2'/></message>")
    assert got.find("{urn:xmpp:delay}delay") is None


def test_its_own_presence_does_not_wait(server, friends):
    """It is the answer to what the client just said"""
    _, romeo = friends
    status(romeo, "asleep")


def test_initial_presence_of_an_inactive_client(server, friends):
    """What contacts have said waits, as what they say"""
    juliet, romeo = friends
    romeo.close()
    juliet.expect(f"<presence from='{romeo.full}' type='unavailable'/>")
    r = inactive(server.stream("romeo").login())
    r.send("<presence/>")
    r.expect(f"<presence from='{r.full}'/>")
    waiting(server, r, 1)
    r.send(ACTIVE)
    r.expect(f"<presence from='{juliet.full}'/>")


def test_nothing_old_after_an_absence(server, friends):
    """Who goes and comes back is told anew: what was held goes out before"""
    juliet, romeo = friends
    status(juliet, "there")
    waiting(server, romeo, 1)
    romeo.send("<presence type='unavailable'/>")
    romeo.expect(f"<presence from='{romeo.full}' type='unavailable'/>")
    romeo.expect(f"<presence from='{juliet.full}'><status>there</status></presence>")
    juliet.expect(f"<presence from='{romeo.full}' type='unavailable'/>")
    juliet.close()
    wait.until(lambda: server.ctl("num_resources", juliet.user, juliet.host) == "0", "the end")
    romeo.send(f"<presence/>{ACTIVE}")
    romeo.expect(f"<presence from='{romeo.full}'/>")
    romeo.expect_nothing()


# Limits, and the end


def test_too_many(server, friends):
    """As ejabberd's: 100; then all go out, in order"""
    juliet, romeo = friends
    for i in range(101):
        juliet.send(event(romeo.full, f"n{i}"))
    assert [romeo.next()[0][0].get("node") for _ in range(100)] == [f"n{i}" for i in range(100)]
    waiting(server, romeo, 101)
    romeo.send(ACTIVE)
    assert romeo.next()[0][0].get("node") == "n100"


def test_too_much(server, friends):
    """Half a megabyte"""
    juliet, romeo = friends
    size = 100_000
    for i in range(6):
        juliet.send(event(romeo.full, f"n{i}", f"<item id='1'><x xmlns='urn:x'>{'x' * size}</x></item>"))
    assert [romeo.next()[0][0].get("node") for _ in range(5)] == [f"n{i}" for i in range(5)]
    romeo.expect_nothing()


def test_the_counters(server, friends):
    """What was held, what was of no use in the end"""
    juliet, romeo = friends
    before = held(server)
    for i in range(3):
        status(juliet, f"s{i}")
    juliet.send(chat_state(romeo.full, "gone"))
    waiting(server, romeo, 4)
    assert [a - b for a, b in zip(held(server), before)] == [4, 2]
    romeo.reset()
    juliet.expect(f"<presence from='{romeo.full}' type='unavailable'/>")
    wait.until(lambda: [a - b for a, b in zip(held(server), before)] == [4, 4], "the end of its list")


# Options


def test_queue_presence(server):
    """false: only the others wait"""
    juliet, romeo = pair(server, host="example.org")
    juliet.send(chat_state(romeo.full, "gone") + event(romeo.full, "tune"))
    waiting(server, romeo, 2)
    status(juliet, "now")
    romeo.expect("<message/>")
    romeo.expect("<message/>")
    romeo.expect("<presence><status>now</status></presence>")


def test_queue_chat_states_and_pep(server):
    """false: only presence waits"""
    juliet, romeo = pair(server, host="example.com")
    status(juliet, "later")
    waiting(server, romeo, 1)
    for stanza in (chat_state(romeo.full, "gone"), event(romeo.full, "tune")):
        juliet.send(stanza)
        if "gone" in stanza:
            romeo.expect("<presence><status>later</status></presence>")
        romeo.expect("<message/>")


# DESIGN: surviving


@pytest.mark.parametrize("slots", [(0,), (1,), (0, 1)])
def test_workers_die(server, slots):
    """What is held is still held, goes out once, and the client is still inactive"""
    juliet, romeo = pair(server)
    nurse = server.stream("nurse", worker=sorted(server.worker_connections())[0]).login(until="online")

    def settle():
        """What juliet's worker has sent has come to romeo's."""
        juliet.ping()
        i = nurse.next_id()
        nurse.send(f"<iq type='get' id='{i}' to='{romeo.full}'><x xmlns='urn:example'/></iq>")
        romeo.expect(f"<iq id='{i}' type='get'/>")

    for i in range(40):
        juliet.send(event(romeo.full, f"n{i}"))
        if i == 20:
            server.kill_workers(slots)
    settle()
    status(juliet, "s")
    settle()
    server.kill_workers(slots)
    juliet.send(event(romeo.full, "n40"))
    settle()
    romeo.send(ACTIVE)
    assert [romeo.next()[0][0].get("node") for _ in range(40)] == [f"n{i}" for i in range(40)]
    romeo.expect("<presence><status>s</status></presence>")
    assert romeo.next()[0][0].get("node") == "n40"
    romeo.expect_nothing()


@pytest.mark.parametrize("worker", [0, 1])
def test_resumption(server, worker):
    """5.2: a session that is resumed is active, and gets what was held"""
    juliet, romeo = pair(server)
    previd = sm_enable(romeo)
    status(juliet, "asleep")
    waiting(server, romeo, 1)
    romeo.reset()
    slots = sorted(server.worker_connections())
    r, answer = resume(server, "romeo", previd, 1, worker=slots[worker])
    assert answer.tag == "{urn:xmpp:sm:3}resumed", xml.show(answer)
    r.full = romeo.full
    stamp(r.expect("<presence><status>asleep</status></presence>"))
    status(juliet, "live")
    got = r.next()
    while got.tag == "{urn:xmpp:sm:3}r":
        got = r.next()
    assert xml.matches(xml.pattern("<presence><status>live</status></presence>"), got)
