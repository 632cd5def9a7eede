"""Stored messages one by one: XEP-0013"""
import pytest

from harness import xml
from test_offline import messages, stored, text

NS = "http://jabber.org/protocol/offline"
INFO = f"<query xmlns='http://jabber.org/protocol/disco#info' node='{NS}'/>"
ITEMS = f"<query xmlns='http://jabber.org/protocol/disco#items' node='{NS}'/>"


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def flex_server(request, session_maker):
    return session_maker(database=request.param, workers=2,
                         config={"modules": {"mod_ping": {}, "mod_offline": {}, "mod_disco": {}}})


@pytest.fixture
def flex(flex_server):
    flex_server.new_test()
    yield flex_server
    flex_server.new_test()


def offline(inner):
    return f"<offline xmlns='{NS}'>{inner}</offline>"


def items(action, *nodes):
    return offline("".join(f"<item action='{action}' node='{n}'/>" for n in nodes))


def is_error(answer, condition):
    return xml.matches(xml.pattern(f"<iq type='error'><error><{condition}/></error></iq>"), answer)


def fill(server, n, **more):
    """n stored messages for romeo; juliet, and romeo bound without presence"""
    slots = sorted(server.worker_connections())
    juliet = server.stream("juliet", worker=slots[0]).login(until="online")
    romeo = server.account("romeo")
    for i in range(n):
        juliet.send(text(i, romeo.bare))
    stored(server, romeo, n)
    return juliet, server.stream("romeo", worker=slots[1], **more).login()


def headers(stream):
    answer = stream.request(ITEMS)
    assert answer.get("type") == "result", xml.show(answer)
    return [(i.get("jid"), i.get("node"), i.get("name")) for i in answer[0]]


def view(stream, request, ids):
    """A get whose answer comes behind messages; their nodes"""
    i = stream.next_id()
    stream.send(f"<iq type='get' id='{i}'>{request}</iq>")
    nodes = []
    for wanted in ids:
        got = stream.expect(f"<message id='{wanted}'/>")
        nodes.append(got.find(f"{{{NS}}}offline/{{{NS}}}item").get("node"))
        assert got.find("{urn:xmpp:delay}delay").get("from") == stream.host
    stream.expect(f"<iq type='result' id='{i}'/>")
    return nodes


@pytest.mark.parametrize("to", ["example.net", None])
def test_features(flex, to):
    """2.1; XEP-0160, 4"""
    r = flex.stream("romeo").login()
    answer = r.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
    features = [f.get("var") for f in answer[0] if f.tag.endswith("}feature")]
    assert NS in features and "msgoffline" in features
    headers(r)  # and disco knows its other nodes
    assert is_error(r.request("<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>"), "item-not-found")


def test_how_many(flex):
    """2.2"""
    _, r = fill(flex, 3)
    answer = r.request(INFO)
    assert xml.matches(xml.pattern(
        f"<iq type='result'><query xmlns='http://jabber.org/protocol/disco#info' node='{NS}'>"
        f"<identity category='automation' type='message-list'/><feature var='{NS}'/>"
        "<x xmlns='jabber:x:data' type='result'>"
        f"<field var='FORM_TYPE' type='hidden'><value>{NS}</value></field>"
        "<field var='number_of_messages'><value>3</value></field></x></query></iq>"), answer), xml.show(answer)


def test_headers_view_remove(flex):
    """2.3, 2.4, 2.5: what has been viewed stays; what has been removed is gone"""
    juliet, r = fill(flex, 4)
    found = headers(r)
    nodes = [n for _, n, _ in found]
    assert [(j, f) for j, _, f in found] == [(r.bare, juliet.full)] * 4
    assert nodes == sorted(nodes) and len(set(nodes)) == 4
    assert view(r, items("view", nodes[2], nodes[0]), ["m2", "m0"]) == [nodes[2], nodes[0]]
    assert r.request(items("remove", nodes[0], nodes[3]), "set").get("type") == "result"
    assert [n for _, n, _ in headers(r)] == nodes[1:3]
    assert view(r, offline("<fetch/>"), ["m1", "m2"]) == nodes[1:3]
    assert r.request(offline("<purge/>"), "set").get("type") == "result"
    assert headers(r) == []
    stored(flex, flex.account("romeo"), 0)


@pytest.mark.parametrize("request_", [INFO, ITEMS, offline("<fetch/>")], ids=["info", "items", "fetch"])
def test_no_flood(flex, request_):
    """2.2, 2.6: neither for the session that asked, nor for another one while it is there"""
    _, r = fill(flex, 2)
    i = r.next_id()
    r.send(f"<iq type='get' id='{i}'>{request_}</iq><presence/>")
    got = []
    while len(got) < (4 if "fetch" in request_ else 2):
        got.append(r.next())
    assert f"{{jabber:client}}presence" in [e.tag for e in got]
    r.expect_nothing()
    other = flex.stream("romeo").login(until="bound")
    other.presence()
    other.expect_any_order(f"<presence from='{other.full}'/>", f"<presence from='{r.full}'/>")
    other.expect_nothing()
    stored(flex, flex.account("romeo"), 2)
    other.close()
    r.close()
    last = flex.stream("romeo").login(until="online")
    assert messages(last, 2) == ["m0", "m1"]


def test_in_session_messages_come_as_usual(flex):
    """2.2"""
    juliet, r = fill(flex, 1)
    headers(r)
    r.presence()
    r.expect(f"<presence from='{r.full}'/>")
    juliet.send(text("live", r.bare))
    r.expect("<message id='mlive'/>")


def test_what_there_is_not(flex):
    """2.4, 2.5: item-not-found, and then nothing is shown or removed"""
    _, r = fill(flex, 2)
    nodes = [n for _, n, _ in headers(r)]
    for wrong in ("0", "999999999999", "x", "99999999999999999999999"):
        assert is_error(r.request(items("view", nodes[0], wrong)), "item-not-found")
        assert is_error(r.request(items("remove", nodes[0], wrong), "set"), "item-not-found")
    assert [n for _, n, _ in headers(r)] == nodes


def test_somebody_else_s(flex):
    """2.3 and 4: forbidden, whether there is such an account or not"""
    juliet, r = fill(flex, 1)
    for to in (r.bare, "no-such-user@example.net"):
        for text_ in (INFO, ITEMS, offline("<fetch/>"), items("view", "1")):
            assert is_error(juliet.request(text_, to=to), "forbidden")
        assert is_error(juliet.request(offline("<purge/>"), "set", to=to), "forbidden")
    stored(flex, flex.account("romeo"), 1)


@pytest.mark.parametrize("kind, inner", [
    ("get", ""), ("get", "<purge/>"), ("set", "<fetch/>"), ("get", "<fetch/><fetch/>"),
    ("get", "<item action='remove' node='1'/>"), ("set", "<item action='view' node='1'/>"),
    ("get", "<item action='view'/>"), ("get", "<item node='1'/>"),
    ("set", "<item action='remove' node='1'/><purge/>"), ("get", "<x xmlns='urn:example'/>")])
def test_bad_requests(flex, kind, inner):
    """Nothing is changed"""
    _, r = fill(flex, 1)
    assert is_error(r.request(offline(inner), kind), "bad-request")
    stored(flex, flex.account("romeo"), 1)


def test_too_many_items(flex):
    """Of one request: policy-violation"""
    r = flex.stream("romeo").login()
    assert is_error(r.request(items("view", *range(1, 102))), "policy-violation")


def test_all_of_many(flex):
    """Over several pages, each when the client has taken the one before"""
    _, r = fill(flex, 250)
    assert len(headers(r)) == 250
    nodes = view(r, offline("<fetch/>"), [f"m{i}" for i in range(250)])
    assert nodes == [n for _, n, _ in headers(r)]
    assert view(r, items("view", *nodes[10:110]), [f"m{i}" for i in range(10, 110)]) == nodes[10:110]


def test_workers_die(flex):
    """What was asked for is answered once, and no message is shown twice"""
    _, r = fill(flex, 300)
    i = r.next_id()
    r.send(f"<iq type='get' id='{i}'>{offline('<fetch/>')}</iq>")
    got = []
    for n in range(300):
        if n in (0, 120):
            flex.kill_workers()
        got.append(r.next().get("id"))
    assert got == [f"m{n}" for n in range(300)]
    r.expect(f"<iq type='result' id='{i}'/>")
    r.expect_nothing()
    i = r.next_id()
    r.send(f"<iq type='set' id='{i}'>{offline('<purge/>')}</iq>")
    flex.kill_workers()
    r.expect(f"<iq type='result' id='{i}'/>")
    stored(flex, flex.account("romeo"), 0)
