"""Message carbons: XEP-0280 1.0.1, urn:xmpp:carbons:rules:0; hints of XEP-0334

Juliet is in one worker; Romeo's clients are in either: phone and laptop want copies, tv does not.
"""
import pytest

from harness import xml
from test_offline import stored

NS = "urn:xmpp:carbons:2"
CHAT_STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


@pytest.fixture(scope="module")
def carbons_server(session_maker):
    return session_maker(workers=2, hosts=("example.net", "example.org"), config={
        "modules": {"mod_ping": {}, "mod_carboncopy": {}, "mod_offline": {}, "mod_disco": {}}})


@pytest.fixture
def carbons(carbons_server):
    carbons_server.new_test()
    yield carbons_server
    carbons_server.new_test()


def enable(stream, what="enable"):
    answer = stream.request(f"<{what} xmlns='{NS}'/>", "set")
    assert answer.get("type") == "result", xml.show(answer)


class Romeo:
    def __init__(self, server, priorities=(0, 0, 0), copies=(True, True, False)):
        slots = sorted(server.worker_connections())
        self.all = [server.stream("romeo", worker=slots[i % 2], resource=r).login()
                    for i, r in enumerate(("phone", "laptop", "tv"))]
        self.phone, self.laptop, self.tv = self.all
        for s, wanted in zip(self.all, copies):
            if wanted:
                enable(s)
        there = []
        for s, p in zip(self.all, priorities):
            if p is None:
                continue
            s.presence(p)
            s.expect_any_order(*(f"<presence from='{o.full}'/>" for o in (s, *there)))
            for o in there:
                o.expect(f"<presence from='{s.full}'/>")
            there.append(s)
        self.bare = self.phone.bare


def juliet_of(server):
    return server.stream("juliet", worker=sorted(server.worker_connections())[0]).login(until="online")


def is_copy(stream, way, inner, kind="chat"):
    """The next stanza is a copy; returns what is forwarded."""
    got = stream.expect(f"<message from='{stream.bare}' to='{stream.full}'><{way} xmlns='{NS}'>"
                        f"<forwarded xmlns='urn:xmpp:forward:0'/></{way}></message>")
    assert got.get("type", "normal") == kind
    forwarded = got.find(f"{{{NS}}}{way}/{{urn:xmpp:forward:0}}forwarded")
    assert len(forwarded) == 1 and len(got) == 1
    assert xml.matches(xml.pattern(inner), forwarded[0]), xml.show(got)
    return forwarded[0]


def fence(sender, *receivers):
    """Whatever the sender caused before has come by now, and nothing of it was for them."""
    for r in receivers:
        i = sender.next_id()
        sender.send(f"<message to='{r.full}' id='{i}' type='headline'/>")
        r.expect(f"<message id='{i}' from='{sender.full}'/>")


@pytest.mark.parametrize("to", ["example.net", None])
def test_features(carbons, to):
    """3; 6.2: with all of its rules"""
    r = carbons.stream("romeo").login()
    answer = r.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
    features = [f.get("var") for f in answer[0] if f.tag.endswith("}feature")]
    assert NS in features and "urn:xmpp:carbons:rules:0" in features


# 4 and 5: on and off


def test_on_and_off(carbons):
    """4, 5, 8: as often as the client likes"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons, copies=(False, False, False))
    for _ in range(2):
        enable(romeo.phone)
    juliet.send(f"<message to='{romeo.tv.full}' type='chat'><body>1</body></message>")
    is_copy(romeo.phone, "received", "<message><body>1</body></message>")
    for _ in range(2):
        enable(romeo.phone, "disable")
    juliet.send(f"<message to='{romeo.tv.full}' type='chat'><body>2</body></message>")
    fence(juliet, romeo.phone, romeo.laptop)


@pytest.mark.parametrize("kind, to, inner, condition", [
    ("get", None, f"<enable xmlns='{NS}'/>", "bad-request"),
    ("set", None, f"<other xmlns='{NS}'/>", "bad-request"),
    ("set", "example.net", f"<enable xmlns='{NS}'/>", "service-unavailable"),
    ("set", "juliet@example.net", f"<enable xmlns='{NS}'/>", "service-unavailable")])
def test_requests_that_are_refused(carbons, kind, to, inner, condition):
    """4.2: only for oneself"""
    r = carbons.stream("romeo").login()
    answer = r.request(inner, kind, to=to)
    assert xml.matches(xml.pattern(f"<iq type='error'><error><{condition}/></error></iq>"), answer)


# 7: received


@pytest.mark.parametrize("way", ["bare", "full"])
def test_received(carbons, way):
    """7: each client gets the message once, as itself or as a copy; who did not ask gets no copy"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons, priorities=(0, 5, 0))
    to = romeo.bare if way == "bare" else romeo.laptop.full
    juliet.send(f"<message to='{to}' type='chat' id='a' xml:lang='it'><body>&lt;O&gt; ü</body>"
                "<thread>t</thread></message>")
    romeo.laptop.expect(f"<message from='{juliet.full}' to='{to}' id='a'><body>&lt;O&gt; ü</body></message>")
    got = is_copy(romeo.phone, "received", f"<message from='{juliet.full}' to='{to}' id='a' type='chat'>"
                                           "<body>&lt;O&gt; ü</body><thread>t</thread></message>")
    assert got.get("{http://www.w3.org/XML/1998/namespace}lang") == "it"
    fence(juliet, *romeo.all)


def test_who_has_a_negative_priority(carbons):
    """7: every client that wants copies and did not get it, also one that said nothing"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons, priorities=(-5, None, 0))
    juliet.send(f"<message to='{romeo.bare}' type='chat'><body>?</body></message>")
    romeo.tv.expect("<message><body>?</body></message>")
    for s in (romeo.phone, romeo.laptop):
        is_copy(s, "received", "<message><body>?</body></message>")


def test_what_is_stored_is_copied(carbons):
    """7 with XEP-0160: nobody may have the message, but who wants copies gets one, once"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons, priorities=(-5, None, -1))
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='m'><body>?</body></message>")
    stored(carbons, carbons.account("romeo"), 1)
    for s in (romeo.phone, romeo.laptop):
        is_copy(s, "received", "<message id='m'><body>?</body></message>")
    fence(juliet, *romeo.all)
    romeo.tv.presence()
    romeo.tv.expect(f"<presence from='{romeo.tv.full}'/>")
    romeo.tv.expect("<message id='m'><body>?</body></message>")
    romeo.phone.expect(f"<presence from='{romeo.tv.full}'/>")
    fence(juliet, *romeo.all)


def test_what_is_refused_is_not_copied(carbons):
    """A lone chat state is not stored: its sender gets an error, nobody a copy"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons, priorities=(-5, -5, -1))
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='m'>{CHAT_STATE}</message>")
    juliet.expect("<message type='error' id='m'><error><service-unavailable/></error></message>")
    fence(juliet, *romeo.all)


# 6: which messages


BODY = "<body>x</body>"
RULES = {
    "chat": ("chat", "", True),
    "chat state": ("chat", CHAT_STATE, True),
    "normal with body": ("normal", BODY, True),
    "normal without": ("normal", "<x xmlns='urn:example'/>", False),
    "normal receipt": ("normal", "<received xmlns='urn:xmpp:receipts' id='x'/>", True),
    "normal marker": ("normal", "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>", True),
    "headline": ("headline", BODY, False),
    "groupchat": ("groupchat", BODY, False),
    "private": ("chat", f"{BODY}<private xmlns='{NS}'/>", False),
    "no-copy": ("chat", f"{BODY}<no-copy xmlns='urn:xmpp:hints'/>", False),
    "private and no-copy": ("chat", f"{BODY}<private xmlns='{NS}'/><no-copy xmlns='urn:xmpp:hints'/>", False),
    "no-store": ("chat", f"{BODY}<no-store xmlns='urn:xmpp:hints'/>", True),
    "direct invitation": ("normal", "<x xmlns='jabber:x:conference' jid='r@c'/>", True),
    "mediated invitation": ("normal", "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>", True),
    "error": ("error", f"{BODY}<error type='cancel'><gone xmlns='{xml.NS_STANZAS}'/></error>", True),
}


@pytest.mark.parametrize("case", RULES, ids=lambda c: c.replace(" ", "-"))
def test_rules(carbons, case):
    """6.1, received and sent alike; 6.2 and 8.1: private ones reach their recipient with all that is in them"""
    kind, inner, copied = RULES[case]
    juliet, romeo = juliet_of(carbons), Romeo(carbons)
    other = carbons.stream("juliet").login()
    enable(other)
    juliet.send(f"<message to='{romeo.tv.full}' type='{kind}' id='m'>{inner}</message>")
    romeo.tv.expect(f"<message id='m'>{inner}</message>")
    if copied:
        is_copy(other, "sent", f"<message id='m' from='{juliet.full}' to='{romeo.tv.full}'>{inner}</message>", kind)
        for s in (romeo.phone, romeo.laptop):
            is_copy(s, "received", f"<message id='m'>{inner}</message>", kind)
    fence(juliet, *romeo.all)
    other.expect_nothing()


def test_private_messages_of_rooms(carbons):
    """6.1: not copied when received, copied when sent"""
    inner = "<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>"
    juliet, romeo = juliet_of(carbons), Romeo(carbons)
    other = carbons.stream("juliet").login()
    enable(other)
    juliet.send(f"<message to='{romeo.tv.full}' type='chat' id='m'>{inner}</message>")
    romeo.tv.expect("<message id='m'/>")
    is_copy(other, "sent", "<message id='m'/>")
    fence(juliet, *romeo.all)


# 8: sent


@pytest.mark.parametrize("to", ["juliet", "example.org", "elsewhere", "nobody", "server"])
def test_sent(carbons, to):
    """8: wherever it goes, whatever becomes of it"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons)
    target = {"juliet": juliet.full, "example.org": carbons.account("nurse", "example.org").bare,
              "elsewhere": "a@elsewhere.example/b", "nobody": "no-such-user@example.net",
              "server": "example.net"}[to]
    romeo.tv.send(f"<message to='{target}' type='chat' id='s'><body>Hi</body></message>")
    if to == "juliet":
        juliet.expect("<message id='s'/>")
    for s in (romeo.phone, romeo.laptop):
        got = is_copy(s, "sent", f"<message from='{romeo.tv.full}' to='{target}' id='s'><body>Hi</body></message>") \
            if to in ("juliet", "example.org") else None
        if got is None:
            # The error for the sender is one for all of his clients (6.1): before or after.
            kinds = set()
            for _ in range(2):
                el = s.expect(f"<message from='{romeo.bare}'/>")
                kinds.add((el[0].tag.rpartition("}")[2], el.get("type")))
            assert kinds == {("sent", "chat"), ("received", "error")}
    if to not in ("juliet", "example.org"):
        romeo.tv.expect(f"<message type='error' id='s' from='{target}'/>")
    romeo.tv.expect_nothing()


def test_the_sender_gets_no_copy(carbons):
    """8"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons)
    romeo.phone.send(f"<message to='{juliet.bare}' type='chat' id='s'><body>Hi</body></message>")
    juliet.expect("<message id='s'/>")
    is_copy(romeo.laptop, "sent", "<message id='s'/>")
    fence(juliet, *romeo.all)


@pytest.mark.parametrize("way", ["bare", "full"])
def test_to_oneself(carbons, way):
    """Each client once: the message, or one copy; the sender nothing that it has"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons, priorities=(0, 0, 5))
    to = romeo.bare if way == "bare" else romeo.tv.full
    romeo.phone.send(f"<message to='{to}' type='chat' id='s'><body>Note</body></message>")
    romeo.tv.expect("<message id='s'/>")
    is_copy(romeo.laptop, "sent", "<message id='s'/>")
    fence(juliet, *romeo.all)


def test_one_session_comes_to_know_of_another(carbons):
    """What a session's worker remembers of the others is never out of date"""
    juliet = juliet_of(carbons)
    slots = sorted(carbons.worker_connections())
    phone = carbons.stream("romeo", worker=slots[0]).login(until="bound")
    for slot in (*slots, *slots):
        phone.send(f"<message to='{juliet.full}' type='chat' id='1'/>")
        juliet.expect("<message id='1'/>")
        laptop = carbons.stream("romeo", worker=slot).login(until="bound")
        phone.send(f"<message to='{juliet.full}' type='chat' id='2'/>")
        juliet.expect("<message id='2'/>")
        enable(laptop)
        phone.send(f"<message to='{juliet.full}' type='chat' id='3'/>")
        juliet.expect("<message id='3'/>")
        is_copy(laptop, "sent", "<message id='3'/>")
        enable(laptop, "disable")
        phone.send(f"<message to='{juliet.full}' type='chat' id='4'/>")
        juliet.expect("<message id='4'/>")
        laptop.expect_nothing()
        enable(laptop)
        laptop.close()
        phone.expect_nothing()


# 9 and 11


def test_a_copy_that_fails_is_nobody_s_business(carbons):
    """9: no error for the sender when a client has just gone, nor when it answers with one"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons)
    romeo.phone.reset()
    for i in range(20):
        juliet.send(f"<message to='{romeo.tv.full}' type='chat' id='m{i}'><body>x</body></message>")
    got = [romeo.tv.next().get("id") for _ in range(21)]
    assert [g for g in got if g] == [f"m{i}" for i in range(20)]
    for _ in range(21):
        romeo.laptop.next()
    romeo.laptop.send(f"<message to='{romeo.bare}' type='error' id='x'>"
                      f"<error type='cancel'><gone xmlns='{xml.NS_STANZAS}'/></error></message>")
    romeo.laptop.expect_nothing()
    juliet.expect_nothing()


@pytest.mark.parametrize("way", ["sent", "received"])
@pytest.mark.parametrize("body", ["", "<body>x</body>"])
def test_nobody_forges_copies(carbons, way, body):
    """11: clients have believed them; no client has reason to send one"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons)
    for to in (romeo.bare, romeo.phone.full, juliet.bare, "a@elsewhere.example"):
        juliet.send(f"<message to='{to}' type='chat' id='f'>{body}<{way} xmlns='{NS}'>"
                    f"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{romeo.bare}/x'"
                    f" to='{romeo.bare}'><body>Forged</body></message></forwarded></{way}></message>")
        juliet.expect(f"<message type='error' id='f' from='{to}'><error type='modify'><policy-violation/></error></message>")
    fence(juliet, *romeo.all)


def test_forwarding_is_no_forgery(carbons):
    """XEP-0297: what a user forwards is not a copy"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons, copies=(False, False, False))
    juliet.send(f"<message to='{romeo.phone.full}' type='chat' id='f'><forwarded xmlns='urn:xmpp:forward:0'>"
                "<message xmlns='jabber:client' from='a@b'/></forwarded></message>")
    romeo.phone.expect("<message id='f'><forwarded xmlns='urn:xmpp:forward:0'/></message>")


def test_workers_die(carbons):
    """Whoever wanted copies wants them still; none is lost, none comes twice"""
    juliet, romeo = juliet_of(carbons), Romeo(carbons)
    n = 120
    for i in range(n):
        juliet.send(f"<message to='{romeo.tv.full}' type='chat' id='m{i}'><body>{i}</body></message>")
        if i in (20, 80):
            carbons.kill_workers()
    for i in range(n):
        romeo.tv.expect(f"<message id='m{i}'/>")
        for s in (romeo.phone, romeo.laptop):
            is_copy(s, "received", f"<message id='m{i}'/>")
    romeo.tv.send(f"<message to='{juliet.full}' type='chat' id='back'/>")
    for s in (romeo.phone, romeo.laptop):
        is_copy(s, "sent", "<message id='back'/>")
