"""What a client may not say in the server's name: XEP-0203, 8; XEP-0359, 5; and what it may

Carbons: test_carbons.py.
"""
import pytest

from harness import xml


@pytest.fixture(scope="module")
def forged_server(session_maker):
    return session_maker(workers=2, hosts=("example.net", "example.org"))


@pytest.fixture
def pair(forged_server):
    forged_server.new_test()
    yield forged_server.pair(until="online")
    forged_server.new_test()


def passed(pair, inner):
    """The children that arrive, by namespace and name"""
    juliet, romeo = pair
    juliet.send(f"<message to='{romeo.full}' type='chat' id='m'>{inner}<body>x</body></message>")
    got = romeo.expect("<message id='m'><body>x</body></message>")
    return [e for e in got if not e.tag.endswith("}body")]


@pytest.mark.parametrize("by", ["{romeo}", "{juliet}", "example.net", "Example.ORG", "room@example.org/nick"])
@pytest.mark.parametrize("element", ["<stanza-id xmlns='urn:xmpp:sid:0' by='{}' id='1'/>",
                                     "<archived xmlns='urn:xmpp:mam:tmp' by='{}' id='1'/>"])
def test_ids_in_the_name_of_our_archives(pair, element, by):
    """XEP-0359, 3, rule 2 and 5.3"""
    by = by.format(romeo=pair[1].bare, juliet=pair[0].bare)
    assert passed(pair, element.format(by)) == []


def test_ids_of_others(pair):
    """XEP-0359, 3: they are kept, and so is the sender's own"""
    got = passed(pair, "<stanza-id xmlns='urn:xmpp:sid:0' by='room@elsewhere.example' id='1'/>"
                       "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>"
                       f"<stanza-id xmlns='urn:xmpp:sid:0' by='{pair[1].bare}' id='2'/>"
                       "<stanza-id xmlns='urn:xmpp:sid:0' by='@' id='3'/>")
    assert [(e.tag, e.get("id")) for e in got] == [
        ("{urn:xmpp:sid:0}stanza-id", "1"), ("{urn:xmpp:sid:0}origin-id", "o"), ("{urn:xmpp:sid:0}stanza-id", "3")]


def test_delays(pair):
    """XEP-0203, 8: not in the name of our hosts; of a client's own queue it may speak"""
    def delay(who):
        return f"<delay xmlns='urn:xmpp:delay' {who} stamp='2001-01-01T00:00:00Z'/>"
    got = passed(pair, delay("from='example.net'") + delay("from='EXAMPLE.org'") + delay("")
                 + delay(f"from='{pair[0].full}'") + delay("from='elsewhere.example'")
                 + "<x xmlns='jabber:x:delay' from='example.net' stamp='20010101T00:00:00'/>")
    assert [e.get("from") for e in got] == [None, pair[0].full, "elsewhere.example"]


def test_all_hints_arrive(pair):
    """XEP-0334: they are for every server and client on the way"""
    names = ["no-permanent-store", "no-store", "no-copy", "store"]
    got = passed(pair, "".join(f"<{n} xmlns='urn:xmpp:hints'/>" for n in names))
    assert [e.tag for e in got] == [f"{{urn:xmpp:hints}}{n}" for n in names]


def test_what_is_inside_of_others_is_not_looked_at(pair):
    """XEP-0297: a forwarded message carries its own"""
    got = passed(pair, "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' from='example.net'"
                       " stamp='2001-01-01T00:00:00Z'/><message xmlns='jabber:client'>"
                       f"<stanza-id xmlns='urn:xmpp:sid:0' by='{pair[1].bare}' id='2'/></message></forwarded>")
    assert len(got) == 1 and len(got[0]) == 2 and len(got[0][1]) == 1, xml.show(got[0])
