"""Ad-hoc commands: XEP-0050"""
import pytest

from harness import xml

NS = "http://jabber.org/protocol/commands"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
DATA = "jabber:x:data"


@pytest.fixture(scope="module")
def shared_server(session_maker):
    return session_maker(config={"modules": {"mod_ping": {}, "mod_disco": {}, "mod_adhoc": {}}})


def command(stream, node, attributes="", inner="", to=None, kind="set"):
    return stream.request(f"<command xmlns='{NS}' node='{xml.escape(node)}' {attributes}>{inner}</command>",
                          kind=kind, to=to or stream.host)


def conditions(answer):
    """type, condition, and the more precise one of XEP-0050"""
    error = answer.find(f"{{{xml.NS_CLIENT}}}error")
    more = [c.tag for c in error if c.tag.startswith(f"{{{NS}}}")]
    return (*xml.error_of(answer), more[0].partition("}")[2] if more else None)


def items(stream, to, node=NS):
    at = f" node='{node}'" if node else ""
    answer = stream.request(f"<query xmlns='{ITEMS}'{at}/>", to=to)
    assert answer.get("type") == "result", xml.show(answer)
    return [(i.get("jid"), i.get("node"), i.get("name"))
            for i in answer.find(f"{{{ITEMS}}}query")]


def test_the_list_of_commands(server):
    """XEP-0050, 2.2, 2.3: items and info of the node; the feature"""
    juliet = server.stream().login()
    assert items(juliet, juliet.host) == [(juliet.host, "ping", "Ping")]
    assert items(juliet, juliet.host, None) == []
    assert items(juliet, juliet.bare) == []
    answer = juliet.request(f"<query xmlns='{INFO}' node='{NS}'/>", to=juliet.host)
    query = answer.find(f"{{{INFO}}}query")
    assert dict(query[0].attrib) == {"category": "automation", "type": "command-list", "name": "Commands"}
    answer = juliet.request(f"<query xmlns='{INFO}'/>", to=juliet.host)
    assert NS in [f.get("var") for f in answer.iter(f"{{{INFO}}}feature")]


def test_what_a_command_is(server):
    """XEP-0050, 2.3: command-node, and its features"""
    juliet = server.stream().login()
    query = juliet.request(f"<query xmlns='{INFO}' node='ping'/>", to=juliet.host)[0]
    assert query.get("node") == "ping"
    assert dict(query[0].attrib) == {"category": "automation", "type": "command-node", "name": "Ping"}
    assert [f.get("var") for f in query[1:]] == [NS, DATA]
    answer = juliet.request(f"<query xmlns='{INFO}' node='pong'/>", to=juliet.host)
    assert xml.error_of(answer) == ("cancel", "item-not-found")


def test_it_is_said_where_the_commands_are(make_server):
    """ejabberd's option report_commands_node"""
    server = make_server(workers=1, config={"modules": {
        "mod_disco": {}, "mod_adhoc": {"report_commands_node": True}}})
    juliet = server.stream().login()
    assert items(juliet, juliet.host, None) == [(juliet.host, NS, "Commands")]


def test_a_command_without_stages(server):
    """XEP-0050, 3.1: done at once, with a note"""
    juliet = server.stream().login()
    for attributes in ("", "action='execute'", "action='execute' xml:lang='en'"):
        done = command(juliet, "ping", attributes)[0]
        assert (done.get("status"), done.get("node")) == ("completed", "ping")
        assert done.get("sessionid")
        assert [(n.get("type"), n.text) for n in done] == [("info", "Pong")]


@pytest.mark.parametrize("attributes, inner, wanted", [
    ("action='complete'", "", ("modify", "bad-request", "bad-action")),
    ("action='cancel'", "", ("modify", "bad-request", "bad-action")),
    ("action='dance'", "", ("modify", "bad-request", "malformed-action")),
    ("xml:lang='&amp;'", "", ("modify", "bad-request", "bad-locale")),
    ("", f"<x xmlns='{DATA}' type='result'/>", ("modify", "bad-request", "bad-payload")),
    ("", f"<x xmlns='{DATA}' type='submit'><field/></x>", ("modify", "bad-request", "bad-payload")),
    ("sessionid='1'", "", ("modify", "bad-request", "bad-sessionid")),
    ("sessionid='1-4-4-ffffffff-00000000000000000000000000000000'", "",
     ("modify", "bad-request", "bad-sessionid")),
])
def test_errors(server, attributes, inner, wanted):
    """XEP-0050, 4.4"""
    juliet = server.stream().login()
    assert conditions(command(juliet, "ping", attributes, inner)) == wanted


def test_commands_that_are_not_there(server):
    """XEP-0050, 3.1, example 7; RFC 6120, 8.4"""
    juliet = server.stream().login()
    assert xml.error_of(command(juliet, "pong")) == ("cancel", "item-not-found")
    assert xml.error_of(command(juliet, "ping", to=juliet.bare)) == ("cancel", "service-unavailable")
    romeo = server.account("romeo")
    assert xml.error_of(command(juliet, "ping", to=romeo.bare)) == ("cancel", "service-unavailable")
    assert xml.error_of(command(juliet, "ping", to=f"nobody@{juliet.host}")) == (
        "cancel", "service-unavailable")
    assert xml.error_of(command(juliet, "ping", kind="get")) == ("modify", "bad-request")
