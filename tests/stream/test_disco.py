"""Service discovery: XEP-0030, with XEP-0128 and XEP-0157; over two workers"""
import pytest

from harness import roster, xml

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
MODULES = {
    "mod_ping": {},
    "mod_roster": {},
    "mod_disco": {
        "extra_domains": ["irc.example.net", "Conference.example.org"],
        "server_info": [
            {"modules": "all", "name": "abuse-addresses",
             "urls": ["mailto:abuse@@HOST@", "xmpp:abuse@@HOST@"]},
            {"modules": ["mod_disco", "mod_muc"], "name": "support-addresses",
             "urls": "https://support.example.net/?a=1&b=2"},
            {"modules": ["mod_muc"], "name": "admin-addresses", "urls": ["xmpp:muc@example.net"]},
        ]},
}


@pytest.fixture(scope="module")
def shared_server(session_maker):
    return session_maker(config={"modules": MODULES})


def info(stream, to=None, node=None):
    return ask(stream, INFO, to, node)


def items(stream, to=None, node=None):
    return ask(stream, ITEMS, to, node)


def ask(stream, ns, to, node):
    attribute = f" node='{xml.escape(node)}'" if node else ""
    return stream.request(f"<query xmlns='{ns}'{attribute}/>", to=to)


def query_of(answer, ns=INFO):
    assert answer.get("type") == "result", xml.show(answer)
    return answer.find(f"{{{ns}}}query")


def features(answer):
    found = [f.get("var") for f in query_of(answer).findall(f"{{{INFO}}}feature")]
    assert len(found) == len(set(found)), f"twice: {found}"
    return found


def item_jids(answer):
    return [i.get("jid") for i in query_of(answer, ITEMS).findall(f"{{{ITEMS}}}item")]


def test_what_the_server_is(server):
    """XEP-0030, 3.1: the identity, and the features of the modules that are loaded"""
    juliet = server.stream().login()
    answer = info(juliet, server.hosts[0])
    identities = query_of(answer).findall(f"{{{INFO}}}identity")
    assert [dict(i.attrib) for i in identities] == [
        {"category": "server", "type": "im", "name": "stanzad"}]
    assert {INFO, ITEMS, "urn:xmpp:ping"} <= set(features(answer))


def test_the_name_of_the_server(make_server):
    """ejabberd's mod_disco: option name"""
    server = make_server(workers=1, config={"modules": {"mod_disco": {"name": "Montague & Co"}}})
    query = query_of(info(server.stream().login(), server.hosts[0]))
    assert query.find(f"{{{INFO}}}identity").get("name") == "Montague & Co"
    assert features(info(server.stream().login(), server.hosts[0])) == [INFO, ITEMS]


def test_addresses_of_contact(server):
    """XEP-0157: a form (XEP-0128) behind the features, of the entries for this module"""
    juliet = server.stream().login()
    form = query_of(info(juliet, server.hosts[0]))[-1]
    assert form.tag == "{jabber:x:data}x" and form.get("type") == "result"
    fields = [(f.get("var"), f.get("type"), [v.text for v in f]) for f in form]
    assert fields == [
        ("FORM_TYPE", "hidden", ["http://jabber.org/network/serverinfo"]),
        ("abuse-addresses", None, ["mailto:abuse@example.net", "xmpp:abuse@example.net"]),
        ("support-addresses", None, ["https://support.example.net/?a=1&b=2"])]


def test_addresses_of_contact_that_are_none(make_server):
    """The structure of server_info is checked when the configuration is read"""
    server = make_server(start=False, config={"modules": {"mod_disco": {
        "server_info": [{"name": "abuse-addresses", "url": "mailto:abuse@example.net"}]}}})
    server.process = server.spawn("-t", "-c", server.conf_file, "-d", server.dir)
    assert server.process.wait(60) != 0
    server.process = None
    assert "expected a list of maps with the keys modules, name or urls, got url" in server.stderr()


def test_items_of_the_server(server):
    """XEP-0030, 4.1; ejabberd's mod_disco: option extra_domains"""
    juliet = server.stream().login()
    assert item_jids(items(juliet, server.hosts[0])) == ["irc.example.net", "conference.example.org"]


def test_unknown_nodes_of_the_server(server):
    """XEP-0030, 7: item-not-found"""
    juliet = server.stream().login()
    for ask_for in info, items:
        answer = ask_for(juliet, server.hosts[0], "no such & node")
        assert xml.error_of(answer) == ("cancel", "item-not-found")


def test_one_of_type_set(server):
    """RFC 6120, 8.2.3: discovery is a get"""
    juliet = server.stream().login()
    for to in server.hosts[0], juliet.bare:
        answer = juliet.request(f"<query xmlns='{INFO}'/>", "set", to)
        assert xml.error_of(answer) == ("cancel", "not-allowed")


def test_ones_own_account(server):
    """XEP-0030, 3.1: the identity account/registered; with and without an address"""
    for juliet in server.pair("juliet", "romeo"):
        for to in juliet.bare, None:
            answer = info(juliet, to)
            identity = query_of(answer).find(f"{{{INFO}}}identity")
            assert dict(identity.attrib) == {"category": "account", "type": "registered"}
            assert {INFO, ITEMS, "urn:xmpp:ping"} <= set(features(answer))


def test_resources_of_ones_own_account(server):
    """XEP-0030, 4.1: those that are available"""
    slots = sorted(server.worker_connections())
    one = server.stream("juliet", worker=slots[0]).login(until="online")
    two = server.stream("juliet", worker=slots[1]).login()
    assert item_jids(items(two, two.bare)) == [one.full]
    two.presence()
    two.expect_any_order(f"<presence from='{one.full}'/>", f"<presence from='{two.full}'/>")
    assert sorted(item_jids(items(two))) == sorted([one.full, two.full])


def test_nodes_of_ones_own_account(server):
    """XEP-0030, 7"""
    juliet = server.stream().login()
    assert xml.error_of(info(juliet, juliet.bare, "none")) == ("cancel", "item-not-found")
    assert xml.error_of(items(juliet, juliet.bare, "none")) == ("cancel", "item-not-found")


def test_accounts_of_others(server):
    """XEP-0030, 8: nobody can tell an account from none"""
    juliet, romeo = server.pair("juliet", "romeo", until="online")
    for to in romeo.bare, f"nobody@{server.hosts[0]}":
        for node in None, "node":
            assert xml.error_of(info(juliet, to, node)) == ("cancel", "service-unavailable")
            query = query_of(items(juliet, to, node), ITEMS)
            assert len(query) == 0 and query.get("node") == node


def test_accounts_of_contacts(server):
    """XEP-0030, 8: who is subscribed may ask, not the other way round"""
    juliet, romeo = (roster.online(s) for s in server.pair("juliet", "romeo"))
    roster.subscription(juliet, "subscribe", romeo.bare)
    roster.take_push(juliet)
    romeo.expect(f"<presence type='subscribe' from='{juliet.bare}'/>")
    roster.subscription(romeo, "subscribed", juliet.bare)
    roster.take_push(romeo)
    juliet.expect("<presence type='subscribed'/>")
    roster.take_push(juliet)
    juliet.expect(f"<presence from='{romeo.full}'/>")
    identity = query_of(info(juliet, romeo.bare)).find(f"{{{INFO}}}identity")
    assert dict(identity.attrib) == {"category": "account", "type": "registered"}
    assert item_jids(items(juliet, romeo.bare)) == [romeo.full]
    for node in "none", "x":
        assert xml.error_of(info(juliet, romeo.bare, node)) == ("cancel", "item-not-found")
        assert xml.error_of(items(juliet, romeo.bare, node)) == ("cancel", "item-not-found")
    assert xml.error_of(info(romeo, juliet.bare)) == ("cancel", "service-unavailable")
    assert item_jids(items(romeo, juliet.bare)) == []
    roster.subscription(romeo, "unsubscribed", juliet.bare)
    roster.take_push(romeo)
    _, others = roster.take_until_pushes(juliet, 1)
    assert {kind for kind, _ in others} == {"unavailable", "unsubscribed"}
    roster.expect_nothing_but_unavailable(juliet)
    assert xml.error_of(info(juliet, romeo.bare)) == ("cancel", "service-unavailable")
    assert item_jids(items(juliet, romeo.bare)) == []


def test_a_client_answers_for_itself(server):
    """XEP-0030, 3.1: what is sent to a full address goes there"""
    juliet, romeo = server.pair("juliet", "romeo", until="online")
    juliet.send(f"<iq type='get' id='d' to='{romeo.full}'><query xmlns='{INFO}'/></iq>")
    romeo.expect(f"<iq type='get' id='d' from='{juliet.full}'><query xmlns='{INFO}'/></iq>")


def test_in_the_middle_of_a_kill(server):
    """A worker that dies before it has answered is asked again by itself"""
    juliet, romeo = server.pair("juliet", "romeo", until="online")
    server.kill_workers()
    assert item_jids(items(juliet)) == [juliet.full]
    assert item_jids(items(romeo, romeo.bare)) == [romeo.full]
