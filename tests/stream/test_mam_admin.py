"""Message archives: commands of administrators (ejabberd's mod_mam)"""
import os
import signal
import time

import pytest

from harness import database, mam, wait

CONFIG = {"modules": {"mod_ping": {}, "mod_mam": {"default": "always"}}}
DAY = 86_400_000_000
PEERS = ("romeo@example.net/a", "nurse@example.net")


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config=CONFIG, database=request.param)


@pytest.fixture
def server(shared):
    shared.new_test()
    shared.account("first")  # answered when the schema is complete
    database.change(shared, "delete from archive")
    yield shared
    shared.new_test()


@pytest.fixture
def juliet(server):
    """Ten messages, one a day, the last one of yesterday; two of a room"""
    a = server.account("juliet")
    now = int(time.time()) * 1_000_000
    a.all = mam.fill(server, a.user, 10, now - 10 * DAY + DAY // 2, DAY, PEERS)
    mam.fill(server, "room@conference.example.net", 2, now - 10 * DAY + DAY // 2, DAY)
    database.change(server, "update archive set kind = 'groupchat' where username like ?", "room@%")
    return a


def count(server, where="1 = 1"):
    return database.rows(server, f"select count(*) from archive where {where}")[0][0]


def test_get_mam_count(server, juliet):
    assert server.ctl("get_mam_count", juliet.user.upper(), juliet.host) == "10"
    assert server.ctl("get_mam_count", "nobody", juliet.host) == "0"
    assert server.ctl_status("get_mam_count", "nobody", "elsewhere.example")[0] != 0


def test_remove_mam_for_user(server, juliet):
    mam.fill(server, juliet.user, 1200, 1, 1)
    assert server.ctl("remove_mam_for_user", juliet.user, juliet.host) == "MAM archive removed"
    assert mam.rows(server, juliet) == [] and count(server) == 2
    assert server.ctl("remove_mam_for_user", juliet.user, juliet.host) == "MAM archive removed"


def test_remove_mam_for_user_with_peer(server, juliet):
    """A resource does not matter"""
    assert server.ctl("remove_mam_for_user_with_peer", juliet.user, juliet.host,
                      "ROMEO@example.net/x") == "MAM archive removed"
    assert {r[2] for r in mam.rows(server, juliet)} == {"nurse@example.net"}
    assert len(mam.rows(server, juliet)) == 5
    status, out, err = server.ctl_status("remove_mam_for_user_with_peer", juliet.user, juliet.host, "a@b@c")
    assert status == 1 and "Invalid peer JID" in out + err


@pytest.mark.parametrize("kind, days, left, left_of_rooms", [
    ("all", 4, 4, 0), ("chat", 4, 4, 2), ("groupchat", 4, 10, 0), ("groupchat", 100, 10, 2),
    ("all", 0, 0, 0)])
def test_delete_old_mam_messages(server, juliet, kind, days, left, left_of_rooms):
    assert server.ctl("delete_old_mam_messages", kind, str(days)) == ""
    assert len(mam.rows(server, juliet)) == left
    assert count(server, "kind = 'groupchat'") == left_of_rooms


def test_delete_old_mam_messages_of_no_type(server, juliet):
    assert server.ctl_status("delete_old_mam_messages", "some", "4")[0] == 1
    assert count(server) == 12


def status(server):
    return server.ctl("delete_old_mam_messages_status", "example.net")


def test_in_batches(make_server):
    """From its beginning to its end, beside a second one and one that is broken off"""
    server = make_server(config=CONFIG)
    server.register("first")
    assert status(server) == "Operation not started"
    assert server.ctl("abort_delete_old_mam_messages", "example.net") == "No task running"
    mam.fill(server, "juliet", 250)
    assert server.ctl("delete_old_mam_messages_batch", "example.net", "all", "1", "100", "100000000") == ""
    wait.until(lambda: status(server) == "Operation was completed after deleting 250 messages", "the end")
    assert count(server) == 0
    mam.fill(server, "juliet", 250)
    begin = ("delete_old_mam_messages_batch", "example.net", "chat", "1", "100", "60")
    assert server.ctl(*begin) == ""
    wait.until(lambda: status(server) == "Operation in progress, deleted 100 messages", "a batch")
    code, out, err = server.ctl_status(*begin)
    assert code == 1 and "Operation in progress" in out + err
    assert server.ctl("abort_delete_old_mam_messages", "example.net") == "Operation aborted"
    assert status(server) == "Operation was aborted after deleting 100 messages"
    assert count(server) == 150
    assert server.ctl("delete_old_mam_messages_batch", "example.net", "all", "1", "1000", "1000000") == ""
    wait.until(lambda: status(server) == "Operation was completed after deleting 150 messages", "the end")
    for wrong in (("some", "1", "10", "10"), ("all", "1", "0", "10"), ("all", "1", "10", "0")):
        assert server.ctl_status("delete_old_mam_messages_batch", "example.net", *wrong)[0] == 1


def test_a_batch_goes_on_after_a_kill(make_server):
    server = make_server(config=CONFIG, database="pgsql")
    server.register("first")
    mam.fill(server, "juliet", 3000)
    assert server.ctl("delete_old_mam_messages_batch", "example.net", "all", "1", "20", "60000") == ""
    for _ in range(3):
        left = count(server)
        for p in server.processes("worker") + server.processes("sql"):
            os.kill(p["pid"], signal.SIGKILL)
        wait.until(lambda: count(server) < left or left == 0, "it to go on")
    wait.until(lambda: status(server).startswith("Operation was completed"), "the end", 3 * wait.PATIENCE)
    assert count(server) == 0


def test_a_host_without_archives(make_server):
    server = make_server(workers=1)
    assert server.ctl("delete_old_mam_messages", "all", "1") == ""
    code, out, err = server.ctl_status("get_mam_count", "juliet", "example.net")
    assert code == 1 and "no module of that host knows this command" in out + err
