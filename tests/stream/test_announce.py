"""Announcements and the message of the day, as ejabberd's mod_announce has them"""
import pytest

from harness import wait, xml
from harness.database import change_many, sql

NS = "http://jabber.org/protocol/commands"
ADMIN = "http://jabber.org/protocol/admin"
ITEMS = "http://jabber.org/protocol/disco#items"
DATA = "jabber:x:data"
NET, ORG = "example.net", "example.org"
CONFIG = {
    "new_sql_schema": True,
    "acl": {"admin": {"user_regexp": "^admin"}, "local_admin": {"user_regexp": "^local"}},
    "access_rules": {"announce": {"allow": "admin"}},
    "modules": {"mod_ping": {}, "mod_disco": {}, "mod_adhoc": {},
                "mod_announce": {"access": "announce"}},
    "append_host_config": {NET: {"modules": {"mod_announce": {"access": [
        {"allow": "admin"}, {"allow": "local_admin"}]}}}},
}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(database=request.param, hosts=(NET, ORG), config=CONFIG)


@pytest.fixture
def server(shared):
    shared.new_test()
    yield shared
    for host in (NET, ORG):
        shared.ctl("announce_motd_delete", host)
        wait.until(lambda: not rows(shared, host), "no message of the day")
    shared.new_test()


def rows(server, host=NET):
    return dict(sql(server, "select username, xml from motd where server_host = ?", host, host=host))


def send(admin, what, body, host=NET, attributes="", inner=""):
    admin.send(f"<message to='{host}/announce/{what}' {attributes}><subject>Hear ye</subject>"
               f"<body>{body}</body>{inner}</message>")


def got(stream, body, domain=NET, to=None):
    return stream.expect(f"<message from='{domain}' to='{to or stream.full}'><body>{body}</body></message>")


def everywhere(server, name, host=NET, until="bound"):
    """Two sessions of one account, in two workers."""
    return [server.stream(name, host, worker=i, resource="ab"[i]).login(until) for i in (0, 1)]


def quiet(*streams):
    for s in streams:
        s.expect_nothing()


@pytest.mark.parametrize("what", ["all", "online", "motd", "motd/update", "motd/delete", "all-hosts/all",
                                  "all-hosts/online", "all-hosts/motd", "all-hosts/motd/update",
                                  "all-hosts/motd/delete"])
def test_who_may(server, what):
    """option access"""
    juliet, romeo = server.pair()
    send(juliet, what, "Me!", attributes="id='x'")
    juliet.expect("<message type='error' id='x'><error type='auth'><forbidden/></error></message>")
    quiet(romeo)
    assert rows(server) == {}


def test_everywhere_must_be_allowed_everywhere(server):
    """access of one host says nothing of the others"""
    local = server.stream("local").login()
    send(local, "online", "Here")
    got(local, "Here")
    send(local, "all-hosts/online", "There")
    local.expect("<message type='error'><error type='auth'><forbidden/></error></message>")
    send(local, "online", "There", host=ORG)
    local.expect("<message type='error'><error type='auth'><forbidden/></error></message>")


def test_what_is_no_announcement(server):
    """RFC 6121, 8: other resources of the server, and other places"""
    admin = server.stream("admin").login()
    for resource in ("announce", "announce/", "announce/nonsense", "motd", "announce/all-hosts",
                     "announce/all/all"):
        admin.send(f"<message to='{NET}/{resource}'><body>?</body></message>")
        admin.expect("<message type='error'><error><service-unavailable/></error></message>")


def test_to_all_sessions_of_a_host(server):
    """announce/online: with presence or without, in all workers; the message as it came"""
    admin = server.stream("admin").login()
    here = everywhere(server, "romeo") + everywhere(server, "juliet", until="online")
    there = server.stream("tybalt", ORG).login("online")
    for s in here[2:]:
        s.expect("<presence/>")
    send(admin, "online", "Fire &amp; \N{WATER WAVE}", attributes="id='a1' type='headline' xml:lang='it'",
         inner="<x xmlns='urn:x'><y/></x>")
    for s in here + [admin]:
        m = got(s, "Fire &amp; \N{WATER WAVE}")
        assert (m.get("id"), m.get("type")) == ("a1", "headline")
        assert m.get("{http://www.w3.org/XML/1998/namespace}lang") == "it"
        assert m.find("{urn:x}x/{urn:x}y") is not None
    quiet(there, *here)
    send(admin, "online", "Over there", host=ORG)
    got(there, "Over there", ORG)
    quiet(admin, *here)


def test_to_all_sessions_of_all_hosts(server):
    """announce/all-hosts/online: in the name of the host that was addressed"""
    admin = server.stream("admin").login()
    romeo, tybalt = server.stream("romeo").login(), server.stream("tybalt", ORG).login()
    send(admin, "all-hosts/online", "Everybody")
    for s in (admin, romeo, tybalt):
        got(s, "Everybody")
    send(admin, "all-hosts/online", "Of org", host=ORG)
    for s in (admin, romeo, tybalt):
        got(s, "Of org", ORG)


def test_to_all_accounts(server):
    """announce/all: to the bare address, by the usual rules; with a hint to store it"""
    admin = server.stream("admin").login()
    romeo, juliet = server.pair("romeo", "juliet", "online")
    tybalt = server.stream("tybalt", ORG).login("online")
    send(admin, "all", "All")
    for s in (romeo, juliet):
        assert got(s, "All", to=s.bare).find("{urn:xmpp:hints}store") is not None
    quiet(admin, tybalt)
    send(admin, "all-hosts/all", "Really all")
    for s in (romeo, juliet, tybalt):
        got(s, "Really all", to=s.bare)
    quiet(romeo, juliet, tybalt)


def test_the_message_of_the_day(server):
    """announce/motd: to all sessions now, to others when they come, once to each user"""
    admin = server.stream("admin").login()
    romeo = everywhere(server, "romeo")
    send(admin, "motd", "Today", attributes="id='m'")
    for s in romeo + [admin]:
        assert got(s, "Today").get("id") == "m"
    wait.until(lambda: len(rows(server)) == 3, "the marks")
    found = rows(server)
    text = found.pop("")
    assert found == {romeo[0].user: "", admin.user: ""}
    assert text.startswith("<message ") and f"to='{NET}/announce/motd'" in text \
        and f"from='{admin.full}'" in text and "xmlns='jabber:client'" in text
    for s in romeo:
        s.send("<presence/>")
    romeo[0].expect_any_order(*[f"<presence from='{s.full}'/>" for s in romeo])
    juliet = server.stream("juliet").login()
    quiet(juliet)
    juliet.presence(-5)
    juliet.expect(f"<presence from='{juliet.full}'/>")
    assert got(juliet, "Today").get("id") == "m"
    juliet.presence(0)
    juliet.expect(f"<presence from='{juliet.full}'/>")
    quiet(juliet)
    again = server.stream("juliet").login("online")
    again.expect(f"<presence from='{juliet.full}'/>")
    quiet(again)
    assert juliet.user in rows(server)
    tybalt = server.stream("tybalt", ORG).login("online")
    quiet(tybalt)


def test_two_clients_come_at_once(server):
    """the message of the day: once to each user"""
    admin = server.stream("admin").login()
    send(admin, "motd/update", "Once")
    wait.until(lambda: rows(server), "the message of the day")
    clients = everywhere(server, "romeo")
    for s in clients:
        s.send("<presence/>")
    wait.until(lambda: clients[0].user in rows(server), "the mark")
    found = []
    for s in clients:
        s.send(f"<iq type='get' id='p' to='{NET}'><ping xmlns='urn:xmpp:ping'/></iq>")
        while (el := s.next()).tag != f"{{{xml.NS_CLIENT}}}iq":
            found += [el] * (el.tag == f"{{{xml.NS_CLIENT}}}message")
    assert len(found) <= 1
    if not found:  # written, and about to be sent
        wait.until(lambda: any_message(clients), "the message")


def any_message(clients):
    """Has one of them got a message by now?"""
    for s in clients:
        s.send(f"<iq type='get' id='p' to='{NET}'><ping xmlns='urn:xmpp:ping'/></iq>")
        if s.next().tag == f"{{{xml.NS_CLIENT}}}message":
            return True
    return False


def test_another_message_of_the_day(server):
    """announce/motd/update: nobody gets it now, everybody later, also who has seen the old one"""
    admin = server.stream("admin").login()
    romeo = server.stream("romeo").login("online")
    send(admin, "motd", "Old")
    got(romeo, "Old"), got(admin, "Old")
    wait.until(lambda: len(rows(server)) == 3, "the marks")
    send(admin, "motd/update", "New")
    wait.until(lambda: list(rows(server)) == [""], "the new one")
    quiet(romeo, admin)
    romeo.close()
    romeo = server.stream("romeo").login("online")
    got(romeo, "New")
    send(admin, "motd/delete", "")
    wait.until(lambda: not rows(server), "no message of the day")
    juliet = server.stream("juliet").login("online")
    quiet(juliet)


def test_on_all_hosts(server):
    """announce/all-hosts/motd…: each host in its own name"""
    admin = server.stream("admin").login()
    tybalt = server.stream("tybalt", ORG).login()
    send(admin, "all-hosts/motd", "Today")
    got(admin, "Today")
    got(tybalt, "Today", ORG)
    send(admin, "all-hosts/motd/update", "Tomorrow")
    wait.until(lambda: list(rows(server)) == [""] == list(rows(server, ORG)), "both")
    got(server.stream("paris", ORG).login("online"), "Tomorrow", ORG)
    got(server.stream("juliet").login("online"), "Tomorrow")
    send(admin, "all-hosts/motd/delete", "")
    wait.until(lambda: not rows(server) and not rows(server, ORG), "none")


def test_what_ejabberd_has_written(server):
    """section 5.1 of the facts: the text is the admin's message, marks have an empty xml"""
    juliet, romeo = server.account("juliet"), server.account("romeo")
    server.ctl("announce_motd_update", NET, "x", "forget that there is none")
    wait.until(lambda: rows(server), "a message of the day")
    sql(server, "delete from motd")
    text = ("<message xml:lang='en' to='example.net/announce/motd' from='admin@example.net/r' id='motd' "
            "xmlns='jabber:client'><body>Maintenance &amp; é tonight</body><subject>Hear ye</subject></message>")
    for user, value in (("", text), (juliet.user, "")):
        sql(server, "insert into motd (username, server_host, xml) values (?, ?, ?)", user, NET, value)
    quiet(server.stream("juliet").login("online"))
    m = got(server.stream("romeo").login("online"), "Maintenance &amp; é tonight")
    assert m.get("id") == "motd"
    assert rows(server)[romeo.user] == ""


def test_commands_of_administrators(server):
    """announce_* of ejabberd"""
    romeo = server.stream("romeo").login("online")
    assert server.ctl("announce_motd_get", NET) == "\t"
    server.ctl("announce_send_all", NET, "S", "to all")
    assert got(romeo, "to all", to=romeo.bare).get("type") is None
    server.ctl("announce_send_online", NET, "S & T", "to all online")
    m = got(romeo, "to all online")
    assert m.find(f"{{{xml.NS_CLIENT}}}subject").text == "S & T" and m.get("type") == "headline"
    server.ctl("announce_motd_set_online", NET, "", "of the day")
    assert got(romeo, "of the day").find(f"{{{xml.NS_CLIENT}}}subject") is None
    assert server.ctl("announce_motd_get", NET) == "\tof the day"
    server.ctl("announce_motd_update", NET, "Sub", "other")
    wait.until(lambda: server.ctl("announce_motd_get", NET) == "Sub\tother", "the other one")
    quiet(romeo)
    server.ctl("announce_motd_delete", NET)
    wait.until(lambda: server.ctl("announce_motd_get", NET) == "\t", "none")
    status, out, err = server.ctl_status("announce_motd_get", "nowhere.example")
    assert status == 1 and "Unknown virtual host" in out + err


# Ad-hoc commands

def command(stream, node, attributes="", inner=""):
    return stream.request(f"<command xmlns='{NS}' node='{node}' {attributes}>{inner}</command>",
                          kind="set", to=NET)


def form(**fields):
    inner = "".join(f"<field var='{k}'><value>{xml.escape(v)}</value></field>" for k, v in fields.items())
    return (f"<x xmlns='{DATA}' type='submit'><field var='FORM_TYPE' type='hidden'><value>{ADMIN}</value>"
            f"</field>{inner}</x>")


def nodes(stream, node):
    answer = stream.request(f"<query xmlns='{ITEMS}' node='{node}'/>", to=NET)
    return [i.get("node") for i in answer.iter(f"{{{ITEMS}}}item")]


def test_who_sees_the_commands(server):
    """XEP-0133, 4: as many as one may use"""
    ours = [f"{ADMIN}#{n}" for n in ("announce-all", "announce", "set-motd", "edit-motd", "delete-motd")]
    all_hosts = [f"{n}-allhosts" for n in ours]
    admin, local, juliet = (server.stream(n).login() for n in ("admin", "local", "juliet"))
    assert sorted(nodes(admin, NS)) == sorted(ours + all_hosts + ["ping"])
    assert sorted(nodes(admin, "announce")) == sorted(ours + all_hosts)
    assert sorted(nodes(local, "announce")) == sorted(ours)
    assert nodes(juliet, NS) == ["ping"]
    answer = juliet.request(f"<query xmlns='{ITEMS}' node='announce'/>", to=NET)
    assert xml.error_of(answer) == ("cancel", "item-not-found")
    for stream, name in ((juliet, "announce"), (local, "announce-all-allhosts")):
        assert xml.error_of(command(stream, f"{ADMIN}#{name}")) == ("auth", "forbidden")


@pytest.mark.parametrize("session", [True, False], ids=["stages", "at once"])
def test_a_form(server, session):
    """XEP-0050, 3.3; XEP-0133, 4.23"""
    admin, romeo = server.pair("admin", "romeo")
    node, more = f"{ADMIN}#announce", ""
    if session:
        c = command(admin, node, "action='execute'")[0]
        assert c.get("status") == "executing" and c.find(f"{{{NS}}}actions").get("execute") == "complete"
        x = c.find(f"{{{DATA}}}x")
        assert [(f.get("var"), f.get("type")) for f in x.findall(f"{{{DATA}}}field")] == [
            ("FORM_TYPE", "hidden"), ("subject", "text-single"), ("body", "text-multi")]
        more = f"sessionid='{c.get('sessionid')}'"
        assert xml.error_of(command(admin, node, f"{more} action='next'", form(body="x")))[1] == "bad-request"
        assert xml.error_of(command(admin, node, more)) == ("modify", "bad-request")
        assert xml.error_of(command(romeo, node, more, form(body="x"))) == ("auth", "forbidden")
    assert xml.error_of(command(admin, node, more, form(subject="only"))) == ("modify", "not-acceptable")
    admin.send(f"<iq type='set' id='go' to='{NET}'><command xmlns='{NS}' node='{node}' {more} "
               f"action='complete'>{form(subject='S', body='One')}</command></iq>")
    done, _ = admin.expect_any_order(
        f"<iq type='result' id='go'><command xmlns='{NS}' status='completed'/></iq>",
        f"<message from='{NET}' type='headline'><body>One</body></message>")
    got(romeo, "One")


def test_a_command_is_canceled(server):
    """XEP-0050, 3.3, example 13"""
    admin, romeo = server.pair("admin", "romeo")
    node = f"{ADMIN}#announce-all"
    c = command(admin, node)[0]
    c = command(admin, node, f"sessionid='{c.get('sessionid')}' action='cancel'")[0]
    assert c.get("status") == "canceled"
    quiet(admin, romeo)


def test_the_message_of_the_day_by_forms(server):
    """what is there is offered for a change; deleting has to be confirmed"""
    admin, romeo = server.pair("admin", "romeo")
    command(admin, f"{ADMIN}#edit-motd", "", form(subject="S", body="One\nTwo"))
    wait.until(lambda: rows(server), "a message of the day")
    c = command(admin, f"{ADMIN}#edit-motd")[0]
    assert [v.text for v in c.iter(f"{{{DATA}}}value")] == [ADMIN, "S", "One", "Two"]
    node = f"{ADMIN}#delete-motd"
    c = command(admin, node)[0]
    assert c.find(f".//{{{DATA}}}field[@var='confirm']").get("type") == "boolean"
    more = f"sessionid='{c.get('sessionid')}'"
    assert command(admin, node, more, form(confirm="0"))[0].get("status") == "completed"
    assert xml.error_of(command(admin, node, more, form(confirm="yes, do"))) == ("modify", "bad-request")
    assert list(rows(server)) == [""]
    assert command(admin, node, more, form(confirm="1"))[0].get("status") == "completed"
    wait.until(lambda: not rows(server), "no message of the day")
    quiet(admin, romeo)


# Deaths


def test_workers_die_while_they_announce(make_server, shared):
    """each account gets it once, whatever dies meanwhile"""
    server = make_server(database=shared.database, hosts=(NET, ORG), config=CONFIG)
    server.account("zz-first")
    insert = "insert into users (username, server_host, type, password) values (?, ?, 1, 'x')"
    change_many(server, insert, [(f"u{i:05}", NET) for i in range(3000)])
    admin = server.stream("admin").login()
    there = [server.stream(f"{p}-{i}", worker=i % 2).login("online")
             for i, p in enumerate(["aa", "mm", "u00100x", "u01500x", "u02500x", "zz"])]
    for body in ("first", "second"):
        send(admin, "all", body)
        for _ in range(2):
            server.kill_workers()
        for s in there:
            got(s, body, to=s.bare)
        send(admin, "online", f"{body} online")
        server.kill_workers()
        for s in there:
            got(s, f"{body} online")
        got(admin, f"{body} online")
    send(admin, "motd", "day")
    server.kill_workers()
    for s in there + [admin]:
        got(s, "day")
    late = server.stream("late").login()
    late.send("<presence/>")
    server.kill_workers()
    late.expect_any_order(f"<presence from='{late.full}'/>",
                          f"<message from='{NET}'><body>day</body></message>")
    quiet(late, *there)
    server.forget_reports()
