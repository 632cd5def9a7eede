"""Last activity: XEP-0012 (mod_last); over two workers, on both databases"""
import re
import time

import pytest

from harness import roster, wait, xml
from harness.database import sql

NS = "jabber:iq:last"
QUERY = f"<query xmlns='{NS}'/>"
MODULES = {"mod_ping": {}, "mod_disco": {}, "mod_roster": {}, "mod_last": {}}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config={"modules": MODULES}, database=request.param)


def row(server, user):
    found = sql(server, "select seconds, state from last where username = ?", user)
    return found[0] if found else None


def ask(stream, to):
    return stream.request(QUERY, to=to)


def last(answer):
    assert answer.get("type") == "result", xml.show(answer)
    return int(answer[0].get("seconds")), answer[0].text


def gone(server, stream):
    """Its session has ended, and its time is stored."""
    stream.close()
    wait.until(lambda: server.ctl("num_resources", stream.user, stream.host) == "0", "the end of a session")
    wait.until(lambda: row(server, stream.user), "the time of its end")


def friends(server):
    juliet, romeo = (roster.online(s) for s in server.pair("juliet", "romeo"))
    roster.befriend(juliet, romeo)
    return juliet, romeo


def test_of_the_server(server):
    """5: how long it has been running; not how long a process of it has"""
    juliet = server.stream().login()
    before, text = last(ask(juliet, juliet.host))
    assert text is None and 0 <= before <= int(server.ctl("stats", "uptimeseconds")) + 1
    wait.until(lambda: last(ask(juliet, juliet.host))[0] > before, "a second to pass")
    server.kill_workers()
    after = last(ask(juliet, juliet.host))[0]
    assert abs(after - int(server.ctl("stats", "uptimeseconds"))) <= 2 and after > before


def test_one_s_own(server):
    """3: who asks is there"""
    juliet = server.stream().login()
    for to in juliet.bare, None:
        assert last(ask(juliet, to)) == (0, None)


def test_of_a_contact(server):
    """3: 0 while there is a resource, then since when, and what was said"""
    juliet, romeo = friends(server)
    assert last(ask(juliet, romeo.bare)) == (0, None)
    romeo.send("<presence type='unavailable'><status>gone to bed é &lt;3</status></presence>")
    juliet.expect(f"<presence type='unavailable' from='{romeo.full}'/>")
    assert last(ask(juliet, romeo.bare)) == (0, None)  # Still connected.
    gone(server, romeo)
    seconds, text = last(ask(juliet, romeo.bare))
    assert seconds <= 5 and text == "gone to bed é <3"
    server.ctl("set_last", romeo.user, romeo.host, str(int(time.time()) - 1000), "Heading Home")
    seconds, text = last(ask(juliet, romeo.bare))
    assert 1000 <= seconds < 1030 and text == "Heading Home"


def test_a_session_that_just_ends(server):
    """3: no status; later sessions replace what earlier ones left"""
    juliet, romeo = friends(server)
    server.ctl("set_last", romeo.user, romeo.host, "1000", "old")
    romeo.close()
    juliet.expect(f"<presence type='unavailable' from='{romeo.full}'/>")
    wait.until(lambda: row(server, romeo.user)[1] == "", "the time of its end")
    seconds, text = last(ask(juliet, romeo.bare))
    assert seconds <= 5 and text is None


def test_never_available(server):
    """A session without presence is no activity that others could see"""
    juliet = server.stream().login()
    juliet.close()
    wait.until(lambda: server.ctl("num_resources", juliet.user, juliet.host) == "0", "the end")
    assert row(server, juliet.user) is None


def test_a_contact_that_never_was_there(server):
    """ejabberd's answer"""
    juliet, romeo = friends(server)
    romeo.send("<presence type='unavailable'/>")
    juliet.expect("<presence type='unavailable'/>")
    gone(server, romeo)
    sql(server, "delete from last where username = ?", romeo.user)
    assert xml.error_of(ask(juliet, romeo.bare)) == ("cancel", "service-unavailable")


def test_of_strangers(server):
    """3, 4: forbidden, whether they exist or not; neither do their clients hear of it"""
    juliet, romeo = server.pair("juliet", "romeo", until="online")
    for to in romeo.bare, romeo.full, f"nobody@{juliet.host}", f"nobody@{juliet.host}/x":
        assert xml.error_of(ask(juliet, to)) == ("auth", "forbidden")
    romeo.expect_nothing()


def test_of_a_client(server):
    """4: who is subscribed gets through to it"""
    juliet, romeo = friends(server)
    juliet.send(f"<iq type='get' id='l' to='{romeo.full}'>{QUERY}</iq>")
    romeo.expect(f"<iq type='get' id='l' from='{juliet.full}' to='{romeo.full}'>{QUERY}</iq>")
    romeo.send(f"<iq type='result' id='l' to='{juliet.full}'><query xmlns='{NS}' seconds='123'/></iq>")
    assert last(juliet.expect(f"<iq type='result' id='l' from='{romeo.full}'/>")) == (123, None)
    assert xml.error_of(ask(juliet, romeo.bare + "/none")) == ("cancel", "service-unavailable")
    other = server.stream("juliet", resource="other").login()
    other.send(f"<iq type='get' id='o' to='{juliet.full}'>{QUERY}</iq>")
    juliet.expect(f"<iq type='get' id='o' from='{other.full}'/>")


def test_set_is_no_question(server):
    """RFC 6120, 8.2.3"""
    juliet = server.stream().login()
    for to in juliet.host, juliet.bare, f"nobody@{juliet.host}":
        assert xml.error_of(juliet.request(QUERY, "set", to)) == ("cancel", "not-allowed")


def test_features(server):
    """6: of the server and of accounts"""
    juliet = server.stream().login()
    for to in juliet.host, juliet.bare:
        answer = juliet.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
        assert NS in [f.get("var") for f in answer[0]]


def test_a_long_status(server):
    """Cut between two characters"""
    juliet = server.stream().login(until="online")
    juliet.send(f"<presence type='unavailable'><status>x{'é' * 600}</status></presence>")
    juliet.expect("<presence type='unavailable'/>")
    wait.until(lambda: row(server, juliet.user), "the row")
    assert row(server, juliet.user)[1] == "x" + "é" * 499


def test_get_last(server):
    """ejabberd's get_last and set_last"""
    juliet = server.stream().login(until="online")
    who = juliet.user, juliet.host
    stamp = r"\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(stamp + "\tONLINE", server.ctl("get_last", *who))
    gone(server, juliet)
    assert re.fullmatch(stamp + "\t", server.ctl("get_last", *who))
    server.ctl("set_last", *who, "1700000000", "Good & bad")
    assert server.ctl("get_last", *who) == "2023-11-14T22:13:20Z\tGood & bad"
    assert row(server, juliet.user) == ("1700000000", "Good & bad")
    assert re.fullmatch(stamp + "\tNOT FOUND", server.ctl("get_last", "nobody", juliet.host))
    for arguments in ("nobody", juliet.host, "1", ""), (*who, "-1", ""), (*who, "99999999999", ""):
        assert server.ctl_status("set_last", *arguments)[0] == 1


def test_removed_with_the_account(server):
    """The end of its sessions leaves nothing behind"""
    juliet = server.stream().login(until="online")
    server.ctl("unregister", juliet.user, juliet.host)
    juliet.expect("<stream:error><conflict/></stream:error>")
    server.stream("romeo").login(until="online")
    server.ctl("set_last", *[server.account("romeo").user, juliet.host], "1", "")
    assert row(server, juliet.user) is None


def test_in_the_middle_of_a_kill(server):
    """The end of a session is stored once, whoever dies meanwhile"""
    juliet, romeo = server.pair("juliet", "romeo", until="online")
    for s in juliet, romeo:
        s.send("<presence type='unavailable'><status>killed</status></presence>")
    server.kill_workers()
    for s in juliet, romeo:
        s.expect("<presence type='unavailable'/>")
        wait.until(lambda: row(server, s.user), "the row")
        assert row(server, s.user)[1] == "killed"


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
def test_old_users(make_server, database):
    """ejabberd's delete_old_users, delete_old_users_vhost and num_active_users"""
    config = {"modules": MODULES, "acl": {"keep": {"user": "kept"}},
              "access_rules": {"protect_old_users": {"allow": "keep"}}}
    if database == "pgsql":
        config["sql_schema_multihost"] = True
    server = make_server(hosts=("example.net", "example.org"), config=config, database=database)
    day = 24 * 60 * 60
    now = int(time.time())
    for name, days in (("old", 50), ("kept", 50), ("there", 50), ("fresh", 1)):
        server.account(name)
        server.ctl("set_last", name, "example.net", str(now - days * day - 60), "")
    server.account("new")
    server.account("other", "example.org")
    server.ctl("set_last", "other", "example.org", str(now - 50 * day), "")
    there = server.stream("there").login(until="online")
    assert server.ctl("num_active_users", "example.net", "10") == "1"
    assert server.ctl("num_active_users", "example.net", "100") == "4"
    assert server.ctl("delete_old_users_vhost", "example.net", "60") == "Deleted 0 users: []"
    assert server.ctl("delete_old_users_vhost", "example.net", "30") == \
        'Deleted 1 users: [{<<"old">>,<<"example.net">>}]'
    assert sorted(server.ctl_lines("registered_users", "example.net")) == ["fresh", "kept", "new", "there"]
    assert server.ctl("delete_old_users", "30") == 'Deleted 1 users: [{<<"other">>,<<"example.org">>}]'
    there.ping()
    # Who never was there is as old as the account.
    if database == "pgsql":
        c = server.cluster.connect(server.db_name)
        c.autocommit = True
        c.cursor().execute("update users set created_at = now() - interval '40 days' where username = 'new'")
        c.close()
    else:
        sql(server, "update users set created_at = datetime('now', '-40 days') where username = 'new'")
    assert server.ctl("delete_old_users", "41") == "Deleted 0 users: []"
    assert server.ctl("delete_old_users", "39") == 'Deleted 1 users: [{<<"new">>,<<"example.net">>}]'
    for arguments in ("delete_old_users", "-1"), ("delete_old_users", "99999999"), \
            ("delete_old_users_vhost", "example.com", "1"), ("num_active_users", "example.com", "1"):
        assert server.ctl_status(*arguments)[0] == 1
