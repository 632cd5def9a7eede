"""ejabberd's commands about contact lists (admin/cmd_roster.c, admin/cmd_rosters.c)"""
import json
import os

import pytest

from harness import wait
from harness.roster import (befriend, get, interested, item, items, online, take_push,
                            take_until_pushes)

MODULES = {"mod_ping": {}, "mod_roster": {}}
HOSTS = ("example.net", "example.org")


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    config = {"modules": MODULES}
    if request.param == "pgsql":
        config["sql_schema_multihost"] = True
    return session_maker(config=config, hosts=HOSTS, database=request.param)


def add(server, s, other, subs, nick="N", groups="g"):
    server.ctl("add_rosteritem", s.user, s.host, other.user, other.host, nick, groups, subs)


def test_get_roster(server):
    juliet, romeo = (interested(s) for s in server.pair())
    nurse = server.account("nurse", host="example.org")
    assert server.ctl("get_roster", juliet.user, juliet.host) == ""
    assert server.ctl("get_roster_count", juliet.user, juliet.host) == "0"
    add(server, juliet, romeo, "both", "Romeo", "Friends,Verona")
    add(server, juliet, nurse, "none", "", "")
    juliet.send(f"<presence type='subscribe' to='{nurse.bare}'/>")
    for _ in range(3):
        take_push(juliet)
    assert sorted(server.ctl_lines("get_roster", juliet.user, juliet.host)) == sorted([
        f"{romeo.bare}\tRomeo\tboth\tnone\tFriends,Verona", f"{nurse.bare}\t\tnone\tout\t"])
    assert f"{romeo.bare}\tRomeo\tboth\tnone\tFriends;Verona" in \
        server.ctl_lines("--version", "0", "get_roster", juliet.user, juliet.host)
    found = json.loads(server.ctl("get_roster", juliet.user, juliet.host, "--json"))
    assert {"jid": romeo.bare, "nick": "Romeo", "subscription": "both", "pending": "none",
            "groups": ["Friends", "Verona"]} in found
    assert {"jid": nurse.bare, "nick": "", "subscription": "none", "pending": "out",
            "groups": []} in found
    assert server.ctl("get_roster_count", juliet.user, juliet.host) == "2"
    assert server.ctl("get_roster", "nobody-at-all", juliet.host) == ""
    assert server.ctl("get_roster_count", "nobody-at-all", juliet.host) == "0"
    assert server.ctl_status("get_roster", juliet.user, "elsewhere.example")[0] == 1


def test_add_rosteritem(server):
    """Clients that are online see it at once, in the roster and by presence"""
    juliet, romeo = (online(s) for s in server.pair())
    add(server, juliet, romeo, "both", "Romeo \"&<", "a,b")
    q = take_push(juliet, item(romeo.bare, "<group>a</group><group>b</group>", subscription="both"))
    assert q[0].get("name") == "Romeo \"&<"
    juliet.expect(f"<presence from='{romeo.full}'/>")
    romeo.expect(f"<presence from='{juliet.full}'/>")
    add(server, romeo, juliet, "both")
    take_push(romeo, item(juliet.bare, subscription="both"))
    romeo.expect(f"<presence from='{juliet.full}'/>")
    juliet.expect(f"<presence from='{romeo.full}'/>")
    juliet.presence(inner="<show>away</show>")
    romeo.expect(f"<presence from='{juliet.full}'><show>away</show></presence>")
    juliet.expect("<presence/>")
    # What is taken is taken.
    add(server, juliet, romeo, "to", "R", "")
    take_push(juliet, item(romeo.bare, name="R", subscription="to"))
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    assert items(get(juliet))[romeo.bare] == ("to", None, "R", [], None)
    # API 0 has one group, or several with semicolons.
    server.ctl("--version", "0", "add_rosteritem", juliet.user, juliet.host, romeo.user, romeo.host,
               "R", "x,y;z", "to")
    take_push(juliet, item(romeo.bare, "<group>x,y</group><group>z</group>"))


def test_add_rosteritem_refused(server):
    juliet, romeo = server.account("juliet"), server.account("romeo")
    for args in ([juliet.user, juliet.host, romeo.user, romeo.host, "", "", "friends"],
                 [juliet.user, juliet.host, juliet.user, juliet.host, "", "", "both"],
                 [juliet.user, juliet.host, "a@b", romeo.host, "", "", "both"],
                 [juliet.user, "elsewhere.example", romeo.user, romeo.host, "", "", "both"],
                 ["nobody-at-all", juliet.host, romeo.user, romeo.host, "", "", "both"]):
        assert server.ctl_status("add_rosteritem", *args)[0] == 1, args
    assert server.ctl("get_roster", juliet.user, juliet.host) == ""


def test_delete_rosteritem(server):
    """As if the user had removed it"""
    juliet, romeo = (online(s) for s in server.pair())
    befriend(juliet, romeo)
    server.ctl("delete_rosteritem", juliet.user, juliet.host, romeo.user, romeo.host)
    take_push(juliet, item(romeo.bare, subscription="remove"))
    assert take_until_pushes(romeo, 2)[0] == ["to", "none"]
    juliet.expect(f"<presence from='{romeo.full}' type='unavailable'/>")
    # What is not there counts as deleted.
    server.ctl("delete_rosteritem", juliet.user, juliet.host, romeo.user, romeo.host)
    juliet.expect_nothing()


def pairs(lines):
    return sorted(tuple(line.split("\t")) for line in lines)


def test_process_rosteritems(server):
    a, b, c = (server.account(n) for n in ("a", "b", "c"))
    d = server.account("d", host="example.org")
    for s, other, subs in ((a, b, "both"), (b, a, "both"), (a, c, "none"), (a, d, "to"), (d, a, "from"),
                           (c, a, "none")):
        add(server, s, other, subs)
    add(server, c, type(a)("", "icq.example.net", ""), "both")
    mine = f"?-{server.n_test}@*"

    def find(*args):
        return pairs(server.ctl_lines("process_rosteritems", *args))

    assert find("list", "any", "any", mine, "any") == sorted([
        (a.bare, b.bare), (a.bare, c.bare), (a.bare, d.bare), (b.bare, a.bare), (c.bare, a.bare),
        (c.bare, "icq.example.net"), (d.bare, a.bare)])
    assert find("list", "both", "any", mine, f"*@*") == [(a.bare, b.bare), (b.bare, a.bare)]
    assert find("list", "to:from", "none", mine, "any") == [(a.bare, d.bare), (d.bare, a.bare)]
    assert find("list", "any", "out:in", mine, "any") == []
    assert find("list", "any", "any", f"c-{server.n_test}@example.net", "icq.*:*.nowhere") == [
        (c.bare, "icq.example.net")]
    assert find("list", "any", "any", f"[ad]-{server.n_test}@example.org", "any") == [(d.bare, a.bare)]
    assert find("delete", "none", "any", mine, "any") == [(a.bare, c.bare), (c.bare, a.bare)]
    assert find("list", "none", "any", mine, "any") == []
    assert len(find("list", "any", "any", mine, "any")) == 5
    for bad in (["drop", "any", "any"], ["list", "friends", "any"], ["list", "any", "maybe"]):
        assert server.ctl_status("process_rosteritems", *bad, "any", "any")[0] == 1


def test_pushing_templates(server):
    a, b = server.account("a"), server.account("b")
    c = server.account("c", host="example.org")
    path = os.path.join(server.base, "roster.term")
    with open(path, "w") as f:
        f.write("[" + ",\n ".join(
            f'{{<<"{s.user}">>, <<"{s.host}">>, <<"Workers">>, "Nick {i}"}}'
            for i, s in enumerate((a, b, c))) + "].\n")
    online_b = interested(server.stream("b").login())
    server.ctl("push_roster", path, b.user, b.host)
    assert {take_push(online_b)[0].get("jid") for _ in range(2)} == {a.bare, c.bare}
    assert items(get(online_b)) == {
        a.bare: ("both", None, "Nick 0", ["Workers"], None),
        c.bare: ("both", None, "Nick 2", ["Workers"], None)}
    assert server.ctl("get_roster_count", a.user, a.host) == "0"
    server.ctl("push_roster_all", path)
    for s in (a, b, c):
        assert server.ctl("get_roster_count", s.user, s.host) == "2"
    with open(path, "w") as f:
        f.write("nonsense")
    assert server.ctl_status("push_roster_all", path)[0] == 1
    assert server.ctl_status("push_roster_all", path + ".no")[0] == 1


def test_pushing_all_to_all(make_server):
    server = make_server(workers=2, config={"modules": MODULES})
    users = [server.register(f"u{i}") for i in range(7)]
    server.ctl("push_alltoall", "example.net", "Everybody")
    for u in users:
        found = server.ctl_lines("get_roster", u.user, u.host)
        assert len(found) == 6
        assert all(line.split("\t")[2:] == ["both", "none", "Everybody"] for line in found)
    s = online(server.stream(users[0]).login())
    t = online(server.stream(users[1]).login())
    s.expect(f"<presence from='{t.full}'/>")
    t.expect(f"<presence from='{s.full}'/>")
    wait.until(lambda: server.ctl("connected_users_number") == "2", "both")
