"""Presence subscriptions: RFC 6121, section 3 and appendix A (mod_roster)"""
import sqlite3

import pytest

from harness import wait, xml
from harness.roster import (befriend, change, expect_nothing_but_unavailable, get, interested,
                            item, items, online, refused, subscription, take_push,
                            take_until_pushes)

MODULES = {"mod_ping": {}, "mod_roster": {"versioning": True, "store_current_id": True,
                                          "max_requests": 5}}
HOSTS = ("example.net", "example.org")


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    options = {"database": request.param, "hosts": HOSTS}
    config = {"modules": MODULES}
    if request.param == "pgsql":
        config["sql_schema_multihost"] = True
    return session_maker(config=config, **options)


def pair(server, until="online"):
    """Interested and available, in two workers."""
    juliet, romeo = server.pair()
    return (online(juliet), online(romeo)) if until == "online" else (juliet, romeo)


def gone(server, s):
    s.close()
    wait.until(lambda: server.ctl("num_resources", s.user, s.host) == "0", "the end of a session")


def state(s, jid):
    """(subscription, ask) of an item; None: there is none."""
    found = items(get(s)).get(jid)
    return found and found[:2]


def kept_requests(server, s):
    query = "select count(*) from rosterusers where username = %s and ask in ('I', 'B')"
    if server.database == "pgsql":
        c = server.cluster.connect(server.db_name)
        cursor = c.cursor()
        cursor.execute(query, [s.user])
        n = cursor.fetchone()[0]
    else:
        c = sqlite3.connect(f"file:{server.dir}/sqlite/{s.host}.sqlite?mode=ro", uri=True)
        n = c.execute(query.replace("%s", "?"), [s.user]).fetchone()[0]
    c.close()
    return n


# 3.1

@pytest.mark.parametrize("host", HOSTS)
def test_asking_and_approving(server, host):
    """3.1.2 to 3.1.6: both sides, all of their resources, two workers, two hosts"""
    slots = sorted(server.worker_connections())
    a1, a2 = [online(server.stream("juliet", worker=i, resource=f"a{i}").login()) for i in slots]
    a1.expect(f"<presence from='{a2.full}'/>")
    a2.expect(f"<presence from='{a1.full}'/>")
    b1, b2 = [online(server.stream("romeo", host=host, worker=i, resource=f"b{i}").login())
              for i in slots]
    b1.expect(f"<presence from='{b2.full}'/>")
    b2.expect(f"<presence from='{b1.full}'/>")
    quiet = interested(server.stream("romeo", host=host, resource="quiet").login())

    subscription(a1, "subscribe", b1.bare + "/ignored")
    for s in (a1, a2):
        take_push(s, item(b1.bare, subscription="none", ask="subscribe"))
    for s in (b1, b2):
        got = s.expect(f"<presence type='subscribe' from='{a1.bare}' to='{b1.bare}'/>")
        assert got.get("to") == b1.bare and got.get("from") == a1.bare
        assert state(s, a1.bare) is None

    subscription(b2, "subscribed", a1.bare)
    for s in (b1, b2, quiet):
        take_push(s, item(a1.bare, subscription="from"))
    for s in (a1, a2):
        s.expect(f"<presence type='subscribed' from='{b1.bare}' to='{a1.bare}'/>")
        q = take_push(s, item(b1.bare, subscription="to"))
        assert q[0].get("ask") is None
        s.expect_any_order(f"<presence from='{b1.full}'/>", f"<presence from='{b2.full}'/>")
    for s in (a1, a2, b1, b2, quiet):
        s.expect_nothing()
    assert state(a2, b1.bare) == ("to", None)
    assert state(b1, a1.bare) == ("from", None)
    # What it is good for.
    b1.presence(inner="<show>away</show>")
    for s in (a1, a2):
        s.expect(f"<presence from='{b1.full}'><show>away</show></presence>")
    a1.presence(inner="<show>dnd</show>")
    a1.expect("<presence><show>dnd</show></presence>")
    b2.expect(f"<presence from='{b1.full}'/>")
    b2.expect_nothing()


def test_both_ways(server):
    juliet, romeo = pair(server)
    befriend(juliet, romeo)
    assert state(juliet, romeo.bare) == state(romeo, juliet.bare) == ("both", None)
    juliet.expect_nothing()
    romeo.expect_nothing()


def test_a_request_to_nobody(server):
    """3.1.3: the contact does not exist: no answer, no difference to who does not answer"""
    juliet = online(server.stream().login())
    subscription(juliet, "subscribe", "nobody-at-all@example.net")
    take_push(juliet, item("nobody-at-all@example.net", ask="subscribe"))
    juliet.expect_nothing()
    assert state(juliet, "nobody-at-all@example.net") == ("none", "subscribe")


def test_a_request_to_another_domain(server):
    """Other servers cannot be reached yet: the client is told"""
    juliet = online(server.stream().login())
    juliet.send("<presence type='subscribe' id='s' to='romeo@elsewhere.example'/>")
    take_push(juliet, item("romeo@elsewhere.example", ask="subscribe"))
    juliet.expect("<presence type='error' id='s' from='romeo@elsewhere.example'>"
                  "<error><remote-server-not-found/></error></presence>")


@pytest.mark.parametrize("kind", ["subscribe", "subscribed", "unsubscribe", "unsubscribed"])
def test_oneself(server, kind):
    """One sees oneself anyway"""
    juliet = online(server.stream().login())
    for to in (juliet.bare, juliet.full):
        juliet.send(f"<presence type='{kind}' id='s' to='{to}'/>")
        juliet.expect("<presence type='error' id='s'><error><not-allowed/></error></presence>")
    assert items(get(juliet)) == {}


def test_the_server(server):
    """It has no presence; an old item for it may be given up"""
    juliet = online(server.stream().login())
    juliet.send(f"<presence type='subscribe' id='s' to='{juliet.host}'/>")
    juliet.expect("<presence type='error' id='s'><error><service-unavailable/></error></presence>")
    assert items(get(juliet)) == {}
    subscription(juliet, "unsubscribe", juliet.host)
    juliet.expect_nothing()


def test_the_request_comes_again_until_it_is_answered(server):
    """3.1.3, 4: to each resource that becomes available, as a whole, from the database too"""
    juliet, romeo = pair(server)
    words = "I'd like to\n marry & so on żó <in>"
    nick = "<nick xmlns='http://jabber.org/protocol/nick'>J &amp; C</nick>"
    gone(server, romeo)
    subscription(juliet, "subscribe", romeo.bare, f"<status>{xml.escape(words)}</status>{nick}")
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    wait.until(lambda: kept_requests(server, romeo) == 1, "the request to be kept")
    for worker in (0, 1):
        again = server.stream("romeo", worker=worker).login()
        interested(again).presence(priority=-1)
        again.expect(f"<presence from='{again.full}'/>")
        got = again.expect(f"<presence type='subscribe' from='{juliet.bare}' to='{romeo.bare}'>"
                           f"<status/>{nick}</presence>")
        assert got.findtext(f"{{{xml.NS_CLIENT}}}status") == words
        again.presence(inner="<show>away</show>")
        again.expect(f"<presence from='{again.full}'/>")
        again.expect_nothing()
        if worker == 0:
            gone(server, again)
    # While somebody is there, a repetition is not delivered again (A.3.1).
    subscription(juliet, "subscribe", romeo.bare)
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    again.expect_nothing()
    subscription(again, "unsubscribed", juliet.bare)
    again.expect_nothing()
    juliet.expect(f"<presence type='unsubscribed' from='{romeo.bare}'/>")
    take_push(juliet, item(romeo.bare, subscription="none"))
    assert kept_requests(server, romeo) == 0
    gone(server, again)
    online(server.stream("romeo").login()).expect_nothing()


def test_a_request_that_is_too_large_to_be_kept(server):
    """Its words are"""
    juliet, romeo = pair(server)
    gone(server, romeo)
    subscription(juliet, "subscribe", romeo.bare,
                 f"<status>Please</status><x xmlns='y'>{'z' * 5000}</x>")
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    wait.until(lambda: kept_requests(server, romeo) == 1, "the request to be kept")
    romeo = online(server.stream("romeo").login())
    got = romeo.expect(f"<presence type='subscribe' from='{juliet.bare}'><status>Please</status></presence>")
    assert len(got) == 1


def test_there_may_be_so_many_requests(server):
    """max_requests: strangers cannot fill the database"""
    romeo = server.stream("romeo").login()
    for i in range(7):
        s = online(server.stream(f"fan{i}").login())
        subscription(s, "subscribe", romeo.bare)
        take_push(s, item(romeo.bare, ask="subscribe"))
        s.close()
    wait.until(lambda: kept_requests(server, romeo) == 5, "five of them to be kept")
    online(romeo)
    assert len({romeo.expect("<presence type='subscribe'/>").get("from") for _ in range(5)}) == 5
    romeo.expect_nothing()


def test_asking_for_what_one_has(server):
    """3.1.3, 2: the server answers for the contact"""
    juliet, romeo = pair(server)
    befriend(juliet, romeo)
    subscription(juliet, "subscribe", romeo.bare)
    # Nothing has changed: A.3.3, `subscribed` in the state Both.
    juliet.expect_nothing()
    romeo.expect_nothing()
    assert state(juliet, romeo.bare) == ("both", None)


def test_denying(server):
    """3.1.4, 3.1.6"""
    juliet, romeo = pair(server)
    subscription(juliet, "subscribe", romeo.bare)
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    romeo.expect(f"<presence type='subscribe' from='{juliet.bare}'/>")
    subscription(romeo, "unsubscribed", juliet.bare)
    juliet.expect(f"<presence type='unsubscribed' from='{romeo.bare}'/>")
    q = take_push(juliet, item(romeo.bare, subscription="none"))
    assert q[0].get("ask") is None
    romeo.expect_nothing()
    assert state(romeo, juliet.bare) is None


def test_answers_that_nobody_asked_for(server):
    """A.3.3, A.3.4: subscribed, unsubscribed, unsubscribe without a state that they fit"""
    juliet, romeo = pair(server)
    for kind in ("subscribed", "unsubscribed", "unsubscribe"):
        romeo.send(f"<presence type='{kind}' to='{juliet.bare}'/>")
        if kind == "subscribed":  # 3.4: approved in advance
            take_push(romeo, item(juliet.bare, approved="true"))
        if kind == "unsubscribed":
            q = take_push(romeo, item(juliet.bare))
            assert q[0].get("approved") is None
    romeo.expect_nothing()
    juliet.expect_nothing()
    assert items(get(juliet)) == {}


# 3.2 and 3.3

def test_cancelling(server):
    """3.2: the contact is not seen any more, and hears so"""
    juliet, romeo = pair(server)
    befriend(juliet, romeo)
    subscription(romeo, "unsubscribed", juliet.bare)
    take_push(romeo, item(juliet.bare, subscription="to"))
    assert take_until_pushes(juliet, 1) == (
        ["from"], [("unavailable", romeo.full), ("unsubscribed", romeo.bare)])
    romeo.presence(inner="<show>xa</show>")
    romeo.expect("<presence><show>xa</show></presence>")
    expect_nothing_but_unavailable(juliet)
    juliet.presence(inner="<show>chat</show>")
    juliet.expect("<presence><show>chat</show></presence>")
    romeo.expect(f"<presence from='{juliet.full}'><show>chat</show></presence>")


def test_cancelling_while_the_other_is_away(server):
    """3.2.3: the roster has changed when it comes back"""
    juliet, romeo = pair(server)
    befriend(juliet, romeo)
    gone(server, juliet)
    romeo.expect(f"<presence type='unavailable' from='{juliet.full}'/>")
    subscription(romeo, "unsubscribed", juliet.bare)
    take_push(romeo, item(juliet.bare, subscription="to"))
    juliet = server.stream("juliet", worker=1).login()
    wait.until(lambda: state(juliet, romeo.bare) == ("from", None), "the state to be known")
    online(juliet).expect_nothing()
    romeo.expect(f"<presence from='{juliet.full}'/>")


def test_unsubscribing(server):
    """3.3"""
    juliet, romeo = pair(server)
    befriend(juliet, romeo)
    subscription(juliet, "unsubscribe", romeo.bare)
    take_push(juliet, item(romeo.bare, subscription="from"))
    romeo.expect(f"<presence type='unsubscribe' from='{juliet.bare}'/>")
    take_push(romeo, item(juliet.bare, subscription="to"))
    juliet.expect(f"<presence type='unavailable' from='{romeo.full}'/>")
    juliet.expect_nothing()
    assert state(juliet, romeo.bare) == ("from", None)


def test_taking_a_request_back(server):
    """3.3, A.3.2: from None + Pending In"""
    juliet, romeo = pair(server)
    subscription(juliet, "subscribe", romeo.bare)
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    romeo.expect(f"<presence type='subscribe' from='{juliet.bare}'/>")
    subscription(juliet, "unsubscribe", romeo.bare)
    q = take_push(juliet, item(romeo.bare, subscription="none"))
    assert q[0].get("ask") is None
    romeo.expect(f"<presence type='unsubscribe' from='{juliet.bare}'/>")
    romeo.expect_nothing()
    juliet.expect_nothing()
    assert kept_requests(server, romeo) == 0


# 2.5.2

def test_removing_a_contact(server):
    """2.5.2: both subscriptions end"""
    juliet, romeo = pair(server)
    befriend(juliet, romeo)
    i = juliet.next_id()
    juliet.send(f"<iq type='set' id='{i}'><query xmlns='jabber:iq:roster'>"
                f"{item(romeo.bare, subscription='remove')}</query></iq>")
    juliet.expect(f"<iq type='result' id='{i}'/>")
    take_push(juliet, item(romeo.bare, subscription="remove"))
    assert take_until_pushes(romeo, 2) == (["to", "none"], [
        ("unavailable", juliet.full), ("unsubscribe", juliet.bare), ("unsubscribed", juliet.bare)])
    juliet.expect(f"<presence type='unavailable' from='{romeo.full}'/>")
    juliet.expect_nothing()
    expect_nothing_but_unavailable(romeo)
    assert state(juliet, romeo.bare) is None
    assert state(romeo, juliet.bare) == ("none", None)


def test_both_remove_each_other(server):
    """2.5: at the same time; nothing is left of either"""
    juliet, romeo = pair(server)
    befriend(juliet, romeo)
    for s, other in ((juliet, romeo), (romeo, juliet)):
        s.send(f"<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
               f"{item(other.bare, subscription='remove')}</query></iq>")
    other = [server.stream(n).login() for n in ("juliet", "romeo")]
    for s in other:
        wait.until(lambda: items(get(s)) == {}, "an empty roster")


# 3.4

def test_approving_in_advance(server):
    """3.4: the request is answered at once, nobody is asked"""
    juliet, romeo = pair(server)
    subscription(romeo, "subscribed", juliet.bare)
    take_push(romeo, item(juliet.bare, subscription="none", approved="true"))
    juliet.expect_nothing()
    subscription(juliet, "subscribe", romeo.bare)
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    take_push(romeo, item(juliet.bare, subscription="from", approved="true"))
    juliet.expect(f"<presence type='subscribed' from='{romeo.bare}'/>")
    take_push(juliet, item(romeo.bare, subscription="to"))
    juliet.expect(f"<presence from='{romeo.full}'/>")
    romeo.expect_nothing()
    juliet.expect_nothing()


def test_approving_in_advance_for_who_is_away(server):
    """3.4.3: also when the one who has approved is not there, and after a restart of both"""
    juliet, romeo = pair(server)
    subscription(romeo, "subscribed", juliet.bare)
    take_push(romeo, item(juliet.bare, approved="true"))
    gone(server, romeo)
    subscription(juliet, "subscribe", romeo.bare)
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    juliet.expect(f"<presence type='subscribed' from='{romeo.bare}'/>")
    take_push(juliet, item(romeo.bare, subscription="to"))
    juliet.expect_nothing()
    romeo = online(server.stream("romeo").login())
    assert state(romeo, juliet.bare) == ("from", None)
    juliet.expect(f"<presence from='{romeo.full}'/>")


def test_taking_an_approval_back(server):
    """3.4.4"""
    juliet, romeo = pair(server)
    subscription(romeo, "subscribed", juliet.bare)
    take_push(romeo, item(juliet.bare, approved="true"))
    subscription(romeo, "unsubscribed", juliet.bare)
    q = take_push(romeo, item(juliet.bare, subscription="none"))
    assert q[0].get("approved") is None
    subscription(juliet, "subscribe", romeo.bare)
    take_push(juliet, item(romeo.bare, ask="subscribe"))
    romeo.expect(f"<presence type='subscribe' from='{juliet.bare}'/>")


# Names and groups are not touched by all this

def test_an_item_keeps_its_name_and_groups(server):
    juliet, romeo = pair(server)
    change(juliet, item(romeo.bare, "<group>Lovers</group>", name="Romeo"))
    befriend(juliet, romeo)
    found = items(get(juliet))[romeo.bare]
    assert found == ("both", None, "Romeo", ["Lovers"], None)
    change(juliet, item(romeo.bare, name="R"))
    assert items(get(juliet))[romeo.bare] == ("both", None, "R", [], None)
    refused(juliet, item(romeo.bare, "<group/>"), "not-acceptable")


# The database

def test_the_database_is_away(make_server, top):
    """A request is answered after sql_query_timeout; what has no answer is done later"""
    import os

    from harness import pgsql
    own = pgsql.Cluster(os.path.join(top, "pgsql-roster"))
    own.create()
    try:
        name = own.database()
        server = make_server(config={"modules": MODULES, "sql_query_timeout": 2,
                                     **own.config(name)})
        juliet, romeo = pair(server)
        own.stop()
        refused(juliet, item("nurse@example.net"), "resource-constraint")
        subscription(juliet, "subscribe", romeo.bare)
        own.start()
        juliet.patience = romeo.patience = 2 * wait.PATIENCE  # it is tried again every now and then
        take_push(juliet, item(romeo.bare, ask="subscribe"))
        romeo.expect(f"<presence type='subscribe' from='{juliet.bare}'/>")
        change(juliet, item("nurse@example.net"))
        assert set(items(get(juliet))) == {romeo.bare, "nurse@example.net"}
    finally:
        own.stop()
