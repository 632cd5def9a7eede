"""The blocking command: XEP-0191, and reports with it: XEP-0377; over two workers"""
import os
import signal
import threading

import pytest

from harness import lists as L
from harness import wait, xml
from harness.database import sql

BLOCKED = f"<blocked xmlns='{L.NS_ERRORS}'/>"


@pytest.fixture(scope="module")
def shared(session_maker):
    return session_maker(workers=2, config={"modules": L.MODULES})


@pytest.fixture(scope="module")
def shared_pgsql(session_maker):
    return session_maker(workers=2, database="pgsql", config={"modules": L.MODULES})


def push(what, *jids):
    return f"<iq type='set'>{L.block_text(what, *jids)}</iq>"


def of_lists(came):
    """The pushes among what came, as (what, addresses)."""
    return [(c[0].tag.rpartition("}")[2], [i.get("jid") for i in c[0]]) for c in came
            if c.tag.endswith("iq") and c[0].tag.startswith(f"{{{L.NS_BLOCKING}}}")]


# 3.2 The block list


def test_an_empty_block_list(any_server):
    """3.2"""
    assert L.blocklist(any_server.stream().login()) == []


def test_the_block_list(any_server):
    """3.2; 3.3: several items at once; addresses are prepared"""
    juliet = any_server.stream().login()
    L.block(juliet, "Romeo@Montague.NET", "iago@shakespeare.lit", "example.com", "a@b/Res")
    assert sorted(L.blocklist(juliet)) == ["a@b/Res", "example.com", "iago@shakespeare.lit", "romeo@montague.net"]
    other = any_server.stream().login()
    assert sorted(L.blocklist(other)) == sorted(L.blocklist(juliet))


# 3.3 Blocking


@pytest.mark.parametrize("text,condition", [
    (f"<block xmlns='{L.NS_BLOCKING}'/>", "bad-request"),
    (f"<block xmlns='{L.NS_BLOCKING}'><item/></block>", "bad-request"),
    (f"<block xmlns='{L.NS_BLOCKING}'><item jid='a@b@c'/></block>", "jid-malformed"),
    (f"<block xmlns='{L.NS_BLOCKING}'><item jid='x@y'/><item jid=''/></block>", "jid-malformed"),
    (f"<unblock xmlns='{L.NS_BLOCKING}'><item jid='@x'/></unblock>", "jid-malformed"),
    (f"<blocklist xmlns='{L.NS_BLOCKING}'/>", "not-allowed"),
])
def test_malformed_requests_change_nothing(server, text, condition):
    """3.3; RFC 6120, 8.3.3"""
    juliet = server.stream().login()
    L.block(juliet, "romeo@example.org")
    L.error(juliet.request(text, "set"), condition)
    assert L.blocklist(juliet) == ["romeo@example.org"]


def test_only_for_oneself(server):
    juliet, romeo = (server.stream(n).login() for n in ("juliet", "romeo"))
    for text, kind in ((f"<blocklist xmlns='{L.NS_BLOCKING}'/>", "get"), (L.block_text("block", "x@y"), "set")):
        L.error(romeo.request(text, kind, to=juliet.bare), "service-unavailable")
    L.ok(juliet.request(f"<blocklist xmlns='{L.NS_BLOCKING}'/>", to=juliet.bare))


@pytest.mark.parametrize("what", ["{bare}", "{full}", "{host}"])
def test_blocking(any_server, what):
    """3.3: nothing comes from there, nothing goes there; the contact sees us go"""
    juliet, romeo = L.two(any_server)
    jid = what.format(bare=romeo.bare, full=romeo.full, host=romeo.host)
    if what == "{host}":
        jid = romeo.bare  # the own domain is the server's, too
    came = L.block(juliet, jid)
    if what != "{full}":
        L.unavailable(romeo, juliet.full)
        assert [(c.get("from"), c.get("type")) for c in came] == [(romeo.full, "unavailable")]
    for to in (juliet.full, juliet.bare):
        L.bounces(romeo, to)
    L.is_refused(romeo, juliet.full)
    for kind in ("subscribe", "unsubscribed"):
        if what != "{full}":
            romeo.send(f"<presence type='{kind}' to='{juliet.bare}'/>")
    romeo.send(f"<presence to='{juliet.full}'/><iq type='result' id='x' to='{juliet.full}'/>")
    L.bounces(romeo, juliet.full)
    L.bounces(juliet, romeo.full, "not-acceptable", inner=BLOCKED)
    L.error(juliet.request("<q xmlns='x'/>", to=romeo.full), "not-acceptable", "cancel")
    juliet.send(f"<presence id='p' to='{romeo.full}'/>")
    juliet.expect(f"<presence type='error' id='p'><error type='cancel'><not-acceptable/>{BLOCKED}</error></presence>")
    juliet.expect_nothing()
    romeo.expect_nothing()


def test_blocked_by_domain(make_server):
    """5, JID matching: a domain stands for all its addresses"""
    server = make_server(hosts=("example.net", "example.org"), config={"modules": L.MODULES})
    juliet = L.come(server, "juliet")
    romeo = server.stream("romeo", "example.org").login(until="online")
    L.goes(romeo, juliet)
    L.block(juliet, "example.org")
    L.bounces(romeo, juliet.full)
    L.bounces(juliet, romeo.bare, "not-acceptable", inner=BLOCKED)
    L.unblock(juliet)
    L.goes(romeo, juliet)


def test_pushes_to_those_who_asked(any_server):
    """3.3 to 3.5: not to the others"""
    a, b = L.come(any_server, "juliet", "a", 0), L.come(any_server, "juliet", "b", 1)
    a.expect(f"<presence from='{b.full}'/>")
    quiet = L.come(any_server, "juliet", "quiet", 1, "bound")
    assert L.blocklist(b) == []
    for what, jids in (("block", ["romeo@example.org", "x@example.org"]), ("unblock", ["x@example.org"]),
                       ("block", ["romeo@example.org"]), ("unblock", [])):
        assert of_lists(L.block(a, *jids, what=what)) == []
        got = [g for g in L.until_message(b, a) if not L.is_push(g)]
        assert of_lists(got) == [(what, jids)], [xml.show(g) for g in got]
        assert xml.matches(xml.pattern(f"<iq type='set' from='{b.bare}' to='{b.full}' id='*'/>"), got[0])
        b.send(f"<iq type='result' id='{got[0].get('id')}'/>")
    assert L.blocklist(a) == []
    assert of_lists(L.block(a, "romeo@example.org")) == [("block", ["romeo@example.org"])]
    assert of_lists(L.until_message(quiet, a)) == []


def test_a_blocked_contact_comes_online(any_server):
    """3.3: across sessions; it sees nobody, and is not seen"""
    juliet, romeo = L.two(any_server)
    L.block(juliet, romeo.bare)
    L.unavailable(romeo, juliet.full)
    again = L.come(any_server, "romeo", "again", 0, "bound")
    again.presence()
    romeo.expect(f"<presence from='{again.full}'/>")
    other = L.come(any_server, "juliet", "other", 1, "bound")
    other.presence()
    juliet.expect(f"<presence from='{other.full}'/>")
    assert sorted(g.get("from") for g in L.until_message(other, juliet)) == sorted([other.full, juliet.full])
    assert sorted(g.get("from") for g in L.until_message(again, romeo)) == sorted([again.full, romeo.full])
    L.bounces(again, other.full)
    juliet.close()
    L.bounces(romeo, other.full)
    romeo.expect_nothing()


def test_directed_presence_is_taken_back(server):
    """3.3: who is no contact, but was shown presence"""
    juliet, romeo = L.two(server, subscriptions="--")
    juliet.send(f"<presence to='{romeo.full}'/>")
    romeo.expect(f"<presence from='{juliet.full}'/>")
    L.block(juliet, romeo.bare)
    L.unavailable(romeo, juliet.full)
    L.unblock(juliet, romeo.bare)
    juliet.send("<presence type='unavailable'/>")
    juliet.expect(f"<presence type='unavailable' from='{juliet.full}'/>")
    L.goes(juliet, romeo)


# 3.4, 3.5 Unblocking


@pytest.mark.parametrize("everybody", [False, True])
def test_unblocking(any_server, everybody):
    """3.4, 3.5: what we said last is seen again, and what the contact said"""
    juliet, romeo = L.two(any_server)
    L.block(juliet, romeo.bare)
    L.unavailable(romeo, juliet.full)
    juliet.presence(inner="<show>dnd</show>")
    juliet.expect(f"<presence from='{juliet.full}'/>")
    romeo.presence(inner="<show>away</show>")
    romeo.expect(f"<presence from='{romeo.full}'/>")
    L.bounces(romeo, juliet.full)
    came = L.unblock(juliet, *([] if everybody else [romeo.bare]))
    romeo.expect(f"<presence from='{juliet.full}'><show>dnd</show></presence>")
    came += L.until_message(juliet, romeo)
    assert [xml.matches(xml.pattern(f"<presence from='{romeo.full}'><show>away</show></presence>"), c)
            for c in came] == [True], [xml.show(c) for c in came]
    assert L.blocklist(juliet) == []
    L.goes(romeo, juliet, juliet.bare)
    L.goes(juliet, romeo)
    L.asks(romeo, juliet)


@pytest.mark.parametrize("subscriptions", ["TF", "FT", "--"])
def test_presence_goes_to_who_may_see_it(server, subscriptions):
    """3.3 and 3.4: by the rules of RFC 6121"""
    juliet, romeo = L.two(server, subscriptions=subscriptions)
    if subscriptions == "FT":  # two() takes it for the other one only
        assert [g.get("from") for g in L.drain(romeo)] in ([], [juliet.full])
    came = L.block(juliet, romeo.bare)
    assert [c.get("type") for c in came] == (["unavailable"] if subscriptions == "TF" else [])
    if subscriptions == "FT":
        L.unavailable(romeo, juliet.full)
    L.bounces(romeo, juliet.full)
    came = L.unblock(juliet, romeo.bare)
    if subscriptions == "FT":
        L.available(romeo, juliet.full)
    came += L.until_message(juliet, romeo)
    assert [c.get("from") for c in came] == ([romeo.full] if subscriptions == "TF" else [])
    assert L.drain(romeo) == []


def test_all_sessions_say_so(server):
    """3.3 and 3.4: those that are available"""
    juliet, romeo = L.two(server)
    other = L.come(server, "juliet", "other", 1)
    juliet.expect(f"<presence from='{other.full}'/>")
    L.available(romeo, other.full)
    L.come(server, "juliet", "third", 0, "bound")
    L.block(juliet, romeo.bare)
    got = [romeo.next() for _ in range(2)]
    assert sorted((g.get("from"), g.get("type")) for g in got) == \
        sorted([(juliet.full, "unavailable"), (other.full, "unavailable")])
    L.unblock(other, romeo.bare)
    got = [romeo.next() for _ in range(2)]
    assert sorted((g.get("from"), g.get("type")) for g in got) == sorted([(juliet.full, None), (other.full, None)])
    romeo.expect_nothing()


def test_a_contact_that_has_a_list_itself(server):
    """XEP-0016, 2.10: is unavailable for who blocks it, unless it was not to be seen before"""
    juliet, romeo = L.two(server)

    def comes(came, kind):  # before the answer, or soon
        wait.until(lambda: came.extend(L.drain(juliet)) or came, "presence")
        assert [(c.get("from"), c.get("type")) for c in came] == [(romeo.full, kind)]
    L.block(romeo, "tybalt@example.org")
    came = L.block(juliet, romeo.bare)
    L.unavailable(romeo, juliet.full)
    comes(came, "unavailable")
    came = L.unblock(juliet, romeo.bare)
    L.available(romeo, juliet.full)
    comes(came, None)
    L.set_list(romeo, "hide", L.item(1, "deny", "jid", juliet.bare, "presence-out"))
    L.choose(romeo, "default", "hide")
    L.unavailable(juliet, romeo.full)
    assert L.block(juliet, romeo.bare) == []
    L.unavailable(romeo, juliet.full)
    L.bounces(romeo, juliet.full)
    assert L.drain(juliet) == []


def test_two_who_block_each_other(server):
    """Nobody learns anything about the other one"""
    juliet, romeo = L.two(server)
    L.block(juliet, romeo.bare)
    L.unavailable(romeo, juliet.full)
    L.block(romeo, juliet.bare)
    L.bounces(juliet, romeo.full, "not-acceptable", inner=BLOCKED)
    L.unblock(juliet, romeo.bare)
    L.bounces(juliet, romeo.full)
    assert L.drain(juliet) == [] and L.drain(romeo) == []
    came = L.unblock(romeo, juliet.bare)
    L.available(juliet, romeo.full)
    came += L.until_message(romeo, juliet)
    assert [(c.get("from"), c.get("type")) for c in came] == [(juliet.full, None)]


# 4 Relationship to privacy lists


def test_the_block_list_is_a_view_of_the_default_list(any_server):
    """4: the default list gets a rule in front; others stay"""
    juliet = any_server.stream().login()
    L.set_list(juliet, "work", L.item(3, "deny", "jid", "tybalt@example.org", "message"), L.item(7, "allow"))
    L.choose(juliet, "default", "work")
    assert L.blocklist(juliet) == []
    L.block(juliet, "romeo@example.org")
    assert L.names(juliet) == (None, "work", ["work"])
    got = L.get_list(juliet, "work")
    assert got[0][1:] == ("deny", "jid", "romeo@example.org", [])
    assert [g[1:4] for g in got[1:]] == [("deny", "jid", "tybalt@example.org"), ("allow", None, None)]
    orders = [g[0] for g in got]
    assert orders == sorted(set(orders))
    L.unblock(juliet)
    assert [g[1:4] for g in L.get_list(juliet, "work")] == [("allow", None, None)]


def test_changes_of_the_default_list_are_told_to_those_who_asked(server):
    """4, 2 to 4"""
    a = server.stream().login()
    assert L.blocklist(a) == []
    deny = [L.item(i, "deny", "jid", f"{n}@example.org") for i, n in enumerate("abc")]
    L.set_list(a, "one", *deny)
    assert of_lists(L.choose(a, "default", "one")) == [("block", ["a@example.org", "b@example.org", "c@example.org"])]
    came = L.set_list(a, "one", deny[1], L.item(7, "deny", "jid", "d@example.org"))
    assert of_lists(came) == [("unblock", ["a@example.org", "c@example.org"]), ("block", ["d@example.org"])]
    assert of_lists(L.set_list(a, "one", deny[1], L.item(7, "deny", "jid", "d@example.org"), L.item(9))) == []
    assert of_lists(L.choose(a, "default")) == [("unblock", ["b@example.org", "d@example.org"])]
    assert L.blocklist(a) == []


def test_a_list_of_the_usual_name_is_kept(any_server):
    """ejabberd's mod_blocking names its list so"""
    juliet = any_server.stream().login()
    L.set_list(juliet, "Blocked contacts", L.item(0, "deny", "jid", "tybalt@example.org"))
    assert L.blocklist(juliet) == []
    L.block(juliet, "romeo@example.org")
    assert sorted(L.blocklist(juliet)) == ["romeo@example.org", "tybalt@example.org"]
    L.choose(juliet, "default")
    L.block(juliet, "romeo@example.org")  # nothing to write but that it is the default
    assert sorted(L.blocklist(juliet)) == ["romeo@example.org", "tybalt@example.org"]
    assert L.names(juliet) == (None, "Blocked contacts", ["Blocked contacts"])


def test_an_active_list_instead_of_the_block_list(server):
    """4, 5: may let in what is blocked"""
    juliet, romeo = L.two(server, subscriptions="--")
    L.block(juliet, romeo.bare)
    L.set_list(juliet, "any", L.item(1, "allow"))
    L.choose(juliet, "active", "any")
    L.goes(romeo, juliet)
    L.goes(juliet, romeo)


# XEP-0377


def report(jid, text="", reason=" reason='urn:xmpp:reporting:spam'"):
    return f"<item jid='{jid}'><report xmlns='urn:xmpp:reporting:1'{reason}>{text}</report></item>"


def test_reports(make_server):
    """3 and 5: logged, counted, sent to whom the administrator names"""
    server = make_server(config={"modules": {**L.MODULES, "mod_blocking": {"report_to": "admin@example.net"}}})
    admin = server.stream("admin").login(until="online")
    juliet = server.stream("juliet").login()
    ids = "".join(f"<stanza-id xmlns='urn:xmpp:sid:0' by='x@y' id='id{i}'/>" for i in range(30))
    text = f"<text xml:lang='en'>Never came trouble\nto my house like this.</text>{ids}"
    L.ok(L.ask(juliet, f"<block xmlns='{L.NS_BLOCKING}'>{report('romeo@example.org', text)}"
                       f"{report('plain@example.org', reason='')}<item jid='none@example.org'/></block>")[0])
    got = admin.expect("<message from='example.net' to='admin@example.net' type='normal'><subject>*</subject>"
                       "<body>*</body><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></message>")
    body = got.find(f"{{{xml.NS_CLIENT}}}body").text
    for part in (juliet.bare, "romeo@example.org", "urn:xmpp:reporting:spam", "Never came trouble\nto my house", "id0"):
        assert part in body, body
    assert "id29" not in body
    assert len(got.find("{urn:xmpp:reporting:1}report")) == 10
    assert server.counter("abuse_reports") == 1
    line = server.wait_log(r"\[notice\].*abuse report.*romeo@example\.org.*").group(0)
    assert "Never came trouble" in line and "spam" in line
    assert sorted(L.blocklist(juliet)) == ["none@example.org", "plain@example.org", "romeo@example.org"]
    # As for a block without a report: refused.
    L.error(L.ask(juliet, f"<block xmlns='{L.NS_BLOCKING}'>{report('a@b@c')}</block>")[0], "jid-malformed")
    assert server.counter("abuse_reports") == 1
    # Long texts are cut, many reports are counted only.
    many = "".join(report(f"u{i}@example.org", f"<text>{'ü' * 3000}</text>") for i in range(25))
    L.ok(L.ask(juliet, f"<block xmlns='{L.NS_BLOCKING}'>{many}</block>")[0])
    assert server.counter("abuse_reports") == 26
    assert len(L.until_message(admin, juliet)) == 20


def test_reports_without_a_receiver(server):
    juliet = server.stream("juliet").login()
    before = server.counter("abuse_reports")
    L.ok(L.ask(juliet, f"<block xmlns='{L.NS_BLOCKING}'>{report('romeo@example.org')}</block>")[0])
    assert server.counter("abuse_reports") == before + 1


# Administrators


def test_privacy_set(any_server):
    """ejabberd's command of that name: it takes effect at once"""
    juliet, romeo = L.two(any_server, subscriptions="--")
    other = L.come(any_server, "juliet", "other", 1, "bound")
    L.goes(romeo, juliet)

    def ctl(inner):
        return any_server.ctl("privacy_set", juliet.user, juliet.host, f"<query xmlns='{L.NS}'>{inner}</query>")
    ctl(f"<list name='adm'>{L.item(1, 'deny', 'jid', romeo.bare)}</list>")
    for s in (juliet, other):
        s.expect(f"<iq type='set'>{L.query('''<list name='adm'/>''')}</iq>")
    L.goes(romeo, juliet)
    ctl("<default name='adm'/>")
    L.bounces(romeo, juliet.full)
    assert L.blocklist(other) == [romeo.bare]
    ctl("<list name='adm'/>")
    gone = "<iq type='set'>" + L.query("<list name='adm'/>") + "</iq>"
    other.expect_any_order(push("unblock", romeo.bare), gone)
    juliet.expect(gone)
    assert L.names(juliet) == (None, None, [])
    L.goes(romeo, juliet)


@pytest.mark.parametrize("arguments", [
    ("{user}", "{host}", "<query xmlns='jabber:iq:privacy'/>"), ("{user}", "{host}", "no XML"),
    ("{user}", "{host}", "<query xmlns='jabber:iq:privacy'><active name='x'/></query>"),
    ("{user}", "{host}", "<query xmlns='jabber:iq:privacy'><default name='x'/></query>"),
    ("{user}", "nohost", "<query xmlns='jabber:iq:privacy'><default/></query>"),
    ("nobody-there", "{host}", "<query xmlns='jabber:iq:privacy'><default/></query>"),
    ("a@b", "{host}", "<query xmlns='jabber:iq:privacy'><default/></query>")])
def test_privacy_set_says_why_not(server, arguments):
    account = server.account("juliet")
    status, out, err = server.ctl_status("privacy_set", *(a.format(user=account.user, host=account.host)
                                                          for a in arguments))
    assert status == 1 and "Error" in out + err


# ejabberd's rows


def test_rows_that_ejabberd_wrote(any_server):
    """As of ejabberd 23.01: several items of order 0, prepared addresses, ord is numeric"""
    account = any_server.account("mercutio")
    L.contact(any_server, account, any_server.account("benvolio").bare, "B")
    user = account.user
    L.execute(any_server, *(("insert into privacy_list (username, name, id) values (?, ?, ?)", user, name,
                             1000 + any_server.n_test * 10 + i)
                            for i, name in enumerate(("work", "other", 'Über "q"', "empty"))),
              ("insert into privacy_default_list (username, name) values (?, 'work')", user))
    base = 1000 + any_server.n_test * 10
    insert = ("insert into privacy_list_data (id, t, value, action, ord, match_all, match_iq, match_message,"
              " match_presence_in, match_presence_out) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    T, F = True, False
    L.execute(any_server, *((insert, *r) for r in (
        (base, "j", "blocked@example.net", "d", 0, T, F, F, F, F),
        (base, "j", "example.com", "d", 0, T, F, F, F, F),
        (base, "j", "tybalt@example.net", "d", 3, F, F, T, F, F),
        (base, "j", "example.org", "d", 4, F, T, F, F, T),
        (base, "s", "both", "a", 10, T, F, F, F, F),
        (base, "s", "none", "d", 11, F, F, F, T, T),
        (base, "n", "", "a", 4294967295, T, F, F, F, F),
        (base + 1, "g", "NoSuch", "a", 7, T, F, F, F, F),
        (base + 2, "j", "x@example.net/Res", "d", 0, T, F, F, F, F))))
    s = any_server.stream(account).login()
    assert sorted(L.blocklist(s)) == ["blocked@example.net", "example.com"]
    assert L.names(s) == (None, "work", sorted(["work", "other", 'Über "q"', "empty"]))
    assert L.get_list(s, "work")[2:] == [
        (3, "deny", "jid", "tybalt@example.net", ["message"]),
        (4, "deny", "jid", "example.org", ["iq", "presence-out"]),
        (10, "allow", "subscription", "both", []),
        (11, "deny", "subscription", "none", ["presence-in", "presence-out"]),
        (4294967295, "allow", None, None, [])]
    assert L.get_list(s, "other") == [(7, "allow", "group", "NoSuch", [])]
    assert L.get_list(s, 'Über "q"') == [(0, "deny", "jid", "x@example.net/Res", [])]
    assert L.get_list(s, "empty") == []
    L.unblock(s, "example.com")
    assert L.blocklist(s) == ["blocked@example.net"]
    L.block(s, "new@example.net")
    # ejabberd reads the same again.
    found = sql(any_server, "select t, value, action, match_all from privacy_list_data where id = ?"
                               " order by ord", base)
    assert [tuple(r) for r in found][:3] == [
        ("j", "new@example.net", "d", True), ("j", "blocked@example.net", "d", True),
        ("j", "tybalt@example.net", "d", False)]


def test_an_unregistered_account_leaves_nothing(any_server):
    juliet = any_server.stream().login()
    L.block(juliet, "romeo@example.org")
    any_server.ctl("unregister", juliet.user, juliet.host)
    for table in ("privacy_list", "privacy_default_list"):
        assert sql(any_server, f"select count(*) from {table} where username = ?", juliet.user) == [(0,)]


# Processes that die


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
def test_workers_die_while_lists_change(make_server, database):
    """Every change that was answered is there; none is half there; presence follows once"""
    server = make_server(workers=2, database=database, config={"modules": L.MODULES})
    juliet, romeo = L.two(server)
    stop = threading.Event()

    def killer():
        while not stop.is_set():
            server.kill_workers()
            stop.wait(0.2)
    t = threading.Thread(target=killer)
    t.start()
    try:
        for n in range(30):
            L.block(juliet, romeo.bare, f"n{n}@example.org")
            L.unavailable(romeo, juliet.full)
            L.bounces(romeo, juliet.full)
            came = L.unblock(juliet, romeo.bare)
            L.available(romeo, juliet.full)
            assert len([c for c in came if c.get("type") == "unavailable"]) == 0
            L.drain(juliet)
    finally:
        stop.set()
        t.join()
    server.wait_ready()
    assert sorted(L.blocklist(juliet)) == sorted(f"n{n}@example.org" for n in range(30))
    romeo.expect_nothing()
    server.forget_reports()


def test_lists_outlive_the_workers(make_server):
    """Active lists are the session's; a blocked contact does not get through meanwhile"""
    server = make_server(workers=2, config={"modules": L.MODULES})
    juliet, romeo = L.two(server, subscriptions="--")
    other = L.come(server, "juliet", "other", 1)
    juliet.expect(f"<presence from='{other.full}'/>")
    L.set_list(juliet, "act", L.item(1, "deny", "jid", romeo.bare, "message"))
    other.expect(f"<iq type='set'>{L.query('''<list name='act'/>''')}</iq>")
    L.choose(juliet, "active", "act")
    L.block(other, "x@example.org")
    L.drain(juliet)
    for _ in range(3):
        server.kill_workers()
        L.bounces(romeo, juliet.full)
        L.goes(romeo, other)
        assert L.names(juliet)[0] == "act"
        server.kill_workers()
        L.set_list(other, "act", L.item(1, "deny", "jid", romeo.bare, "iq"))
        L.drain(juliet)
        L.goes(romeo, juliet)
        L.set_list(other, "act", L.item(1, "deny", "jid", romeo.bare, "message"))
        L.drain(juliet)
    server.forget_reports()


def test_blocks_and_messages_race(make_server):
    """After the answer nothing comes that was not there before: from another worker"""
    server = make_server(workers=2, config={"modules": L.MODULES})
    juliet, romeo = L.two(server, subscriptions="--")
    third = L.come(server, "juliet", "third", 0)
    juliet.expect(f"<presence from='{third.full}'/>")
    stop = threading.Event()

    def chatter():
        while not stop.wait(0.001):
            romeo.send(f"<message type='headline' to='{juliet.bare}'/>" * 10)
            L.drain(romeo)

    def heard(s):
        return [g for g in L.drain(s) if g.get("from") == romeo.full]
    t = threading.Thread(target=chatter)
    t.start()
    try:
        for _ in range(20):
            wait.until(lambda: heard(juliet) and heard(third), "messages")
            L.block(juliet, romeo.bare)
            assert heard(juliet) == []
            heard(third)
            assert heard(third) == []
            L.unblock(juliet, romeo.bare)
    finally:
        stop.set()
        t.join()


def pid_of(server, role, slot=0):
    return next(p["pid"] for p in server.processes(role) if p["slot"] == slot)


def test_whoever_has_not_seen_the_list_yet(make_server):
    """The router is slow: the sender's worker takes the short way, and the session's knows better"""
    server = make_server(workers=2, config={"modules": L.MODULES})
    for name in ("juliet", "rosaline", "nurse"):  # of different homes, perhaps
        her, romeo = L.two(server, a=name, subscriptions="--")
        router = pid_of(server, "router")
        L.goes(romeo, her)
        os.kill(router, signal.SIGSTOP)
        try:
            her.send(f"<iq type='set' id='b'>{L.block_text('block', romeo.bare)}</iq>")

            def refused():
                i = romeo.next_id()
                romeo.send(f"<message id='{i}' to='{her.bare}'/>")
                got = wait.until(lambda: [g for s in (her, romeo) for g in L.drain(s) if g.get("id") == i],
                                 "the message, or an error")
                return got[0].get("type") == "error"
            wait.until(refused, "a message to be refused")
        finally:
            os.kill(router, signal.SIGCONT)


def test_the_answer_waits_for_all_workers(make_server):
    """A session whose worker does not hear of the change yet"""
    server = make_server(workers=2, config={"modules": L.MODULES})
    for name in ("juliet", "rosaline", "nurse", "helena"):
        her, romeo = (L.come(server, n, slot=0) for n in (name, f"{name}s-romeo"))
        other = L.come(server, name, "other", 1)
        her.expect(f"<presence from='{other.full}'/>")
        L.goes(romeo, other)
        worker = pid_of(server, "worker", 1)
        os.kill(worker, signal.SIGSTOP)
        try:
            romeo.send(f"<message id='early' to='{other.full}'/>")
            her.send(f"<iq type='set' id='b'>{L.block_text('block', romeo.bare)}</iq>")
            with pytest.raises(AssertionError, match="nothing came"):
                while her.next(0.3).get("id") != "b":  # pushes come before
                    pass
        finally:
            os.kill(worker, signal.SIGCONT)
        while her.next().get("id") != "b":
            pass
        got = [g.get("id") for g in L.drain(other) if g.get("from") == romeo.full]
        assert got in ([], ["early"])
        L.bounces(romeo, other.full)
        other.expect_nothing()
