"""Entity capabilities: XEP-0115; over two workers, on both databases

What the server has found out about a client is only to be seen in its log here: that is for
other modules (PEP).
"""
import base64
import hashlib

import pytest

from harness import wait, xml
from harness.database import sql

CAPS = "http://jabber.org/protocol/caps"
INFO = "http://jabber.org/protocol/disco#info"
MODULES = {"mod_ping": {}, "mod_disco": {}, "mod_stream_mgmt": {}, "mod_caps": {"cache_size": 3}}
NODE = "http://client.example.net/?a=1&b=2"


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config={"modules": MODULES}, database=request.param)


class Client:
    """What a client says of itself; unique: so that no other test knows it."""
    number = 0

    def __init__(self, *features, node=NODE):
        Client.number += 1
        self.features = [INFO, CAPS, f"urn:test:{Client.number}", *features]
        self.node = node

    def info(self, features=None):
        return "<identity category='client' type='pc' name='Test'/>" + "".join(
            f"<feature var='{xml.escape(f)}'/>" for f in features or self.features)

    def ver(self, hash_name="sha1"):
        text = "client/pc//Test<" + "".join(f + "<" for f in sorted(self.features))
        return base64.b64encode(hashlib.new(hash_name, text.encode()).digest()).decode()

    def c(self, hash_name="sha-1", ver=None):
        hash_text = f" hash='{hash_name}'" if hash_name else ""
        ver = ver or self.ver()
        return f"<c xmlns='{CAPS}'{hash_text} node='{xml.escape(self.node)}' ver='{ver}'/>"


def rows(server, node, ver):
    found = sql(server, "select feature from caps_features where node = ? and subnode = ? order by feature",
                node, ver)
    return [f for (f,) in found]


def come(stream, inner):
    """Available presence that carries these capabilities."""
    stream.presence(inner=inner)
    stream.expect(f"<presence from='{stream.full}'/>")


def question(stream, node):
    attribute = f" node='{xml.escape(node)}'" if node else ""
    got = stream.expect(f"<iq type='get' from='{stream.host}' to='{stream.full}'>"
                        f"<query xmlns='{INFO}'{attribute}/></iq>")
    assert (got[0].get("node") is None) == (node is None)
    return got


def answer(stream, asked, info):
    stream.send(f"<iq type='result' id='{xml.escape(asked.get('id'))}' to='{stream.host}'>"
                f"<query xmlns='{INFO}'>{info}</query></iq>")


def known(server, stream, times=1):
    pattern = f"capabilities known .*jid={stream.full} "
    wait.until(lambda: sum(1 for line in server.log().splitlines()
                           if "capabilities known " in line and f"jid={stream.full} " in line) >= times,
               pattern)


def own(stream):
    c = stream.features.find(f"{{{CAPS}}}c")
    return c.get("hash"), c.get("node"), c.get("ver")


def own_hash(query):
    """5.1, for what the server says of itself."""
    parts = ["{}/{}/{}/{}<".format(i.get("category"), i.get("type"), "", i.get("name", ""))
             for i in query.findall(f"{{{INFO}}}identity")]
    parts += sorted(f.get("var") + "<" for f in query.findall(f"{{{INFO}}}feature"))
    for form in query.findall("{jabber:x:data}x"):
        parts.append(form[0][0].text + "<")
        for field in sorted(form[1:], key=lambda f: f.get("var")):
            parts.append(field.get("var") + "<")
            parts += sorted(v.text + "<" for v in field)
    return base64.b64encode(hashlib.sha1("".join(parts).encode()).digest()).decode()


def test_of_the_server(server):
    """6.3, 6.2: in the stream features; the node is what is said to everybody"""
    juliet = server.stream().login(until="tls")
    assert juliet.features.find(f"{{{CAPS}}}c") is None
    juliet.authenticate().open()
    name, node, ver = own(juliet)
    juliet.bind()
    assert name == "sha-1" and ":" in node
    plain, of_node = (juliet.request(f"<query xmlns='{INFO}'{n}/>", to=juliet.host)[0]
                      for n in ("", f" node='{node}#{ver}'"))
    assert [xml.show(e) for e in plain] == [xml.show(e) for e in of_node]
    assert own_hash(plain) == ver and of_node.get("node") == f"{node}#{ver}"
    assert CAPS in [f.get("var") for f in plain.findall(f"{{{INFO}}}feature")]
    for other in f"{node}#{ver[:-2]}x=", f"{node}#", node, ver:
        error = juliet.request(f"<query xmlns='{INFO}' node='{other}'/>", to=juliet.host)
        assert xml.error_of(error) == ("cancel", "item-not-found")


def test_of_the_server_change_with_its_configuration(make_server):
    """6.1: recomputed; also a form counts (XEP-0128)"""
    server = make_server(workers=1, config={"modules": MODULES})
    before = server.stream().login(until="features")
    modules = dict(MODULES, mod_private={}, mod_disco={"server_info": [
        {"modules": "all", "name": "abuse-addresses", "urls": ["xmpp:b@x", "xmpp:a@x"]}]})
    server.write_config(modules=modules)
    server.ctl("reload_config")
    after = server.stream().login(until="features")
    assert own(before)[:2] == own(after)[:2] and own(before)[2] != own(after)[2]
    after.bind()
    query = after.request(f"<query xmlns='{INFO}'/>", to=after.host)[0]
    assert own_hash(query) == own(after)[2]


def test_without_disco(make_server):
    """Nothing to announce"""
    server = make_server(workers=1, config={"modules": {"mod_caps": {}}})
    assert server.stream().login(until="features").features.find(f"{{{CAPS}}}c") is None


def test_a_client_is_asked_once(server):
    """5.4, 8.2: verified, stored, and known for everybody who announces the same"""
    juliet, romeo = server.pair()
    client = Client("urn:é&'", "a" * 500)
    come(juliet, client.c())
    answer(juliet, question(juliet, f"{NODE}#{client.ver()}"), client.info())
    known(server, juliet)
    wait.until(lambda: rows(server, NODE, client.ver()) == sorted(client.features), "the rows")
    come(romeo, client.c())
    known(server, romeo)
    romeo.expect_nothing()


def test_known_to_others(server):
    """8.2: neither in this worker nor in the other one anybody is asked again"""
    slots = sorted(server.worker_connections())
    client = Client()
    juliet = server.stream("juliet", worker=slots[0]).login()
    come(juliet, client.c())
    answer(juliet, question(juliet, f"{NODE}#{client.ver()}"), client.info())
    wait.until(lambda: rows(server, NODE, client.ver()) == sorted(client.features), "the rows")
    for slot in slots[:2]:
        other = server.stream("romeo", worker=slot, resource=f"r{slot}").login()
        other.send(f"<presence><priority>{-1 - slot}</priority>{client.c()}</presence>")
        known(server, other)
        other.send("<presence type='unavailable'/>")
        while other.next().get("type") != "unavailable":
            pass
        other.expect_nothing()
        other.close()


def test_many_at_once(server):
    """8.2: of those who come together one is asked"""
    client = Client()
    slot = sorted(server.worker_connections())[0]
    crowd = [server.stream(n, worker=slot).login() for n in ("juliet", "romeo", "nurse")]
    for s in crowd:
        come(s, client.c())
    asked = question(crowd[0], f"{NODE}#{client.ver()}")
    for s in crowd[1:]:
        s.expect_nothing()
    answer(crowd[0], asked, client.info())
    for s in crowd:
        known(server, s)
        s.expect_nothing()


def test_the_same_again(server):
    """Presence that says the same is nothing new; other capabilities are"""
    juliet = server.stream().login()
    first, second = Client(), Client()
    come(juliet, first.c())
    answer(juliet, question(juliet, f"{NODE}#{first.ver()}"), first.info())
    known(server, juliet)
    come(juliet, "<show>away</show>" + first.c())
    juliet.expect_nothing()
    come(juliet, second.c())
    answer(juliet, question(juliet, f"{NODE}#{second.ver()}"), second.info())
    known(server, juliet, 2)
    come(juliet, "")
    come(juliet, second.c())
    known(server, juliet, 3)
    juliet.expect_nothing()


@pytest.mark.parametrize("wrong", ["other features", "twice", "an error", "nothing"])
def test_what_does_not_verify(server, wrong):
    """5.4: used for that client alone; the next one is asked"""
    juliet, romeo = server.pair()
    client = Client()
    info = {"other features": client.info(client.features + ["urn:evil"]),
            "twice": client.info(client.features + [INFO]), "nothing": ""}.get(wrong)
    come(juliet, client.c())
    asked = question(juliet, f"{NODE}#{client.ver()}")
    if info is None:
        juliet.send(f"<iq type='error' id='{asked.get('id')}' to='{juliet.host}'><error type='cancel'>"
                    f"<service-unavailable xmlns='{xml.NS_STANZAS}'/></error></iq>")
    else:
        answer(juliet, asked, info)
    known(server, juliet)
    come(juliet, client.c() + "<show>away</show>")
    juliet.expect_nothing()
    come(romeo, client.c())
    answer(romeo, question(romeo, f"{NODE}#{client.ver()}"), client.info())
    known(server, romeo)
    wait.until(lambda: rows(server, NODE, client.ver()) == sorted(client.features), "the rows")


@pytest.mark.parametrize("hash_name", [None, "md5", "x-none"])
def test_what_cannot_be_verified(server, hash_name):
    """5.4: another hash, or the old format: for that client alone"""
    client = Client()
    node = f"{NODE}#1.0" if hash_name else None
    for s in server.pair():
        come(s, client.c(hash_name, "1.0"))
        answer(s, question(s, node), client.info())
        known(server, s)
    assert rows(server, NODE, "1.0") == []


def test_other_hashes(server):
    """9.1: more than SHA-1"""
    juliet, romeo = server.pair()
    client = Client()
    ver = client.ver("sha256")
    come(juliet, client.c("sha-256", ver))
    answer(juliet, question(juliet, f"{NODE}#{ver}"), client.info())
    wait.until(lambda: rows(server, NODE, ver) == sorted(client.features), "the rows")
    come(romeo, client.c("sha-256", ver))
    known(server, romeo)
    romeo.expect_nothing()


def test_too_much(server):
    """So many features are none: nobody else gets them"""
    juliet = server.stream().login()
    client = Client(*(f"urn:f:{i}" for i in range(1000)))
    come(juliet, client.c())
    answer(juliet, question(juliet, f"{NODE}#{client.ver()}"), client.info())
    known(server, juliet)
    assert rows(server, NODE, client.ver()) == []


def test_capabilities_that_are_none(server):
    """Not worth a question: without a node, without ver, or far too long"""
    juliet = server.stream().login()
    for attributes in ("ver='x' hash='sha-1'", "node='x' hash='sha-1'", "node='' ver='' hash='sha-1'",
                       f"node='{'x' * 1001}' ver='x' hash='sha-1'", "node='a&#10;b' ver='x' hash='sha-1'"):
        come(juliet, f"<c xmlns='{CAPS}' {attributes}/>")
        juliet.expect_nothing()


def test_one_question_at_a_time(server):
    """Whoever announces something else each time is not asked each time"""
    juliet = server.stream().login()
    clients = [Client() for _ in range(20)]
    come(juliet, clients[0].c())
    asked = question(juliet, f"{NODE}#{clients[0].ver()}")
    for client in clients[1:]:
        come(juliet, client.c())
    juliet.expect_nothing()
    answer(juliet, asked, clients[0].info())
    wait.until(lambda: rows(server, NODE, clients[0].ver()), "the first one's rows")
    answer(juliet, question(juliet, f"{NODE}#{clients[-1].ver()}"), clients[-1].info())
    known(server, juliet)
    juliet.expect_nothing()


def test_a_session_that_moves(server):
    """XEP-0198: what its client can do is known in the next worker, too"""
    slots = sorted(server.worker_connections())
    juliet = server.stream("juliet", worker=slots[0]).login()
    client = Client()
    come(juliet, client.c())
    answer(juliet, question(juliet, f"{NODE}#{client.ver()}"), client.info())
    known(server, juliet)
    juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    enabled = juliet.expect("<enabled xmlns='urn:xmpp:sm:3'/>")
    juliet.abort()
    again = server.stream("juliet", worker=slots[1]).login(until="features")
    again.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{enabled.get('id')}' h='0'/>")
    again.expect("<resumed xmlns='urn:xmpp:sm:3'/>")
    known(server, juliet, 2)


def test_the_cache_is_bounded(server):
    """cache_size: what has left the cache is in the database"""
    slot = sorted(server.worker_connections())[0]
    juliet = server.stream("juliet", worker=slot).login()
    clients = [Client() for _ in range(5)]
    for i, client in enumerate(clients):
        come(juliet, client.c())
        answer(juliet, question(juliet, f"{NODE}#{client.ver()}"), client.info())
        known(server, juliet, i + 1)
    wait.until(lambda: all(rows(server, NODE, c.ver()) for c in clients), "the rows")
    for i, client in enumerate(clients):
        come(juliet, client.c())
        known(server, juliet, 6 + i)
    juliet.expect_nothing()


def test_in_the_middle_of_a_kill(server):
    """The client is asked again when the worker that asked has died"""
    juliet, romeo = server.pair()
    client = Client()
    for s in juliet, romeo:
        come(s, client.c())
        question(s, f"{NODE}#{client.ver()}")
    server.kill_workers()
    for s in juliet, romeo:
        answer(s, question(s, f"{NODE}#{client.ver()}"), client.info())
        known(server, s)
    wait.until(lambda: rows(server, NODE, client.ver()) == sorted(client.features), "the rows")
    server.kill_workers()
    for s in juliet, romeo:
        s.ping()  # Its account is read again, and so is what it can do.
        known(server, s, 2)
        s.expect_nothing()
