"""Contact lists: RFC 6121, section 2 (mod_roster)"""
import os
import signal
import xml.etree.ElementTree as ET

import pytest

from harness import roster, wait, xml
from harness.database import change_many, sql
from harness.roster import (NS, change, get, interested, item, items, query, refused,
                            take_push)

MODULES = {"mod_ping": {}, "mod_roster": {"versioning": True, "store_current_id": True,
                                          "max_items": 30}}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(database=request.param, config={"modules": MODULES})


@pytest.fixture(scope="module")
def shared_sqlite(session_maker):
    """Default options: no versions."""
    return session_maker(config={"modules": {"mod_ping": {}, "mod_roster": {}}})


def two_of(server, name="juliet"):
    """Two sessions of one account, in two workers."""
    return [server.stream(name, worker=i, resource="ab"[i]).login() for i in (0, 1)]


# 2.1 and 2.2

def test_an_empty_roster(server):
    """2.1.4"""
    q = get(server.stream().login())
    assert q is not None and len(q) == 0


def test_a_roster_get_to_one_s_own_address(server):
    """2.1.3: `to` is not needed, but one's bare address is the same"""
    juliet = server.stream().login()
    answer = juliet.request(query(), to=juliet.bare)
    assert answer.get("type") == "result" and answer.get("from") == juliet.bare


def test_a_roster_get_with_content(server):
    """2.1.3: no item in it"""
    juliet = server.stream().login()
    juliet.send(f"<iq type='get' id='g'>{query(item('romeo@example.net'))}</iq>")
    juliet.expect("<iq type='error' id='g'><error><bad-request/></error></iq>")


@pytest.mark.parametrize("kind", ["get", "set"])
def test_the_roster_of_somebody_else(server, kind):
    """2.3.3: forbidden, whether there is such an account or not"""
    juliet, romeo = server.stream("juliet").login(), server.stream("romeo").login()
    interested(romeo)
    inner = item("mercutio@example.net") if kind == "set" else ""
    for bare in (romeo.bare, "nobody-at-all@example.net"):
        answer = juliet.request(query(inner), kind, to=bare)
        assert xml.matches(xml.pattern(
            "<iq type='error'><error><forbidden/></error></iq>"), answer), xml.show(answer)
    romeo.expect_nothing()
    assert len(get(romeo)) == 0
    answer = juliet.request(query(inner), kind, to=juliet.host)
    assert answer.get("type") == "error"


def test_pushes_go_to_interested_resources_only(server):
    """2.1.6, 2.2: who has asked for the roster"""
    a, b = two_of(server)
    c = server.stream("juliet", resource="c").login()
    interested(a)
    interested(b)
    q = change(a, item("romeo@example.net"), b)
    assert items(q) == {"romeo@example.net": ("none", None, None, [], None)}
    c.expect_nothing()


def test_who_is_interested_stays_so(make_server):
    """2.1.6: after the death of workers and router; nobody had to be told of it before"""
    server = make_server(workers=2, config={"modules": MODULES})
    a, b = (interested(s) for s in two_of(server))
    change(a, item("romeo@example.net"), b)
    os.kill(server.processes("router")[0]["pid"], signal.SIGKILL)
    server.kill_workers()
    change(b, item("nurse@example.net"), a)
    assert len(items(get(a))) == 2


def test_a_push_comes_from_the_account(server):
    """2.1.6: from the bare address, to the full one, with an id of its own each time"""
    juliet = interested(server.stream().login())
    ids = set()
    for name in ("Romeo", "R"):
        i = juliet.next_id()
        juliet.send(f"<iq type='set' id='{i}'>{query(item('romeo@example.net', name=name))}</iq>")
        juliet.expect(f"<iq type='result' id='{i}'/>")
        got = juliet.expect(f"<iq type='set' from='{juliet.bare}' to='{juliet.full}'>{query()}</iq>")
        ids.add(got.get("id"))
    assert len(ids) == 2 and None not in ids


# 2.3 to 2.5

def test_adding_changing_removing(server):
    """2.3, 2.4, 2.5, over two workers"""
    a, b = (interested(s) for s in two_of(server))
    jid = "romeo@example.net"
    change(a, item(jid, "<group>Friends</group><group>Verona</group>", name="Romeo"), b)
    wanted = {jid: ("none", None, "Romeo", ["Friends", "Verona"], None)}
    assert items(get(a)) == items(get(b)) == wanted
    change(b, item(jid, "<group>Lovers</group>"), a)
    wanted = {jid: ("none", None, None, ["Lovers"], None)}
    assert items(get(a)) == items(get(b)) == wanted
    q = change(a, item(jid, subscription="remove"), b)
    assert items(q)[jid][0] == "remove"
    assert items(get(a)) == items(get(b)) == {}


def test_the_same_again(server):
    """2.3.2: answered and pushed, though nothing changes"""
    juliet = interested(server.stream().login())
    first = change(juliet, item("romeo@example.net", name="R"))
    again = change(juliet, item("romeo@example.net", name="R"))
    assert first.get("ver") == again.get("ver")


def test_removing_what_is_not_there(server):
    """2.5.3"""
    juliet = server.stream().login()
    refused(juliet, item("romeo@example.net", subscription="remove"), "item-not-found")


@pytest.mark.parametrize("text, condition", [
    ("", "bad-request"),
    (item("a@example.net") + item("b@example.net"), "bad-request"),
    ("<thing jid='a@example.net'/>", "bad-request"),
    ("<item xmlns='other' jid='a@example.net'/>", "bad-request"),
    ("<item name='nobody'/>", "bad-request"),
    (item(""), "jid-malformed"),
    (item("a@b@c"), "jid-malformed"),
    (item("@example.net"), "jid-malformed"),
    (item("a@example.net/"), "jid-malformed"),
    (item("a@example.net", "<group>x</group><group>x</group>"), "bad-request"),
    (item("a@example.net", "<group/>"), "not-acceptable"),
    (item("a@example.net", "<group></group><group>x</group>"), "not-acceptable"),
    (item("a@example.net", f"<group>{'x' * 1024}</group>"), "not-acceptable"),
    (item("a@example.net", "".join(f"<group>{i}</group>" for i in range(61))), "not-acceptable"),
    (item("a@example.net", name="x" * 1024), "not-acceptable"),
])
def test_sets_that_make_no_sense(server, text, condition):
    """2.1.5, 2.3.3: the right error, and nothing has changed"""
    juliet = interested(server.stream().login())
    refused(juliet, text, condition)
    juliet.expect_nothing()
    assert items(get(juliet)) == {}


def test_oneself_is_no_contact(server):
    juliet = interested(server.stream().login())
    for jid in (juliet.bare, juliet.full, juliet.bare.upper()):
        refused(juliet, item(jid), "not-allowed")
    assert items(get(juliet)) == {}


def test_what_a_client_says_of_subscriptions_is_ignored(server):
    """2.1.2.1, 2.1.2.2, 2.1.2.5"""
    juliet = interested(server.stream().login())
    for kind in ("both", "to", "from", "nonsense"):
        q = change(juliet, item("romeo@example.net", subscription=kind, ask="subscribe",
                                approved="true"))
        assert items(q) == {"romeo@example.net": ("none", None, None, [], None)}


def test_addresses_are_prepared(server):
    """2.1.2.3: one item, however it is written"""
    juliet = interested(server.stream().login())
    change(juliet, item("ROMEO@Example.NET", name="1"))
    change(juliet, item("romeo@example.net", name="2"))
    assert items(get(juliet)) == {"romeo@example.net": ("none", None, "2", [], None)}
    change(juliet, item("Conference.example.ORG"))
    change(juliet, item("someone@example.org/Full Res"))
    assert {"conference.example.org", "someone@example.org/Full Res"} < set(items(get(juliet)))
    change(juliet, item("Romeo@example.net", subscription="remove"))
    assert "romeo@example.net" not in items(get(juliet))


def test_any_text_is_a_name(server):
    """2.1.2.4, 2.1.2.6: nothing of it is SQL or XML"""
    juliet = interested(server.stream().login())
    name, group = "\"Peter\" & <O'Brien> \\ Żółć 🌹 %s $1 ?", "Zoë's \\ {group}, ab;--\n x"
    change(juliet, item("peter@example.net", f"<group>{xml.escape(group)}</group>", name=name))
    wanted = {"peter@example.net": ("none", None, name, [group], None)}
    assert items(get(juliet)) == wanted
    assert sql(server, "select nick from rosterusers where username = ?", juliet.user) == [(name,)]
    assert sql(server, "select grp from rostergroups where username = ?", juliet.user) == [(group,)]


def test_a_roster_has_a_limit(server):
    """max_items: new ones are refused, what is there may be changed"""
    juliet = interested(server.stream().login())
    for i in range(30):
        change(juliet, item(f"c{i}@example.net"))
    refused(juliet, item("one-more@example.net"), "not-allowed")
    juliet.send("<presence type='subscribe' id='s' to='one-more@example.net'/>")
    juliet.expect("<presence type='error' id='s'><error><not-allowed/></error></presence>")
    change(juliet, item("c3@example.net", name="Still"))
    change(juliet, item("c4@example.net", subscription="remove"))
    change(juliet, item("one-more@example.net"))
    assert len(get(juliet)) == 30


# Forged pushes

def test_no_push_comes_from_anybody_else(server):
    """2.1.6: a client's push to another client, or to another of its own, is refused"""
    juliet, romeo = server.pair()
    other = server.stream("juliet", resource="other").login()
    for s in (romeo, other):
        interested(s)
    evil = query(item("tybalt@example.net", subscription="both"))
    for to in (romeo.full, other.full):
        for kind in ("set", "get"):
            answer = juliet.request(evil, kind, to=to)
            assert xml.matches(xml.pattern(
                "<iq type='error'><error><service-unavailable/></error></iq>"), answer)
        for kind in ("result", "error"):
            juliet.send(f"<iq type='{kind}' id='x' to='{to}'>{evil}</iq>")
        juliet.send(f"<iq type='result' id='x' to='{to}'><a xmlns='b'/></iq>"
                    f"<message to='{to}' id='end'/>")
    for s in (romeo, other):
        s.expect("<iq type='result' id='x'><a xmlns='b'/></iq>")
        s.expect("<message id='end'/>")
        assert items(get(s)) == {}


def test_an_answer_to_a_push_goes_nowhere(server):
    """2.1.6"""
    juliet, romeo = server.pair()
    for s in (juliet, romeo):
        interested(s)
    juliet.send(f"<iq type='result' id='p' to='{romeo.bare}'/><iq type='error' id='p'/>")
    juliet.expect_nothing()
    romeo.expect_nothing()


# 2.6

def test_versioning_is_offered(server, shared_sqlite):
    """2.6.1, 3.4.1"""
    juliet = server.stream().login(until="features")
    assert juliet.features.find("{urn:xmpp:features:rosterver}ver") is not None
    assert juliet.features.find("{urn:xmpp:features:pre-approval}sub") is not None
    shared_sqlite.new_test()
    juliet = shared_sqlite.stream().login(until="features")
    assert juliet.features.find("{urn:xmpp:features:rosterver}ver") is None
    shared_sqlite.new_test()


def test_without_versioning_there_are_none(shared_sqlite):
    """The option is false as in ejabberd"""
    shared_sqlite.new_test()
    juliet = shared_sqlite.stream().login()
    q = get(juliet, ver="")
    assert q is not None and q.get("ver") is None
    assert change(juliet, item("romeo@example.net")).get("ver") is None
    shared_sqlite.new_test()


def test_an_unchanged_roster_is_not_sent_again(server):
    """2.6.3"""
    a, b = two_of(server)
    version = get(a, ver="").get("ver")
    assert version
    assert get(b, ver=version) is None
    for i in range(3):
        q = change(a, item(f"c{i}@example.net"), b)
    assert get(b, ver=q.get("ver")) is None
    assert get(a, ver=q.get("ver")) is None
    # Who does not ask for a version is not told one.
    assert get(a).get("ver") is None


def number(version):
    return int(version.split(":")[1])


def test_versions_grow(server):
    """2.6.2: with each change, for every session"""
    a, b = two_of(server)
    get(a, ver="")
    get(b, ver="")
    last = 0
    for i in range(5):
        q = change(a, item("romeo@example.net", name=str(i)), b)
        assert number(q.get("ver")) > last
        last = number(q.get("ver"))


def test_what_has_changed_comes_as_pushes(server):
    """2.6.3: an empty result, then one push for each item, the last one with the version in force"""
    a = server.stream("juliet", worker=0, resource="a").login()
    get(a, ver="")
    for i in range(4):
        old = change(a, item(f"c{i}@example.net", "<group>g</group>")).get("ver")
    change(a, item("c1@example.net", name="One"))
    change(a, item("c9@example.net"))
    change(a, item("c2@example.net", subscription="remove"))
    now = change(a, item("c9@example.net", name="Nine")).get("ver")
    b = server.stream("juliet", worker=1, resource="b").login()
    assert get(b, ver=old) is None
    pushes = [take_push(b) for _ in range(3)]
    assert [(q[0].get("jid"), q[0].get("name"), q[0].get("subscription")) for q in pushes] == [
        ("c1@example.net", "One", "none"), ("c2@example.net", None, "remove"),
        ("c9@example.net", "Nine", "none")]
    versions = [number(q.get("ver")) for q in pushes]
    assert versions == sorted(versions) and pushes[-1].get("ver") == now
    b.expect_nothing()
    # And from now on it hears of changes.
    q = change(a, item("c3@example.net", name="Three"), b)
    assert number(q.get("ver")) == number(now) + 1
    # One of these versions is a version, too.
    c = server.stream("juliet", resource="c").login()
    assert get(c, ver=pushes[1].get("ver")) is None
    assert [take_push(c)[0].get("jid") for _ in range(2)] == ["c9@example.net", "c3@example.net"]


@pytest.mark.parametrize("version", ["", "x", "ver42", "aaaaaaaaaa:1", "aaaaaaaaaa:0", ":::",
                                     "200a71c460d98b72c2e13e69ebdc36a81a462783"])
def test_an_unknown_version(server, version):
    """2.6.3: the whole roster"""
    juliet = server.stream().login()
    change(interested(juliet), item("romeo@example.net"))
    q = get(juliet, ver=version)
    assert items(q).keys() == {"romeo@example.net"} and q.get("ver")


def test_versions_of_the_future_and_of_long_ago(server):
    """2.6.3: the whole roster; the database keeps the last 500 changes"""
    juliet = interested(server.stream().login())
    versions = [change(juliet, item(f"c{i}@example.net")).get("ver") for i in range(6)]
    assert [number(v) for v in versions] == [1, 2, 3, 4, 5, 6]
    epoch = versions[0].split(":")[0]
    assert len(get(juliet, ver=f"{epoch}:99")) == 6
    sql(server, "insert into stanzad_roster_change (username, jid, n) values (?, '', 4)", juliet.user)
    assert len(get(juliet, ver=versions[2])) == 6
    assert get(juliet, ver=versions[3]) is None
    assert [take_push(juliet)[0].get("jid") for _ in range(2)] == ["c4@example.net", "c5@example.net"]


def test_numbers_that_do_not_fit(server):
    """A log that is ahead of the version: a new epoch, not an error for ever"""
    juliet = interested(server.stream().login())
    first = change(juliet, item("romeo@example.net")).get("ver")
    sql(server, "insert into stanzad_roster_change (username, jid, n) values (?, 'x@y', 7)", juliet.user)
    i = juliet.next_id()
    juliet.send(f"<iq type='set' id='{i}'>{query(item('romeo@example.net', name='R'))}</iq>")
    juliet.expect(f"<iq type='result' id='{i}'/>")
    now = take_push(juliet).get("ver")
    assert now.split(":")[0] != first.split(":")[0]
    assert number(change(juliet, item("romeo@example.net", name="Ro")).get("ver")) == 2
    assert items(get(juliet, ver=first))["romeo@example.net"][2] == "Ro"


def test_somebody_else_has_changed_the_database(server):
    """What a version says would not be true any more: the whole roster, under another one"""
    juliet = interested(server.stream().login())
    version = change(juliet, item("romeo@example.net", name="Romeo")).get("ver")
    juliet.close()
    wait.until(lambda: server.ctl("num_resources", juliet.user, juliet.host) == "0", "the end")
    sql(server, "update rosterusers set nick = 'Montague' where username = ?", juliet.user)
    juliet = server.stream().login()
    q = get(juliet, ver=version)
    assert items(q)["romeo@example.net"][2] == "Montague"
    assert q.get("ver") not in (None, version)
    assert get(juliet, ver=q.get("ver")) is None
    now = change(juliet, item("romeo@example.net", name="R")).get("ver")
    assert now.split(":")[0] != version.split(":")[0]


def test_two_writers_of_one_roster(server):
    """The numbers in the database tell: what they wrote is read, and the change made upon it"""
    juliet = interested(server.stream().login())
    version = change(juliet, item("romeo@example.net", name="Romeo")).get("ver")
    sql(server, "insert into rosterusers (username, jid, nick, subscription, approved, ask,"
        " askmessage, server, subscribe, type)"
        " values (?, 'nurse@example.net', 'N', 'N', ?, 'N', '', 'N', '', 'item')",
        juliet.user, False)
    sql(server, "insert into stanzad_roster_change (username, jid, n) values (?, ?, 2)",
        juliet.user, "nurse@example.net")
    i = juliet.next_id()
    juliet.send(f"<iq type='set' id='{i}'>{query(item('paris@example.net'))}</iq>")
    juliet.expect(f"<iq type='result' id='{i}'/>")
    assert take_push(juliet).get("ver").split(":")[0] != version.split(":")[0]
    assert items(get(juliet)).keys() == {
        "romeo@example.net", "nurse@example.net", "paris@example.net"}


def test_versions_by_content(make_server):
    """ejabberd's versioning without store_current_id: equal or not, no differences"""
    server = make_server(config={"modules": {"mod_ping": {}, "mod_roster": {"versioning": True}}})
    a, b = two_of(server)
    version = get(a, ver="").get("ver")
    assert get(b, ver=version) is None
    now = change(a, item("romeo@example.net"), b).get("ver")
    assert now != version
    assert len(get(b, ver=version)) == 1
    assert get(b, ver=now) is None
    # The same content is the same version.
    assert change(a, item("romeo@example.net", subscription="remove"), b).get("ver") == version


# The database

def rows(server, user):
    return sorted(sql(server, "select jid, nick, subscription, ask, askmessage, server, subscribe,"
                      " type from rosterusers where username = ?", user))


def test_rows_as_ejabberd_writes_them(server):
    juliet = interested(server.stream().login())
    change(juliet, item("romeo@example.net", "<group>Friends</group>", name="Romeo"))
    assert rows(server, juliet.user) == [
        ("romeo@example.net", "Romeo", "N", "N", "", "N", "", "item")]
    assert sql(server, "select jid, grp from rostergroups where username = ?", juliet.user) == [
        ("romeo@example.net", "Friends")]
    assert len(sql(server, "select version from roster_version where username = ?", juliet.user)) == 1
    change(juliet, item("romeo@example.net", subscription="remove"))
    assert rows(server, juliet.user) == []
    assert sql(server, "select * from rostergroups where username = ?", juliet.user) == []


def test_rows_that_ejabberd_has_written(server):
    """All letters of subscription and ask; what clients see of them"""
    account = server.account("juliet")
    samples = [
        ("romeo@example.net", "Romeo", "B", "N", ""), ("mercutio@example.net", "", "T", "N", ""),
        ("tybalt@example.net", "", "F", "N", ""), ("benvolio@example.net", "", "N", "O", ""),
        ("paris@example.net", "", "N", "I", "I'd like to\n marry & so on żó"),
        ("escalus@example.net", "", "N", "B", "order!"),
        ("lawrence@example.net", "", "T", "I", "let me <in>"),
        ("rosaline@example.net", "", "F", "O", ""), ("peter@example.net", "", "N", "S", ""),
        ("conference.example.org", "Rooms", "N", "N", ""),
        ("someone@example.org/Full Res", "With resource", "N", "N", ""),
        ("not@an@address", "", "B", "N", "")]
    for jid, nick, kind, ask, message in samples:
        sql(server, "insert into rosterusers (username, jid, nick, subscription, approved, ask,"
            " askmessage, server, subscribe, type) values (?, ?, ?, ?, ?, ?, ?, 'N', '', 'item')",
            account.user, jid, nick, kind, False, ask, message)
    for group in ("Friends", "a,b", "{}"):
        sql(server, "insert into rostergroups (username, jid, grp) values (?, ?, ?)",
            account.user, "romeo@example.net", group)
    sql(server, "insert into roster_version (username, version) values (?, ?)",
        account.user, "200a71c460d98b72c2e13e69ebdc36a81a462783")
    juliet = server.stream().login()
    found = items(get(juliet, ver="200a71c460d98b72c2e13e69ebdc36a81a462783"))
    assert {jid: v[:2] for jid, v in found.items()} == {
        "romeo@example.net": ("both", None), "mercutio@example.net": ("to", None),
        "tybalt@example.net": ("from", None), "benvolio@example.net": ("none", "subscribe"),
        "escalus@example.net": ("none", "subscribe"), "lawrence@example.net": ("to", None),
        "rosaline@example.net": ("from", "subscribe"), "peter@example.net": ("none", "subscribe"),
        "conference.example.org": ("none", None), "someone@example.org/Full Res": ("none", None)}
    assert found["romeo@example.net"][2:4] == ("Romeo", ["Friends", "a,b", "{}"])
    juliet.presence()
    juliet.expect(f"<presence from='{juliet.full}'/>")
    asked = {}
    for _ in range(3):
        got = juliet.expect(f"<presence type='subscribe' to='{juliet.bare}'/>")
        asked[got.get("from")] = got.findtext(f"{{{xml.NS_CLIENT}}}status")
    assert asked == {"paris@example.net": "I'd like to\n marry & so on żó",
                     "escalus@example.net": "order!", "lawrence@example.net": "let me <in>"}
    # Changed by us they are still what they were.
    change(juliet, item("escalus@example.net", name="Prince"))
    assert [r[:5] for r in rows(server, account.user) if r[0] == "escalus@example.net"] == [
        ("escalus@example.net", "Prince", "N", "B", "order!")]


def test_an_item_for_somebody_who_asks(server):
    """3.1.3: the request is no item; what the user adds is, also without a name"""
    juliet, romeo = server.pair()
    interested(juliet)
    roster.subscription(romeo, "subscribe", juliet.bare)
    wait.until(lambda: rows(server, juliet.user), "the request to be kept")
    assert items(get(juliet)) == {}
    refused(juliet, item(romeo.bare, subscription="remove"), "item-not-found")
    change(juliet, item(romeo.bare))
    assert items(get(juliet)).keys() == {romeo.bare}
    juliet.close()
    wait.until(lambda: server.ctl("num_resources", juliet.user, juliet.host) == "0", "the end")
    juliet = server.stream().login()
    assert items(get(juliet)).keys() == {romeo.bare}
    juliet.presence()
    juliet.expect(f"<presence from='{juliet.full}'/>")
    juliet.expect(f"<presence type='subscribe' from='{romeo.bare}'/>")


def test_a_roster_outlives_the_server(make_server):
    server = make_server(workers=1, config={"modules": MODULES})
    juliet = interested(server.stream().login())
    version = change(juliet, item("romeo@example.net", "<group>g</group>", name="R")).get("ver")
    server.new_test()
    server.n_test = 0
    server.stop()
    server.start()
    juliet = server.stream(server_account(server)).login()
    assert get(juliet, ver=version) is None
    assert items(get(juliet)) == {"romeo@example.net": ("none", None, "R", ["g"], None)}


def server_account(server):
    from harness.server import Account
    return Account("juliet", server.hosts[0], "pw of juliet")


# Options

def test_access(make_server):
    """ejabberd's access: who may change his roster and subscribe"""
    server = make_server(workers=1, config={
        "acl": {"some": {"user": ["romeo@example.net"]}},
        "access_rules": {"rosters": [{"allow": "some"}]},
        "modules": {"mod_ping": {}, "mod_roster": {"access": "rosters"}}})
    juliet, romeo = (interested(server.stream(n).login()) for n in ("juliet", "romeo"))
    refused(juliet, item(romeo.bare), "forbidden")
    juliet.send(f"<presence type='subscribe' id='s' to='{romeo.bare}'/>")
    juliet.expect("<presence type='error' id='s'><error><forbidden/></error></presence>")
    assert items(get(juliet)) == {}
    change(romeo, item(juliet.bare))


def test_without_the_module(make_server):
    """RFC 6120, 8.4"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    answer = juliet.request(query())
    assert xml.matches(xml.pattern(
        "<iq type='error'><error><service-unavailable/></error></iq>"), answer)


def test_a_large_roster(server):
    """A thousand contacts come in one answer, and in no quadratic time"""
    account = server.account("juliet")
    values = [(account.user, f"contact{i}@example.net", f"Contact {i}", "B", False, "N")
              for i in range(1000)]
    change_many(server, "insert into rosterusers (username, jid, nick, subscription, approved, ask,"
                        " askmessage, server, subscribe, type) values (?, ?, ?, ?, ?, ?, '', 'N', '', 'item')",
                values)
    change_many(server, "insert into rostergroups (username, jid, grp) values (?, ?, ?)",
                [(v[0], v[1], f"g{i % 7}") for i, v in enumerate(values)])
    juliet = server.stream().login()
    q = get(juliet)
    assert len(q) == 1000
    assert items(q)["contact999@example.net"] == ("both", None, "Contact 999", ["g5"], None)
    juliet.presence()
    juliet.expect(f"<presence from='{juliet.full}'/>")
    juliet.expect_nothing()
    assert ET.tostring(q)
