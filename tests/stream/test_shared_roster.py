"""Groups whose members see each other, as ejabberd's mod_shared_roster has them"""
import json

import pytest

from harness import wait, xml
from harness.database import sql
from harness.roster import (NS, befriend, change, get, interested, item, items, online, query, refused,
                            subscription, take_push)

NET, ORG = "example.net", "example.org"
CONFIG = {"new_sql_schema": True,
          "modules": {"mod_ping": {}, "mod_roster": {"versioning": True}, "mod_shared_roster": {}}}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(database=request.param, hosts=(NET, ORG), config=CONFIG)


@pytest.fixture
def server(shared):
    shared.new_test()
    yield shared
    shared.new_test()
    for host in (NET, ORG):
        for group in shared.ctl_lines("srg_list", host):
            shared.ctl("srg_delete", group, host)


def group(server, name, *members, label=None, shows=None, host=NET):
    server.ctl("srg_create", name, host, label or "", "", name if shows is None else shows)
    for m in members:
        server.ctl("srg_user_add", m.user, m.host, name, host)


def both(jid, *groups, name=None):
    return {jid: ("both", None, name, sorted(groups), None)}


def gone(s, jid):
    take_push(s, item(jid, subscription="remove"))


def joins(s, jid, *groups):
    q = take_push(s, item(jid, subscription="both"))
    assert items(q) == both(jid, *groups)
    return q


def pair(server, a="juliet", b="romeo"):
    """Two accounts with a session each, in two workers, interested and available."""
    found = server.pair(a, b)
    for s in found:
        online(s)
    return found


# Rosters

def test_members_see_each_other(server):
    """the roster of a member has the others, not himself; with the label of the group"""
    juliet, nurse, romeo = (server.account(n) for n in ("juliet", "nurse", "romeo"))
    group(server, "capulet", juliet, nurse, label="House of Capulet")
    s = server.stream("juliet").login()
    assert items(get(s)) == both(nurse.bare, "House of Capulet")
    assert items(get(server.stream("romeo").login())) == {}
    group(server, "unnamed", romeo, juliet)
    assert items(get(server.stream("romeo").login())) == both(juliet.bare, "unnamed")


def test_presence_between_members(server):
    """who is there, who comes, changes and goes; over two workers"""
    juliet, nurse = (server.account(n) for n in ("juliet", "nurse"))
    group(server, "capulet", juliet, nurse)
    a, b = server.pair("juliet", "nurse")
    online(a)
    online_b = interested(b).presence(inner="<show>away</show>")
    b.expect_any_order(f"<presence from='{b.full}'/>", f"<presence from='{a.full}'/>")
    a.expect(f"<presence from='{b.full}'><show>away</show></presence>")
    online_b.presence(inner="<show>dnd</show>")
    for s in (a, b):
        s.expect(f"<presence from='{b.full}'><show>dnd</show></presence>")
    b.send("<presence type='unavailable'/>")
    b.expect(f"<presence type='unavailable' from='{b.full}'/>")
    a.expect(f"<presence type='unavailable' from='{b.full}'/>")
    a.expect_nothing()


def test_what_is_changed_is_told(server):
    """members come and go while they are online: pushes and presence, both ways"""
    a, b = pair(server)
    group(server, "verona", a.account, label="V")
    server.ctl("srg_user_add", b.user, NET, "verona", NET)
    for x, y in ((a, b), (b, a)):
        joins(x, y.bare, "V")
        x.expect(f"<presence from='{y.full}'/>")
        x.expect_nothing()
    server.ctl("srg_set_info", "verona", NET, "label", "Verona")
    for x, y in ((a, b), (b, a)):
        joins(x, y.bare, "Verona")
        x.expect_nothing()
    server.ctl("srg_user_del", b.user, NET, "verona", NET)
    for x, y in ((a, b), (b, a)):
        got = x.expect_any_order(
            f"<iq type='set'>{query(item(y.bare, subscription='remove'))}</iq>",
            f"<presence type='unavailable' from='{y.full}'/>")
        x.send(f"<iq type='result' id='{got[0].get('id')}'/>")
        x.expect_nothing()
    a.presence(inner="<show>away</show>")
    a.expect(f"<presence from='{a.full}'/>")
    b.expect_nothing()


def test_a_group_that_shows_another(server):
    """one way: who sees a group gets the presence of its members; they do not see who looks"""
    guard, prince = pair(server, "guard", "prince")
    group(server, "court", prince.account, label="Court", shows="")
    group(server, "guards", guard.account, label="Guards", shows="court")
    joins(guard, prince.bare, "Court")
    guard.expect(f"<presence from='{prince.full}'/>")
    prince.expect(f"<presence from='{guard.full}'/>")  # subscription both, as in ejabberd
    prince.presence(inner="<show>away</show>")
    for s in (prince, guard):
        s.expect(f"<presence from='{prince.full}'><show>away</show></presence>")
    assert items(get(prince)) == {}
    server.ctl("srg_del_displayed", "guards", NET, "court")
    guard.expect_any_order(f"<iq type='set'>{query(item(prince.bare, subscription='remove'))}</iq>",
                           f"<presence type='unavailable' from='{prince.full}'/>")
    prince.expect(f"<presence type='unavailable' from='{guard.full}'/>")
    prince.presence()
    prince.expect(f"<presence from='{prince.full}'/>")
    guard.expect_nothing()


def test_everybody(make_server, shared):
    """@all@: every account of the host, also one that is made later"""
    server = make_server(database=shared.database, config=CONFIG)
    a, b = pair(server)
    group(server, "all", label="Everybody")
    server.ctl("srg_user_add", "@all@", NET, "all", NET)
    for x, y in ((a, b), (b, a)):
        q = x.expect_any_order(f"<iq type='set'>{query(item(y.bare, subscription='both'))}</iq>",
                               f"<presence from='{y.full}'/>")
        x.send(f"<iq type='result' id='{q[0].get('id')}'/>")
    fresh = server.stream("mercutio").login()
    assert both(a.bare, "Everybody").items() <= items(get(fresh)).items()
    for x in (a, b):
        joins(x, fresh.bare, "Everybody")
    server.ctl("srg_user_del", "@all@", NET, "all", NET)
    wait.until(lambda: not items(get(server.stream("romeo", resource="x").login())), "nobody")


def test_who_is_online(server):
    """@online@: users while they have a session, whatever their presence"""
    a = interested(server.stream("juliet", worker=0).login())
    group(server, "here", label="Here")
    server.ctl("srg_user_add", "@online@", NET, "here", NET)
    b = server.stream("romeo", worker=1).login()
    joins(a, b.bare, "Here")
    wait.until(lambda: items(get(b)) == both(a.bare, "Here"), "the one who was there")
    second = server.stream("romeo", worker=0).login()
    a.expect_nothing()
    b.close()
    second.ping()
    a.expect_nothing()
    second.close()
    gone(a, second.bare)
    a.expect_nothing()


def test_groups_that_are_off(server):
    """option disabled: it shows nothing, and is not shown"""
    a, b = pair(server)
    group(server, "g", a.account, b.account)
    for x, y in ((a, b), (b, a)):
        joins(x, y.bare, "g")
        x.expect(f"<presence from='{y.full}'/>")
    server.ctl("srg_set_info", "g", NET, "disabled", "true")
    for x, y in ((a, b), (b, a)):
        x.expect_any_order(f"<iq type='set'>{query(item(y.bare, subscription='remove'))}</iq>",
                           f"<presence type='unavailable' from='{y.full}'/>")
    server.ctl("srg_set_info", "g", NET, "disabled", "false")
    for x, y in ((a, b), (b, a)):
        joins(x, y.bare, "g")
        x.expect(f"<presence from='{y.full}'/>")
    server.ctl("srg_delete", "g", NET)
    for x, y in ((a, b), (b, a)):
        x.expect_any_order(f"<iq type='set'>{query(item(y.bare, subscription='remove'))}</iq>",
                           f"<presence type='unavailable' from='{y.full}'/>")


def test_groups_of_another_host(server):
    """displayed group@host; members of other hosts"""
    juliet, tybalt = server.account("juliet"), server.account("tybalt", ORG)
    group(server, "there", tybalt, label="Over there", shows="", host=ORG)
    group(server, "here", juliet, label="Here", shows=f"there@{ORG}")
    s = interested(server.stream("juliet").login())
    assert items(get(s)) == both(tybalt.bare, "Over there")
    paris = server.account("paris", ORG)
    server.ctl("srg_user_add", paris.user, ORG, "there", ORG)
    joins(s, paris.bare, "Over there")
    t = online(server.stream("tybalt", ORG, worker=1).login())
    s.presence()
    s.expect_any_order(f"<presence from='{s.full}'/>", f"<presence from='{t.full}'/>")
    t.expect(f"<presence from='{s.full}'/>")
    t.presence(inner="<show>xa</show>")
    for x in (s, t):
        x.expect(f"<presence from='{t.full}'><show>xa</show></presence>")


# With own contacts

def test_own_contacts_in_a_group(server):
    """name and groups of the own item stay, and come back alone when the group has gone"""
    a, b = pair(server)
    change(a, item(b.bare, "<group>Friends</group>", name="Romeo"))
    subscription(a, "subscribe", b.bare)
    take_push(a, item(b.bare, ask="subscribe"))
    b.expect(f"<presence type='subscribe' from='{a.bare}'/>")
    group(server, "v", a.account, b.account, label="V")
    q = take_push(a, item(b.bare, subscription="both"))
    assert items(q) == both(b.bare, "Friends", "V", name="Romeo")
    a.expect(f"<presence from='{b.full}'/>")
    joins(b, a.bare, "V")
    b.expect(f"<presence from='{a.full}'/>")
    again = server.stream("juliet", resource="again", worker=1).login()
    assert items(get(again)) == both(b.bare, "Friends", "V", name="Romeo")
    server.ctl("srg_delete", "v", NET)
    push = f"<iq type='set'>{query(item(b.bare, subscription='none', ask='subscribe'))}</iq>"
    got, _ = a.expect_any_order(push, f"<presence type='unavailable' from='{b.full}'/>")
    for got in (got, again.expect(push)):
        assert items(got[0]) == {b.bare: ("none", "subscribe", "Romeo", ["Friends"], None)}


def test_contacts_who_are_friends_anyway(server):
    """a group that ends takes nothing that two users have agreed on"""
    a, b = pair(server)
    befriend(a, b)
    group(server, "v", a.account, b.account, label="V")
    for x, y in ((a, b), (b, a)):
        q = take_push(x, item(y.bare, subscription="both"))
        assert items(q)[y.bare][3] == ["V"]
        x.expect_nothing()
    server.ctl("srg_delete", "v", NET)
    for x, y in ((a, b), (b, a)):
        q = take_push(x, item(y.bare, subscription="both"))
        assert items(q)[y.bare][3] == []
        x.expect_nothing()
    a.presence(inner="<show>away</show>")
    for s in (a, b):
        s.expect(f"<presence from='{a.full}'><show>away</show></presence>")


def test_a_contact_of_a_group_is_not_the_user_s_to_change(server):
    """it cannot be removed; subscription stanzas mean nothing: everything is granted"""
    juliet, nurse = server.account("juliet"), server.account("nurse")
    group(server, "capulet", juliet, nurse)
    a, b = pair(server, "juliet", "nurse")
    for x, y in ((a, b), (b, a)):
        x.expect(f"<presence from='{y.full}'/>")
    refused(a, item(nurse.bare, subscription="remove"), "not-allowed")
    for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
        subscription(a, kind, nurse.bare)
    a.expect_nothing()
    b.expect_nothing()
    assert items(get(a)) == both(nurse.bare, "capulet")
    assert sql(server, "select * from rosterusers where username = ?", juliet.user) == []


def test_who_looks_may_become_a_contact(server):
    """who is shown, and does not see the other, may ask for a subscription as anybody"""
    guard, prince = pair(server, "guard", "prince")
    group(server, "court", prince.account, shows="")
    group(server, "guards", guard.account, shows="court")
    joins(guard, prince.bare, "court")
    guard.expect(f"<presence from='{prince.full}'/>")
    prince.expect(f"<presence from='{guard.full}'/>")
    q = change(prince, item(guard.bare, name="Guard"))
    assert items(q)[guard.bare][0] == "none"
    prince.presence(inner="<show>away</show>")
    for s in (prince, guard):
        s.expect(f"<presence from='{prince.full}'><show>away</show></presence>")
    change(prince, item(guard.bare, subscription="remove"))
    prince.presence(inner="<show>xa</show>")
    for s in (prince, guard):
        s.expect(f"<presence from='{prince.full}'><show>xa</show></presence>")


def test_versions(server):
    """RFC 6121, 2.6: what groups show is in the version"""
    juliet, nurse = server.account("juliet"), server.account("nurse")
    s = server.stream("juliet").login()
    before = get(s, "").get("ver")
    assert get(s, before) is None
    group(server, "capulet", juliet, nurse)
    pushed = joins(s, nurse.bare, "capulet").get("ver")
    assert pushed != before
    t = server.stream("juliet", resource="t").login()
    assert get(t, pushed) is None
    assert items(get(t, before)) == both(nurse.bare, "capulet")
    server.ctl("srg_delete", "capulet", NET)
    for x in (s, t):
        q = take_push(x, item(nurse.bare, subscription="remove"))
        assert q.get("ver") == before


def test_versions_that_are_stored(make_server, shared):
    """store_current_id: groups are in no log, so it is not used while there are some"""
    modules = {**CONFIG["modules"], "mod_roster": {"versioning": True, "store_current_id": True}}
    server = make_server(database=shared.database, config={**CONFIG, "modules": modules})
    s = server.stream("juliet").login()
    get(s)
    change(s, item("a@example.com"))
    ver = get(s, "").get("ver")
    group(server, "g", server.account("juliet"), server.account("nurse"))
    joins(s, server.account("nurse").bare, "g")
    t = server.stream("juliet", resource="t").login()
    assert len(get(t, ver)) == 2
    s.close()
    t.close()
    server.ctl("srg_delete", "g", NET)
    assert get(server.stream("juliet").login(), ver) is None


# What ejabberd has written; commands

def test_rows_of_ejabberd(make_server, shared):
    """section 5.1 of the facts: sr_group.opts is an Erlang term"""
    server = make_server(database=shared.database, config=CONFIG)
    juliet, nurse = server.account("juliet"), server.account("nurse")
    opts = [
        ("capulet", '[{label,<<"House of Capulet">>},{displayed_groups,[<<"capulet">>]},'
                    '{description,<<"Desc é">>}]'),
        ("all", '[{label,<<"Everybody">>},{displayed_groups,[]},{description,<<>>},{all_users,true}]'),
        ("Grüpe 2", "[{label,<<90,97,197,188,195,179,197,130,196,135,32,34,103,196,153,197,155,108,196,133,34,"
                    "32,92,32,106,97,197,186,197,132>>},{displayed_groups,[<<\"all\">>]},"
                    "{description,<<\"line1\\\\nline2\">>}]"),
    ]
    for name, text in opts:
        sql(server, "insert into sr_group (name, server_host, opts) values (?, ?, ?)", name, NET, text)
    for jid, name in ((juliet.bare, "capulet"), (nurse.bare, "capulet"), (juliet.bare, "Grüpe 2")):
        sql(server, "insert into sr_user (jid, server_host, grp) values (?, ?, ?)", jid, NET, name)
    assert items(get(server.stream("juliet").login())) == both(nurse.bare, "House of Capulet", "Everybody")
    assert items(get(server.stream("nurse").login())) == both(juliet.bare, "House of Capulet")
    assert server.ctl_lines("srg_list", NET) == sorted(["Grüpe 2", "all", "capulet"])
    assert json.loads(server.ctl("srg_get_info", "Grüpe 2", NET, "--json")) == [
        {"key": "label", "value": "Zażółć \"gęślą\" \\ jaźń"}, {"key": "displayed_groups", "value": "all"},
        {"key": "description", "value": "line1\\nline2"}]
    assert server.ctl_lines("srg_get_members", "capulet", NET) == sorted([juliet.bare, nurse.bare])


def opts_of(server, name):
    return sql(server, "select opts from sr_group where name = ?", name)[0][0]


def test_what_we_write(server):
    """the same rows as ejabberd writes"""
    server.ctl("srg_create", "capulet", NET, "House of Capulet", "Desc é", "capulet")
    assert opts_of(server, "capulet") == ('[{label,<<"House of Capulet">>},{displayed_groups,[<<"capulet">>]},'
                                          '{description,<<"Desc é">>}]')
    server.ctl("srg_create", "all", NET, "Everybody", "", "")
    server.ctl("srg_user_add", "@all@", NET, "all", NET)
    assert opts_of(server, "all") == ('[{label,<<"Everybody">>},{displayed_groups,[]},{description,<<>>},'
                                      '{all_users,true}]')
    assert sql(server, "select * from sr_user") == []
    server.ctl("srg_user_del", "@all@", NET, "all", NET)
    assert opts_of(server, "all") == '[{label,<<"Everybody">>},{displayed_groups,[]},{description,<<>>}]'
    server.ctl("srg_add", "x", NET)
    assert opts_of(server, "x") == '[{label,<<>>},{description,<<>>},{displayed_groups,[]}]'
    server.ctl("srg_set_info", "x", NET, "label", "Ich & wir")
    server.ctl("srg_add_displayed", "x", NET, "all")
    server.ctl("srg_add_displayed", "x", NET, "capulet")
    assert server.ctl_lines("srg_get_displayed", "x", NET) == ["all", "capulet"]
    server.ctl("srg_del_displayed", "x", NET, "all")
    assert opts_of(server, "x") == ('[{label,<<"Ich & wir">>},{description,<<>>},'
                                    '{displayed_groups,[<<"capulet">>]}]')
    server.ctl("srg_user_add", "Juliet", NET.upper(), "x", NET)
    assert sql(server, "select jid, grp from sr_user") == [(f"juliet@{NET}", "x")]
    assert server.ctl_lines("srg_get_members", "x", NET) == [f"juliet@{NET}"]
    server.ctl("srg_delete", "x", NET)
    assert sql(server, "select jid, grp from sr_user") == []
    assert server.ctl_lines("srg_list", NET) == ["all", "capulet"]
    assert server.ctl_lines("srg_list", ORG) == []


@pytest.mark.parametrize("arguments, text", [
    (("srg_set_info", "none", NET, "label", "x"), "group_not_found"),
    (("srg_add_displayed", "none", NET, "x"), "group_not_found"),
    (("srg_user_add", "@all@", NET, "none", NET), "group_not_found"),
    (("srg_user_add", "a b", NET, "none", NET), "no address"),
    (("srg_create", "x", "nowhere.example", "", "", ""), "Unknown virtual host"),
    (("srg_list", "nowhere.example"), "Unknown virtual host"),
])
def test_commands_that_fail(server, arguments, text):
    status, out, err = server.ctl_status(*arguments)
    assert status == 1 and text in out + err


def test_separators(server):
    """display: the two letters \\n at first, commas since version 1 of the API"""
    server.ctl("--version", "0", "srg_create", "old", NET, "", "", "a\\nb")
    assert server.ctl_lines("srg_get_displayed", "old", NET) == ["a", "b"]
    server.ctl("srg_create", "new", NET, "", "", "a,b")
    assert server.ctl_lines("srg_get_displayed", "new", NET) == ["a", "b"]


# Others, and deaths

def test_somebody_else_writes(make_server, shared):
    """cache_life_time: after that the tables are read again"""
    modules = {**CONFIG["modules"], "mod_shared_roster": {"cache_life_time": "1 second"}}
    server = make_server(database=shared.database, config={**CONFIG, "modules": modules})
    juliet, nurse = server.account("juliet"), server.account("nurse")
    s = interested(server.stream("juliet").login())
    group(server, "g", juliet, nurse)
    joins(s, nurse.bare, "g")
    sql(server, "delete from sr_user")
    gone(s, nurse.bare)


def test_the_configuration_is_read_again(server):
    """what is shown stays as it is"""
    a, b = pair(server)
    group(server, "g", a.account, b.account)
    for x, y in ((a, b), (b, a)):
        joins(x, y.bare, "g")
        x.expect(f"<presence from='{y.full}'/>")
    server.ctl("reload_config")
    for x, y in ((a, b), (b, a)):
        x.expect_nothing()
        assert items(get(x)) == both(y.bare, "g")


def pushed(s, until):
    """The states of contacts that were pushed, until all are as they should be."""
    seen = {}
    while seen != until:
        got = s.next()
        if got.tag.endswith("}iq"):
            q = got.find(f"{{{NS}}}query")
            s.send(f"<iq type='result' id='{got.get('id')}'/>")
            seen.update({i.get("jid"): i.get("subscription") for i in q})
    return seen


def test_workers_die(make_server, shared):
    """a change of a group reaches every client that is online, whatever dies meanwhile"""
    server = make_server(database=shared.database, config=CONFIG)
    names = ["juliet", "nurse", "romeo", "tybalt"]
    clients = [server.stream(n, worker=i % 2).login() for i, n in enumerate(names)]
    for s in clients:
        online(s)
    group(server, "v")
    for s in clients:
        server.ctl("srg_user_add", s.user, NET, "v", NET)
        server.kill_workers()
    for s in clients:
        pushed(s, {o.bare: "both" for o in clients if o is not s})
        assert items(get_now(s)).keys() == {o.bare for o in clients if o is not s}
    server.ctl("srg_user_del", clients[0].user, NET, "v", NET)
    server.kill_workers()
    for s in clients[1:]:
        pushed(s, {clients[0].bare: "remove"})
    assert items(get_now(clients[0])) == {}
    clients[1].presence(inner="<status>still here</status>")
    for s in clients[2:]:
        while (got := s.next()).findtext(f"{{{xml.NS_CLIENT}}}status") != "still here":
            assert not got.tag.endswith("}message")
    server.forget_reports()


def get_now(s):
    """The roster, whatever else comes before it."""
    i = s.next_id()
    s.send(f"<iq type='get' id='{i}'>{query()}</iq>")
    while (got := s.next()).get("id") != i:
        pass
    return got.find(f"{{{NS}}}query")
