"""Privacy lists: XEP-0016, by its sections; over two workers

Juliet has the lists, Romeo is who is blocked. Her sessions and his are in different workers
unless said; whose home is where is left to chance.
"""
import time

import pytest

from harness import lists as L
from harness import wait, xml
from harness.database import sql


@pytest.fixture(scope="module")
def shared(session_maker):
    return session_maker(workers=2, config={"modules": L.MODULES})


@pytest.fixture(scope="module")
def shared_pgsql(session_maker):
    return session_maker(workers=2, database="pgsql", config={"modules": L.MODULES})


# 2.1 Syntax and semantics


@pytest.mark.parametrize("inner,condition", [
    ("<active name='a'/><default name='a'/>", "bad-request"),
    ("<list name='a'><item action='allow' order='1'/></list><list name='b'/>", "bad-request"),
    ("<list><item action='allow' order='1'/></list>", "bad-request"),
    ("<list name='a'><other/></list>", "bad-request"),
    ("<other/>", "bad-request"),
    ("", "bad-request"),
    ("<list name='a'><item order='1'/></list>", "bad-request"),
    ("<list name='a'><item action='maybe' order='1'/></list>", "bad-request"),
    ("<list name='a'><item action='deny'/></list>", "bad-request"),
    ("<list name='a'><item action='deny' order='-1'/></list>", "bad-request"),
    ("<list name='a'><item action='deny' order='4294967296'/></list>", "bad-request"),
    ("<list name='a'><item action='deny' order='1'/><item action='allow' order='1'/></list>", "bad-request"),
    ("<list name='a'><item type='jid' value='a@b@c' action='deny' order='1'/></list>", "bad-request"),
    ("<list name='a'><item type='jid' action='deny' order='1'/></list>", "bad-request"),
    ("<list name='a'><item type='subscription' value='maybe' action='deny' order='1'/></list>", "bad-request"),
    ("<list name='a'><item type='color' value='red' action='deny' order='1'/></list>", "bad-request"),
    ("<list name='a'><item type='group' value='Nobody' action='deny' order='1'/></list>", "item-not-found"),
    (f"<list name='{'n' * 1024}'><item action='deny' order='1'/></list>", "not-acceptable"),
])
def test_malformed_requests_change_nothing(server, inner, condition):
    """2.1"""
    juliet = server.stream().login()
    L.set_list(juliet, "a", L.item(1, "allow"))
    L.error(juliet.request(L.query(inner), "set"), condition)
    assert L.names(juliet) == (None, None, ["a"])
    assert L.get_list(juliet, "a") == [(1, "allow", None, None, [])]


def test_a_list_is_kept_as_it_was_given(any_server):
    """2.1: all kinds of rules; addresses are prepared, the order is that of the numbers"""
    account = any_server.account("juliet")
    L.contact(any_server, account, "romeo@example.net", "B", "Fri 'ends & \"co\"")
    juliet = any_server.stream().login()
    L.set_list(juliet, "Über <all>",
               L.item(4294967295, "allow"),
               L.item(7, "deny", "group", "Fri 'ends & \"co\"", "iq"),
               L.item(3, "deny", "jid", "Tybalt@Example.COM/Pda", "message", "presence-in"),
               L.item(5, "deny", "jid", "example.org", "presence-out"),
               L.item(11, "deny", "subscription", "none", "message", "iq", "presence-in", "presence-out"))
    assert L.get_list(juliet, "Über <all>") == [
        (3, "deny", "jid", "tybalt@example.com/Pda", ["message", "presence-in"]),
        (5, "deny", "jid", "example.org", ["presence-out"]),
        (7, "deny", "group", "Fri 'ends & \"co\"", ["iq"]),
        (11, "deny", "subscription", "none", ["iq", "message", "presence-in", "presence-out"]),
        (4294967295, "allow", None, None, [])]
    found = sql(any_server, "select t, value, action, cast(ord as bigint), match_all, match_iq,"
                               " match_message, match_presence_in, match_presence_out"
                               " from privacy_list_data d join privacy_list l on l.id = d.id"
                               " where username = ? order by d.ord", account.user)
    assert [tuple(r) for r in found] == [
        ("j", "tybalt@example.com/Pda", "d", 3, False, False, True, True, False),
        ("j", "example.org", "d", 5, False, False, False, False, True),
        ("g", "Fri 'ends & \"co\"", "d", 7, False, True, False, False, False),
        ("s", "none", "d", 11, False, True, True, True, True),
        ("n", "", "a", 4294967295, True, False, False, False, False)]


@pytest.mark.parametrize("rule,denied", [
    ("{full}", True), ("{bare}", True), ("{host}", True), ("{host}/{resource}", False),
    ("{bare}/other", False), ("nobody@{host}", False), ("net", False), ("x.{host}", False)])
def test_addresses_are_matched(server, rule, denied):
    """2.1: user@domain/resource, user@domain, domain; domain/resource is somebody else"""
    juliet, romeo = L.two(server, subscriptions="--")
    value = rule.format(full=romeo.full, bare=romeo.bare, host=romeo.host, resource=romeo.resource)
    L.set_list(juliet, "a", L.item(1, "deny", "jid", value, "message"))
    L.choose(juliet, "default", "a")
    for to in (juliet.full, juliet.bare):
        if denied:
            L.bounces(romeo, to)
        else:
            L.goes(romeo, juliet, to)


@pytest.mark.parametrize("have", ["B", "T", "F", "N", "-"])
def test_subscriptions_are_matched_exactly(server, have):
    """2.1: who is not in the roster has none"""
    juliet, romeo = L.two(server, subscriptions=have + "-")
    L.drain(romeo)
    for value in ("both", "to", "from", "none"):
        L.set_list(juliet, "a", L.item(1, "deny", "subscription", value, "message"))
        L.choose(juliet, "default", "a")
        if value == {"B": "both", "T": "to", "F": "from"}.get(have, "none"):
            L.bounces(romeo, juliet.bare)
        else:
            L.goes(romeo, juliet, juliet.bare)


def test_groups_are_matched(server):
    """2.1"""
    server.account("juliet"), server.account("romeo"), server.account("tybalt")
    juliet, romeo = L.two(server, subscriptions="N-", groups=("Friends", "Enemies"))
    tybalt = L.come(server, "tybalt")
    L.set_list(juliet, "a", L.item(1, "deny", "group", "Enemies", "message"))
    L.choose(juliet, "default", "a")
    L.bounces(romeo, juliet.bare)
    L.goes(tybalt, juliet, juliet.bare)


def test_one_s_own_resources_and_server_are_never_blocked(server):
    """2.1, note 1"""
    a, b = L.come(server, "juliet", "a", 0), L.come(server, "juliet", "b", 1)
    a.expect(f"<presence from='{b.full}'/>")
    L.set_list(a, "all", L.item(1, "deny"), L.item(2, "deny", "jid", a.bare), L.item(3, "deny", "jid", a.host))
    b.expect(f"<iq type='set'>{L.query('''<list name='all'/>''')}</iq>")
    L.choose(a, "active", "all")
    L.choose(b, "active", "all")
    L.goes(a, b)
    L.goes(b, a, a.full)
    L.asks(b, a)
    a.presence(inner="<show>away</show>")
    for s in (a, b):
        s.expect(f"<presence from='{a.full}'><show>away</show></presence>")
    b.send("<presence type='unavailable'/>")
    a.expect(f"<presence type='unavailable' from='{b.full}'/>")


# 2.2 Business rules


def test_the_active_list_applies_instead_of_the_default_list(server):
    """2.2, 1: to its session, there is no layering"""
    juliet, romeo = L.two(server, subscriptions="--")
    L.set_list(juliet, "none", L.item(1, "deny", "jid", romeo.bare))
    L.set_list(juliet, "any", L.item(1, "allow"))
    L.choose(juliet, "default", "none")
    L.bounces(romeo, juliet.full)
    L.choose(juliet, "active", "any")
    for to in (juliet.full, juliet.bare):
        L.goes(romeo, juliet, to)
    L.asks(romeo, juliet)
    L.asks(juliet, romeo)
    L.choose(juliet, "active", "none")
    L.choose(juliet, "default", "any")
    for to in (juliet.full, juliet.bare):
        L.bounces(romeo, to)
    L.is_refused(romeo, juliet.full)
    L.choose(juliet, "active")
    L.goes(romeo, juliet, juliet.bare)


def test_sessions_have_active_lists_of_their_own(server):
    """2.2, 1 and 2: what is for the account goes to those that may have it"""
    juliet, romeo = L.two(server, subscriptions="--")
    other = L.come(server, "juliet", "other", 1)
    juliet.expect(f"<presence from='{other.full}'/>")
    L.set_list(juliet, "no", L.item(1, "deny", "jid", romeo.bare))
    other.expect(f"<iq type='set'>{L.query('''<list name='no'/>''')}</iq>")
    L.choose(other, "active", "no")
    L.goes(romeo, juliet)
    L.bounces(romeo, other.full)
    L.bounces(other, romeo.bare, "not-acceptable")
    L.goes(juliet, romeo)
    L.goes(romeo, juliet, juliet.bare, "headline")
    other.expect_nothing()
    # The other way round: the default list denies, one session allows.
    L.choose(juliet, "active", "no")
    L.choose(other, "default", "no")
    L.set_list(other, "yes", L.item(1, "allow"))
    juliet.expect(f"<iq type='set'>{L.query('''<list name='yes'/>''')}</iq>")
    L.choose(other, "active", "yes")
    L.choose(juliet, "active")
    for to in (other.full, other.bare):
        L.goes(romeo, other, to)
    L.bounces(romeo, juliet.full)
    juliet.expect_nothing()


def test_the_default_list_applies_when_nobody_is_there(any_server):
    """2.2, 2"""
    juliet, romeo = L.two(any_server, subscriptions="BB")
    L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare))
    L.choose(juliet, "default", "a")
    L.unavailable(romeo, juliet.full)
    juliet.close()
    L.bounces(romeo, juliet.bare)
    L.is_refused(romeo, juliet.bare)
    romeo.send(f"<presence type='subscribe' to='{juliet.bare}'/>")
    L.bounces(romeo, juliet.bare)
    romeo.expect_nothing()


@pytest.mark.parametrize("items,denied", [
    ([(1, "allow", True), (2, "deny", True)], False),
    ([(2, "allow", True), (1, "deny", True)], True),
    ([(9, "deny", False), (5, "allow", True)], False),
    ([(9, "deny", False), (50, "allow", True)], True),
    ([(1, "allow", False)], False), ([], False)])
def test_the_first_rule_that_fits_decides(server, items, denied):
    """2.2, 5 to 7; without one everything is allowed"""
    juliet, romeo = L.two(server, subscriptions="--")
    L.set_list(juliet, "a", L.item(99, "deny", "jid", "nobody@example.org"),
               *(L.item(o, action, "jid" if named else None, romeo.bare) for o, action, named in items))
    L.choose(juliet, "default", "a")
    if denied:
        L.bounces(romeo, juliet.bare)
    else:
        L.goes(romeo, juliet, juliet.bare)


@pytest.mark.parametrize("what", ["default", "active"])
def test_an_edited_list_applies_at_once(server, what):
    """2.2, 8: for all resources to which it applies"""
    juliet, romeo = L.two(server, subscriptions="--")
    other = L.come(server, "juliet", "other", 1)
    juliet.expect(f"<presence from='{other.full}'/>")
    push = f"<iq type='set'>{L.query('''<list name='a'/>''')}</iq>"
    L.set_list(juliet, "a", L.item(1, "allow"))
    other.expect(push)
    if what == "default":
        L.choose(juliet, "default", "a")
    else:
        L.choose(other, "active", "a")
        L.choose(juliet, "active", "a")
    for s in (juliet, other):
        L.goes(romeo, s)
    for _ in range(3):
        L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare, "message"))
        other.expect(push)
        for s in (juliet, other):
            L.bounces(romeo, s.full)
        L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare, "iq"))
        other.expect(push)
        for s in (juliet, other):
            L.goes(romeo, s)
            L.is_refused(romeo, s.full)


def test_a_changed_contact_counts_at_once(server):
    """2.2, 9"""
    juliet, romeo = L.two(server, subscriptions="N-", groups=("Friends",))
    L.set_list(juliet, "a", L.item(1, "deny", "group", "Friends", "message"))
    L.choose(juliet, "default", "a")
    L.bounces(romeo, juliet.bare)
    roster = "<query xmlns='jabber:iq:roster'><item jid='{}'{}><group>{}</group></item></query>"
    L.ok(L.ask(juliet, roster.format(romeo.bare, "", "Others"))[0])
    L.goes(romeo, juliet, juliet.bare)
    L.ok(L.ask(juliet, roster.format(romeo.bare, "", "Friends"))[0])
    L.bounces(romeo, juliet.bare)
    L.ok(L.ask(juliet, roster.format(romeo.bare, " subscription='remove'", ""))[0])
    L.goes(romeo, juliet, juliet.bare)


# 2.3 Retrieving


def test_names_of_lists(any_server):
    """2.3: the active one, the default one, all"""
    juliet = any_server.stream().login()
    assert L.names(juliet) == (None, None, [])
    for name in ("special", "public", "private"):
        L.set_list(juliet, name, L.item(1, "allow"))
    assert L.names(juliet) == (None, None, ["private", "public", "special"])
    L.choose(juliet, "default", "public")
    L.choose(juliet, "active", "private")
    assert L.names(juliet) == ("private", "public", ["private", "public", "special"])
    other = any_server.stream().login()
    assert L.names(other) == (None, "public", ["private", "public", "special"])


def test_requests_are_answered_in_their_order(server):
    """RFC 6120, 10.1: what was asked before counts"""
    juliet = server.stream().login()
    L.set_list(juliet, "a", L.item(1, "allow"))
    juliet.send(f"<iq type='set' id='1'>{L.query('''<active name='a'/>''')}</iq>"
                f"<iq type='get' id='2'>{L.query()}</iq>"
                f"<iq type='set' id='3'>{L.query('''<active/>''')}</iq>"
                f"<iq type='get' id='4'>{L.query()}</iq>")
    juliet.expect("<iq type='result' id='1'/>")
    juliet.expect(f"<iq type='result' id='2'>{L.query('''<active name='a'/><list name='a'/>''')}</iq>")
    juliet.expect("<iq type='result' id='3'/>")
    got = juliet.expect(f"<iq type='result' id='4'>{L.query('''<list name='a'/>''')}</iq>")
    assert len(got[0]) == 1


def test_lists_that_are_not_there(server):
    """2.3; 2.4; 2.5; 2.8"""
    juliet = server.stream().login()
    L.error(juliet.request(L.query("<list name='The Empty Set'/>")), "item-not-found", "cancel")
    for inner in ("<active name='x'/>", "<default name='x'/>", "<list name='x'/>", "<active name=''/>",
                  "<default name=''/>"):
        L.error(juliet.request(L.query(inner), "set"), "item-not-found", "cancel")


def test_one_list_at_a_time(server):
    """2.3; 2.8"""
    juliet = server.stream().login()
    L.error(juliet.request(L.query("<list name='a'/><list name='b'/>")), "bad-request", "modify")
    L.error(juliet.request(L.query("<list name='a'/><list name='b'/>"), "set"), "bad-request", "modify")


def test_only_for_oneself(server):
    """They are nobody else's business"""
    juliet, romeo = (server.stream(n).login() for n in ("juliet", "romeo"))
    L.error(romeo.request(L.query(), to=juliet.bare), "service-unavailable")
    L.error(romeo.request(L.query("<default/>"), "set", to=juliet.bare), "service-unavailable")
    L.ok(juliet.request(L.query(), to=juliet.bare))


# 2.5 The default list: conflicts


def test_the_default_list_of_others_stays(any_server):
    """2.5; 2.2, 11: while it applies to another resource"""
    a, b = L.come(any_server, "juliet", "a", 0, "bound"), L.come(any_server, "juliet", "b", 1, "bound")
    for name in ("one", "two"):
        L.set_list(a, name, L.item(1, "allow"))
        b.expect(f"<iq type='set'>{L.query(f'''<list name='{name}'/>''')}</iq>")
    L.choose(a, "default", "one")  # there was none: nobody uses it
    for inner in ("<default name='two'/>", "<default/>", "<list name='one'/>"):
        L.error(a.request(L.query(inner), "set"), "conflict", "cancel")
    assert L.names(a) == (None, "one", ["one", "two"])
    L.choose(a, "default", "one")  # nothing changes
    L.choose(b, "active", "two")   # now it applies to a only
    L.choose(a, "default", "two")
    L.choose(a, "default")
    L.error(b.request(L.query("<default name='one'/>"), "get"), "bad-request")
    assert L.names(b) == ("two", None, ["one", "two"])


# 2.6, 2.7 Editing and adding


def test_pushes(any_server):
    """2.6: to all connected resources, available or not, with the name only"""
    a, b = L.come(any_server, "juliet", "a", 0), L.come(any_server, "juliet", "b", 1, "bound")
    for items in ([L.item(1, "allow")], [L.item(2, "deny", "jid", "x@example.org")]):
        L.set_list(a, "public", *items)
        got = b.expect(f"<iq type='set' from='{b.bare}' to='{b.full}' id='*'>"
                       f"{L.query('''<list name='public'/>''')}</iq>")
        assert len(got[0]) == 1 and len(got[0][0]) == 0
        b.send(f"<iq type='result' id='{got.get('id')}'/>")
    assert L.get_list(b, "public") == [(2, "deny", "jid", "x@example.org", [])]
    b.expect_nothing()


# 2.8 Removing


def test_removing_a_list(any_server):
    """2.8"""
    juliet = any_server.stream().login()
    L.set_list(juliet, "private", L.item(1, "allow"))
    answer, before = L.ask(juliet, L.query("<list name='private'/>"))
    L.ok(answer)
    assert L.names(juliet) == (None, None, [])
    assert sql(any_server, "select count(*) from privacy_list where username = ?", juliet.user) == [(0,)]
    assert sql(any_server, "select count(*) from privacy_list_data d left join privacy_list l on l.id = d.id"
                              " where l.id is null") == [(0,)]


def test_a_list_that_others_use_is_not_removed(any_server):
    """2.8: as active or default list; the own session's may be"""
    a, b = L.come(any_server, "juliet", "a", 0, "bound"), L.come(any_server, "juliet", "b", 1, "bound")
    for name in ("one", "two"):
        L.set_list(a, name, L.item(1, "allow"))
        b.expect(f"<iq type='set'>{L.query(f'''<list name='{name}'/>''')}</iq>")
    L.choose(b, "active", "two")
    L.error(a.request(L.query("<list name='two'/>"), "set"), "conflict", "cancel")
    L.choose(a, "active", "one")
    L.ok(L.ask(a, L.query("<list name='one'/>"))[0])
    assert L.names(a) == (None, None, ["two"])
    b.expect(f"<iq type='set'>{L.query('''<list name='one'/>''')}</iq>")
    L.ok(L.ask(b, L.query("<list name='two'/>"))[0])
    assert L.names(b) == (None, None, [])


def test_a_default_list_that_is_removed(server):
    """2.8: by the only session; it applies no more"""
    juliet, romeo = L.two(server, subscriptions="--")
    L.set_list(juliet, "a", L.item(1, "deny"))
    L.choose(juliet, "default", "a")
    L.bounces(romeo, juliet.bare)
    L.ok(L.ask(juliet, L.query("<list name='a'/>"))[0])
    assert L.names(juliet) == (None, None, [])
    L.goes(romeo, juliet, juliet.bare)


# 2.9 to 2.13: what is blocked


RULES = pytest.mark.parametrize("what,kind,value", [
    ("default", "jid", "{bare}"), ("default", "group", "Enemies"), ("default", "subscription", "both"),
    ("default", None, None), ("active", "jid", "{bare}"), ("active", "group", "Enemies")])


@RULES
def test_blocking_messages(server, what, kind, value):
    """2.9: incoming messages, nothing else"""
    juliet, romeo = L.two(server, groups=("Enemies",))
    L.set_list(juliet, "a", L.item(3, "deny", kind, (value or "").format(bare=romeo.bare), "message"))
    L.choose(juliet, what, "a")
    L.bounces(romeo, juliet.bare)
    L.bounces(romeo, juliet.full)
    L.goes(juliet, romeo)
    L.asks(romeo, juliet)
    romeo.presence(inner="<show>away</show>")
    juliet.expect(f"<presence from='{romeo.full}'><show>away</show></presence>")
    romeo.expect(f"<presence from='{romeo.full}'><show>away</show></presence>")
    juliet.presence(inner="<show>dnd</show>")
    romeo.expect(f"<presence from='{juliet.full}'><show>dnd</show></presence>")


@RULES
def test_blocking_presence_in(server, what, kind, value):
    """2.10: the contact becomes unavailable; messages and requests come"""
    juliet, romeo = L.two(server, groups=("Enemies",))
    L.set_list(juliet, "a", L.item(7, "deny", kind, (value or "").format(bare=romeo.bare), "presence-in"))
    assert len(L.choose(juliet, what, "a")) == 1  # unavailable, taken
    romeo.presence(inner="<show>away</show>")
    romeo.expect(f"<presence from='{romeo.full}'/>")
    romeo.send(f"<presence to='{juliet.full}'/>")
    L.goes(romeo, juliet)
    L.asks(romeo, juliet)
    juliet.presence(inner="<show>dnd</show>")
    romeo.expect(f"<presence from='{juliet.full}'><show>dnd</show></presence>")
    # A new session does not see him either.
    if what == "default":
        L.goes(romeo, L.come(server, "juliet", "other", 1))
    # Subscriptions are not notifications. (The one that is left need not be of that kind.)
    romeo.send(f"<presence type='unsubscribe' to='{juliet.bare}'/>")
    got = [g.get("type") for g in L.drain(juliet) + L.drain(juliet)]
    L.goes(romeo, juliet)
    assert "unavailable" not in got


@pytest.mark.parametrize("what", ["default", "active"])
def test_blocked_presence_comes_again(server, what):
    """2.10, the other way round"""
    juliet, romeo = L.two(server)
    L.set_list(juliet, "a", L.item(7, "deny", "jid", romeo.bare, "presence-in"))
    [gone] = L.choose(juliet, what, "a")
    assert xml.matches(xml.pattern(f"<presence type='unavailable' from='{romeo.full}'/>"), gone)
    came = L.choose(juliet, what)
    came += L.drain(juliet) + L.drain(juliet)
    assert [(c.get("from"), c.get("type")) for c in came] == [(romeo.full, None)]


@RULES
def test_blocking_presence_out(server, what, kind, value):
    """2.11: the contact gets unavailable presence, and no other any more"""
    juliet, romeo = L.two(server, groups=("Enemies",))
    L.set_list(juliet, "a", L.item(13, "deny", kind, (value or "").format(bare=romeo.bare), "presence-out"))
    L.choose(juliet, what, "a")
    L.unavailable(romeo, juliet.full)
    juliet.presence(inner="<show>dnd</show>")
    juliet.expect(f"<presence from='{juliet.full}'/>")
    juliet.send(f"<presence id='d' to='{romeo.full}'/>")
    juliet.expect("<presence type='error' id='d'><error type='cancel'><not-acceptable/></error></presence>")
    L.goes(juliet, romeo)
    L.goes(romeo, juliet)
    L.asks(romeo, juliet)
    romeo.presence(inner="<show>away</show>")
    juliet.expect(f"<presence from='{romeo.full}'><show>away</show></presence>")
    romeo.expect(f"<presence from='{romeo.full}'/>")
    # Who comes online finds nobody.
    other = L.come(server, "romeo", "other", 0)
    romeo.expect(f"<presence from='{other.full}'/>")
    juliet.expect(f"<presence from='{other.full}'/>")
    L.goes(juliet, other)
    # And hears nothing of the end.
    juliet.send("<presence type='unavailable'/>")
    juliet.expect(f"<presence type='unavailable' from='{juliet.full}'/>")
    L.goes(juliet, romeo)
    L.goes(juliet, other)


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("what", ["default", "active"])
def test_nobody_hears_of_the_end_who_was_not_to_see_us(server, what, how):
    """2.11: the list applies to the last presence of a session, too"""
    tybalt = server.account("tybalt")
    L.contact(server, server.account("juliet"), tybalt.bare, "B")
    L.contact(server, tybalt, server.account("juliet").bare, "B")
    juliet, romeo = L.two(server)
    sees = L.come(server, "tybalt")
    juliet.expect(f"<presence from='{sees.full}'/>")
    L.set_list(juliet, "a", L.item(13, "deny", "jid", romeo.bare, "presence-out"))
    L.choose(juliet, what, "a")
    L.unavailable(romeo, juliet.full)
    getattr(juliet, how)()
    L.unavailable(sees, juliet.full)
    L.goes(sees, romeo)


def test_presence_out_again(server):
    """2.11, the other way round"""
    juliet, romeo = L.two(server)
    L.set_list(juliet, "a", L.item(13, "deny", "jid", romeo.bare, "presence-out"))
    for what in ("default", "active"):
        L.choose(juliet, what, "a")
        L.unavailable(romeo, juliet.full)
        L.choose(juliet, what)
        L.available(romeo, juliet.full)


def test_presence_out_of_one_session(server):
    """2.11: an active list hides its session only; probes are answered for each"""
    juliet, romeo = L.two(server)
    other = L.come(server, "juliet", "other", 1)
    juliet.expect(f"<presence from='{other.full}'/>")
    L.available(romeo, other.full)
    L.set_list(juliet, "a", L.item(13, "deny", "jid", romeo.bare, "presence-out"))
    other.expect(f"<iq type='set'>{L.query('''<list name='a'/>''')}</iq>")
    L.choose(juliet, "active", "a")
    L.unavailable(romeo, juliet.full)
    again = L.come(server, "romeo", "again", 0, "bound")
    again.presence()
    for s in (juliet, other, romeo):
        s.expect(f"<presence from='{again.full}'/>")
    # What else there is to be seen has come before this.
    seen = [got.get("from") for got in L.until_message(again, other)]
    assert sorted(seen) == sorted([again.full, romeo.full, other.full]), seen


@RULES
def test_blocking_requests(server, what, kind, value):
    """2.12: incoming ones; results are dropped"""
    juliet, romeo = L.two(server, groups=("Enemies",))
    L.set_list(juliet, "a", L.item(29, "deny", kind, (value or "").format(bare=romeo.bare), "iq"))
    L.choose(juliet, what, "a")
    L.is_refused(romeo, juliet.full)
    L.is_refused(romeo, juliet.bare)
    L.goes(romeo, juliet)
    L.goes(juliet, romeo)
    juliet.send(f"<iq type='get' id='q' to='{romeo.full}'><q xmlns='x'/></iq>")
    romeo.expect(f"<iq type='get' id='q' from='{juliet.full}'/>")
    romeo.send(f"<iq type='result' id='q' to='{juliet.full}'/>")
    L.goes(romeo, juliet)


@RULES
def test_blocking_all_communication(server, what, kind, value):
    """2.13 and 2.14: both ways, subscriptions, too"""
    juliet, romeo = L.two(server, groups=("Enemies",))
    L.set_list(juliet, "a", L.item(23, "deny", kind, (value or "").format(bare=romeo.bare)))
    L.choose(juliet, what, "a")
    L.unavailable(romeo, juliet.full)
    L.bounces(romeo, juliet.full)
    L.is_refused(romeo, juliet.full)
    romeo.send(f"<presence to='{juliet.full}'/>")
    romeo.presence(inner="<show>away</show>")
    romeo.expect(f"<presence from='{romeo.full}'/>")
    if what == "default":
        for t in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            juliet.send(f"<presence id='{t}' type='{t}' to='{romeo.bare}'/>")
            juliet.expect(f"<presence type='error' id='{t}'><error type='cancel'><not-acceptable/></error></presence>")
    L.bounces(juliet, romeo.full, "not-acceptable")
    L.bounces(juliet, romeo.bare, "not-acceptable", kind="normal")
    for to in (romeo.full, romeo.bare):
        L.error(juliet.request("<q xmlns='x'/>", to=to), "not-acceptable", "cancel")
    juliet.presence(inner="<show>dnd</show>")
    juliet.expect(f"<presence from='{juliet.full}'/>")
    juliet.send(f"<iq type='result' id='r' to='{romeo.full}'/>")
    juliet.expect_nothing()
    romeo.expect_nothing()


# 2.14 A blocked entity


@pytest.mark.parametrize("kind", ["headline", "groupchat", "error"])
def test_messages_that_are_not_answered(server, kind):
    """2.14: as rooms would throw the user out, and errors are never answered"""
    juliet, romeo = L.two(server, subscriptions="--")
    L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare))
    L.choose(juliet, "default", "a")
    romeo.send(f"<message type='{kind}' to='{juliet.full}'><body>?</body></message>")
    L.bounces(romeo, juliet.full)
    juliet.expect_nothing()


def test_subscriptions_of_a_blocked_contact(any_server):
    """2.2, 4; 2.14: nothing happens, nobody is told"""
    juliet, romeo = L.two(any_server, subscriptions="--")
    L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare))
    L.choose(juliet, "default", "a")
    for t in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
        romeo.send(f"<presence type='{t}' to='{juliet.bare}'/>")
    L.bounces(romeo, juliet.full)
    juliet.expect_nothing()
    assert sql(any_server, "select count(*) from rosterusers where username = ?", juliet.user) == [(0,)]


def test_requests_to_the_account_of_who_blocks(server):
    """2.14: also where the server answers for it, whether its user is there or not"""
    juliet, romeo = L.two(server, subscriptions="--")
    roster = "<query xmlns='jabber:iq:roster'/>"
    L.error(romeo.request(roster, to=juliet.bare), "forbidden")
    L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare, "iq"))
    L.choose(juliet, "default", "a")
    L.error(romeo.request(roster, to=juliet.bare), "service-unavailable", "cancel")
    L.choose(juliet, "default")
    L.error(romeo.request(roster, to=juliet.bare), "forbidden")
    L.choose(juliet, "default", "a")
    juliet.close()
    L.error(romeo.request(roster, to=juliet.bare), "service-unavailable", "cancel")


def test_messages_to_nobody_are_not_stored(make_server):
    """2.2, 2; 2.14: and what was stored before is not given out"""
    server = make_server(workers=2, config={"modules": {**L.MODULES, "mod_offline": {}}})
    server.account("juliet")
    romeo, tybalt = (server.stream(n).login(until="online") for n in ("romeo", "tybalt"))
    to = server.account("juliet").bare
    for s in (romeo, tybalt):
        s.send(f"<message to='{to}' type='chat'><body>before</body></message>")
    wait.until(lambda: server.ctl("get_offline_count", "juliet", "example.net") == "2", "both messages")
    juliet = server.stream("juliet").login()
    L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare))
    L.choose(juliet, "default", "a")
    juliet.close()
    L.bounces(romeo, to)
    tybalt.send(f"<message to='{to}' type='chat'><body>after</body></message>")
    wait.until(lambda: server.ctl("get_offline_count", "juliet", "example.net") == "3", "one more")
    juliet = server.stream("juliet").login(until="online")
    for body in ("before", "after"):
        juliet.expect(f"<message from='{tybalt.full}'><body>{body}</body></message>")
    L.goes(tybalt, juliet)
    romeo.expect_nothing()


def test_a_request_for_a_subscription_that_waits(server):
    """2.14: it is not shown to who has blocked its sender since"""
    juliet, romeo = L.two(server, subscriptions="--")
    tybalt = L.come(server, "tybalt")
    for s in (romeo, tybalt):
        s.send(f"<presence type='subscribe' to='{juliet.bare}'/>")
        juliet.expect(f"<presence type='subscribe' from='{s.bare}'/>")
    L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare))
    L.choose(juliet, "default", "a")
    other = L.come(server, "juliet", "other", 1, "bound")
    other.presence()
    other.expect_any_order(f"<presence from='{other.full}'/>", f"<presence from='{juliet.full}'/>",
                           f"<presence type='subscribe' from='{tybalt.bare}'/>")
    juliet.expect(f"<presence from='{other.full}'/>")
    assert L.until_message(other, juliet) == []


# Sessions that move (XEP-0198)


SM = "urn:xmpp:sm:3"


def test_an_active_list_goes_with_its_session(make_server):
    """2.2, 1: for the duration of the session, whatever its connections are"""
    server = make_server(workers=2, config={"modules": {**L.MODULES, "mod_stream_mgmt": {}}})
    slots = sorted(server.worker_connections())
    romeo = server.stream("romeo", worker=slots[0]).login(until="online")
    juliet = server.stream("juliet", worker=slots[0]).login()
    L.set_list(juliet, "a", L.item(1, "deny", "jid", romeo.bare, "message"))
    L.choose(juliet, "active", "a")
    L.drain(juliet)
    juliet.send(f"<enable xmlns='{SM}' resume='true'/>")
    previd = juliet.expect(f"<enabled xmlns='{SM}' resume='true'/>").get("id")
    full, count = juliet.full, 0
    for n, slot in enumerate((slots[1], slots[0])):
        juliet.abort()
        i = romeo.next_id()
        romeo.send(f"<message to='{full}' id='{i}' type='chat'><body>?</body></message>")
        romeo.expect(f"<message type='error' id='{i}'><error><service-unavailable/></error></message>")
        juliet = server.stream("juliet", worker=slot).login(until="features")
        juliet.send(f"<resume xmlns='{SM}' previd='{previd}' h='{count}'/>")
        juliet.expect(f"<resumed xmlns='{SM}'/>")
        juliet.full = full
        i = romeo.next_id()
        romeo.send(f"<message to='{full}' id='{i}' type='chat'><body>?</body></message>")
        romeo.expect(f"<message type='error' id='{i}'><error><service-unavailable/></error></message>")
        answer, before = ask_sm(juliet, L.query())
        count += 1 + before
        L.ok(answer)
        assert xml.matches(xml.pattern(f"<iq type='result'>{L.query('<active name=%sa%s/>' % (chr(39), chr(39)))}</iq>"),
                           answer), xml.show(answer)


def let_in_by_an_active_list(make_server):
    """Juliet, whose active list allows what the account's default list denies; another session of hers; romeo"""
    server = make_server(workers=2, config={"modules": {**L.MODULES, "mod_stream_mgmt": {}}})
    juliet, romeo = L.two(server, subscriptions="--")
    other = L.come(server, "juliet", "other", 1)
    juliet.expect(f"<presence from='{other.full}'/>")
    for name, action in ("no", "deny"), ("yes", "allow"):
        L.set_list(juliet, name, L.item(1, action, "jid", romeo.bare))
        other.expect(f"<iq type='set'>{L.query(f'<list name={chr(39)}{name}{chr(39)}/>')}</iq>")
    L.choose(juliet, "active", "yes")
    L.choose(juliet, "default", "no")
    juliet.send(f"<enable xmlns='{SM}'/>")
    juliet.expect(f"<enabled xmlns='{SM}'/>")
    return juliet, other, romeo


def test_what_a_session_leaves_is_judged_by_the_other_list(make_server):
    """2.2, 1 and 2: it was let in by an active list, which does not apply to who is there then"""
    juliet, other, romeo = let_in_by_an_active_list(make_server)
    L.goes(romeo, juliet, juliet.bare)
    juliet.close()
    romeo.expect("<message type='error'><error><service-unavailable/></error></message>")
    other.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    other.expect_nothing()


def test_what_a_session_leaves_goes_to_those_that_may_have_it_now(make_server):
    """2.2, 1: they were there, but the default list denied it; only an active list let it in"""
    juliet, other, romeo = let_in_by_an_active_list(make_server)
    came = time.monotonic()
    wait.until(lambda: time.monotonic() - came > 4, "both to have been there for a while")
    L.goes(romeo, juliet, juliet.bare)
    L.choose(other, "default")
    juliet.close()
    other.expect_any_order(f"<presence from='{juliet.full}' type='unavailable'/>",
                           f"<message from='{romeo.full}' to='{juliet.bare}'/>")


def ask_sm(s, inner):
    """The answer, and how many stanzas came before it."""
    i, n = s.next_id(), 0
    s.send(f"<iq type='get' id='{i}'>{inner}</iq>")
    while True:
        got = s.next()
        if got.tag.startswith(f"{{{SM}}}"):
            continue
        if got.get("id") == i:
            return got, n
        n += 1


# 3 Discovery, and limits


def test_disco(make_server):
    """3; XEP-0191, 3.1; XEP-0377, 3"""
    server = make_server(workers=1, config={"modules": {**L.MODULES, "mod_disco": {}}})
    juliet = server.stream().login()
    q = L.ok(juliet.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=juliet.host))[0]
    found = {f.get("var") for f in q}
    assert {L.NS, L.NS_BLOCKING, "urn:xmpp:reporting:1"} <= found


def test_too_many_lists(make_server):
    """max_lists; lists that are there may be edited"""
    server = make_server(workers=1, config={"modules": {**L.MODULES, "mod_privacy": {"max_lists": 3}}})
    juliet = server.stream().login()
    for name in ("a", "b", "c"):
        L.set_list(juliet, name, L.item(1, "allow"))
    answer = juliet.request(L.query("<list name='d'><item action='allow' order='1'/></list>"), "set")
    L.error(answer, "resource-constraint", "wait")
    L.set_list(juliet, "c", L.item(2, "allow"))
    L.ok(L.ask(juliet, L.query("<list name='a'/>"))[0])
    L.set_list(juliet, "d", L.item(1, "allow"))
    L.block(juliet, "romeo@example.net")  # has a right to its list
    assert L.names(juliet)[2] == ["Blocked contacts", "b", "c", "d"]


def test_many_rules(any_server):
    """5000 of them; not one more"""
    juliet = any_server.stream().login()
    rules = [L.item(i, "deny", "jid", f"u{i}@example.org") for i in range(2000)]
    L.set_list(juliet, "a", *rules)
    assert len(L.get_list(juliet, "a")) == 2000
    L.choose(juliet, "default", "a")
    assert len(L.blocklist(juliet)) == 2000
    for i in range(2, 5):
        L.block(juliet, *(f"b{i}-{k}@example.org" for k in range(1000)))
    answer, _ = L.ask(juliet, L.block_text("block", "onemore@example.org"))
    L.error(answer, "resource-constraint", "wait")
    assert len(L.blocklist(juliet)) == 5000
    L.unblock(juliet, "b2-0@example.org")
    L.block(juliet, "onemore@example.org")
    assert len(L.get_list(juliet, "a")) == 5000
