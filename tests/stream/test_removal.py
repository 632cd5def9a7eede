"""The end of an account: contacts, sessions, what was kept (worker/removal.c)"""
import os
import signal

import pytest

from harness import wait
from harness.database import sql
from harness.roster import (befriend, expect_nothing_but_unavailable, get, item, items, online,
                            subscription, take_push, take_until_pushes)

MODULES = {"mod_ping": {}, "mod_roster": {}}
HOSTS = ("example.net", "example.org")


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    config = {"modules": MODULES}
    if request.param == "pgsql":
        config["sql_schema_multihost"] = True
    return session_maker(config=config, hosts=HOSTS, database=request.param)


def count(server, table, user, host):
    (n,), = sql(server, f"select count(*) from {table} where username = ?", user, host=host)
    return n


def test_contacts_hear_of_it(server):
    """Subscriptions end as if each contact had been removed; all sessions end"""
    juliet, romeo = (online(s) for s in server.pair())
    nurse = online(server.stream("nurse", host="example.org", worker=0).login())
    befriend(juliet, romeo)
    befriend(juliet, nurse)
    other = online(server.stream("juliet", worker=1, resource="other").login())
    for s in (juliet, romeo, nurse):
        s.expect(f"<presence from='{other.full}'/>")
        other.expect("<presence/>")
    paris = online(server.stream("paris", worker=1).login())
    subscription(paris, "subscribe", juliet.bare)
    take_push(paris, item(juliet.bare, ask="subscribe"))
    for s in (juliet, other):
        s.expect(f"<presence type='subscribe' from='{paris.bare}'/>")

    assert server.ctl("unregister", juliet.user, juliet.host) == ""
    for s in (romeo, nurse):
        assert take_until_pushes(s, 2) == (["to", "none"], sorted([
            ("unavailable", juliet.full), ("unavailable", other.full),
            ("unsubscribe", juliet.bare), ("unsubscribed", juliet.bare)], key=str))
    paris.expect(f"<presence type='unsubscribed' from='{juliet.bare}'/>")
    take_push(paris, item(juliet.bare, subscription="none"))
    assert server.ctl_status("check_account", juliet.user, juliet.host)[0] == 1
    for table in ("users", "rosterusers", "rostergroups", "roster_version", "stanzad_roster_change"):
        assert count(server, table, juliet.user, juliet.host) == 0, table
    wait.until(lambda: server.ctl("num_resources", juliet.user, juliet.host) == "0", "its end")
    for s in (romeo, nurse):
        expect_nothing_but_unavailable(s)
        assert items(get(s))[juliet.bare][0] == "none"
    # Who has the name next begins with nothing.
    again = server.register(juliet.user)
    fresh = online(server.stream(again).login())
    assert items(get(fresh)) == {}
    romeo.presence()
    romeo.expect("<presence/>")
    fresh.expect_nothing()
    romeo.expect_nothing()


def test_its_sessions_end(server):
    juliet = server.stream("juliet", worker=0).login(until="online")
    server.ctl("unregister", juliet.user, juliet.host)
    juliet.expect_error("conflict")


def test_twice(server):
    """What is not there counts as removed, as in ejabberd"""
    account = server.account("juliet")
    for _ in range(2):
        assert server.ctl("unregister", account.user, account.host) == ""
    assert server.ctl("unregister", "n@body", account.host) == ""
    assert server.ctl_status("unregister", "juliet", "elsewhere.example")[0] == 1


@pytest.mark.parametrize("role", ["worker", "auth", "sql"])
def test_processes_are_killed_meanwhile(make_server, role):
    """Half removed it would be worse than before: it goes on"""
    server = make_server(config={"modules": MODULES})
    juliet, romeo = (online(s) for s in server.pair())
    befriend(juliet, romeo)
    pids = [p["pid"] for p in server.processes(role)]
    # They stand still while the command comes, so that they die within it.
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    command = server.spawn_ctl("unregister", juliet.user, juliet.host)
    wait.until(lambda: server.log().count("runs unregister") == 1, "the command to have come")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert command.wait(2 * wait.PATIENCE) == 0
    assert take_until_pushes(romeo, 2)[0] == ["to", "none"]
    assert server.ctl_status("check_account", juliet.user, juliet.host)[0] == 1
    for table in ("users", "rosterusers", "roster_version"):
        wait.until(lambda: count(server, table, juliet.user, juliet.host) == 0, table)
