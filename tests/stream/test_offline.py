"""Messages for who is away: XEP-0160, RFC 6121, 8.5; stamps of XEP-0203; expiry of XEP-0023

On both databases, with two workers: senders and recipients are in different ones, and the
recipients' homes in either.
"""
import datetime
import os
import signal
import socket
import threading
import time

import pytest

from harness import killpoints, wait, xml
from harness.database import sql

MODULES = {"mod_ping": {}, "mod_offline": {}, "mod_carboncopy": {}}
UNAVAILABLE = "<message type='error' id='{}'><error type='cancel'><service-unavailable/></error></message>"


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def offline_server(request, session_maker):
    return session_maker(database=request.param, workers=2, config={
        "modules": MODULES,
        "shaper_rules": {"max_user_offline_messages": [{3: {"user": "small"}}, {"infinity": "all"}]}})


@pytest.fixture
def offline(offline_server):
    offline_server.new_test()
    yield offline_server
    offline_server.new_test()


def stored(server, account, n):
    """Waits until so many messages are stored for the account."""
    wait.until(lambda: server.ctl("get_offline_count", account.bare.split("@")[0],
                                  account.bare.split("@")[1]) == str(n),
               f"{n} stored messages of {account.bare}")


def text(i, to, kind="chat"):
    return f"<message to='{to}' type='{kind}' id='m{i}'><body>{i}</body></message>"


def messages(stream, n):
    """The ids of the next n messages; presence is skipped."""
    got = []
    while len(got) < n:
        el = stream.next()
        if el.tag == "{jabber:client}message":
            got.append(el.get("id"))
    return got


# What is kept, and how it comes back


@pytest.mark.parametrize("kind", ["chat", "normal"])
def test_kept_and_delivered(offline, kind):
    """XEP-0160, 2; RFC 6121, 8.5.2.2.1; XEP-0203"""
    juliet = offline.stream("juliet", lang="it").login(until="online")
    romeo = offline.account("romeo")
    before = datetime.datetime.now(datetime.timezone.utc)
    juliet.send(f"<message to='{romeo.bare}' type='{kind}' id='o'><body>O &lt;Romeo&gt; ü</body>"
                "<thread>t</thread><x xmlns='urn:example' a='&apos;'><y/></x></message>")
    stored(offline, romeo, 1)
    juliet.expect_nothing()
    r = offline.stream("romeo").login(until="online")
    got = r.expect(f"<message from='{juliet.full}' to='{romeo.bare}' id='o'>"
                   "<body>O &lt;Romeo&gt; ü</body><thread>t</thread></message>")
    assert got.get("type", "normal") == kind
    assert got.get("{http://www.w3.org/XML/1998/namespace}lang") == "it"
    assert got.find("{urn:example}x").get("a") == "'"
    delay = got.find("{urn:xmpp:delay}delay")
    assert delay.get("from") == "example.net" and delay.text == "Offline Storage"
    stamp = datetime.datetime.fromisoformat(delay.get("stamp").replace("Z", "+00:00"))
    assert before <= stamp <= datetime.datetime.now(datetime.timezone.utc)
    stored(offline, romeo, 0)
    r.expect_nothing()


def test_the_row_is_ejabberd_s(offline):
    """Section 5.1 of the facts: the stanza in jabber:client, from, to, delay"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    juliet.send(f"<message to='{romeo.bare}/x' type='chat' id='r'><body>?</body></message>")
    stored(offline, romeo, 1)
    [(row, created)] = sql(offline, "select xml, created_at from spool where username = ?",
                                romeo.user)
    el = xml.parse(row)
    assert el.tag == "{jabber:client}message"
    assert (el.get("to"), el.get("from"), el.get("id")) == (f"{romeo.bare}/x", juliet.full, "r")
    assert el.find("{urn:xmpp:delay}delay").text == "Offline Storage"
    assert created


EJABBERD = (
    "<message xml:lang='en' to='{to}' from='romeo@elsewhere.example/r' type='chat' id='m1' xmlns='jabber:client'>"
    "<archived by='{to}' id='1795827066661530' xmlns='urn:xmpp:mam:tmp'/>"
    "<stanza-id by='{to}' id='1795827066661530' xmlns='urn:xmpp:sid:0'/>"
    "<request xmlns='urn:xmpp:receipts'/>"
    "<delay from='example.net' stamp='2026-11-28T00:51:06.679950Z' xmlns='urn:xmpp:delay'>Offline Storage</delay>"
    "<body>First &lt;é&gt; 🌹 &amp; &apos;quo&quot;te&apos;</body><thread>t1</thread></message>")


def test_rows_of_ejabberd_are_delivered(offline):
    """A database that was taken over; what nobody can read is in nobody's way"""
    romeo = offline.account("romeo")
    for row in ("<message", "<presence xmlns='jabber:client'/>", EJABBERD.format(to=romeo.bare),
                f"<message xmlns='jabber:client' to='{romeo.bare}/gone' from='a@b' id='old'><body>x</body></message>"):
        sql(offline, "insert into spool (username, xml) values (?, ?)", romeo.user, row)
    r = offline.stream("romeo").login(until="online")
    got = r.expect(f"<message from='romeo@elsewhere.example/r' to='{romeo.bare}' id='m1'>"
                   "<body>First &lt;é&gt; 🌹 &amp; 'quo\"te'</body><thread>t1</thread></message>")
    assert got.find("{urn:xmpp:delay}delay").get("stamp") == "2026-11-28T00:51:06.679950Z"
    assert got.find("{urn:xmpp:sid:0}stanza-id").get("id") == "1795827066661530"
    got = r.expect("<message id='old'><body>x</body></message>")
    assert got.find("{urn:xmpp:delay}delay").get("from") == "example.net"  # by created_at
    stored(offline, romeo, 0)


def test_order_over_pages(offline):
    """All of them, in the order in which they were sent, and nobody's connection is cut"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    n = 350
    for i in range(n):
        juliet.send(text(i, romeo.bare))
    stored(offline, romeo, n)
    r = offline.stream("romeo").login(until="online")
    assert messages(r, n) == [f"m{i}" for i in range(n)]
    stored(offline, romeo, 0)
    r.expect_nothing()


def narrow(server, name):
    """Online, with a connection that does not take much before it is read"""
    r = server.stream(name).connect()
    r.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    r.open().starttls().open().authenticate().open().bind().presence()
    r.expect(f"<presence from='{r.full}'/>")
    return r


def blocked(server, account, n):
    """Waits until the client, which reads nothing, is given no more; what is left."""
    seen = []

    def still():
        seen.append(int(server.ctl("get_offline_count", account.user, account.host)))
        return len(seen) > 9 and 0 < seen[-1] < n and len(set(seen[-9:])) == 1
    wait.until(still, "the client to be full")
    return seen[-1]


def test_more_than_a_client_takes_at_once(offline):
    """What a client has not taken stays in the database, not in its queue"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    n, body = 40, "x" * 200_000
    for i in range(n):
        juliet.send(f"<message to='{romeo.bare}' type='chat' id='m{i}'><body>{body}</body></message>")
    stored(offline, romeo, n)
    r = narrow(offline, "romeo")
    left = blocked(offline, romeo, n)
    r.abort()
    wait.until(lambda: offline.ctl("num_resources", romeo.user, "example.net") == "0", "the end")
    r = offline.stream("romeo").login(until="online")
    assert messages(r, left) == [f"m{i}" for i in range(n - left, n)]
    stored(offline, romeo, 0)


def test_live_messages_come_behind_stored_ones(offline):
    """RFC 6120, 10.1: also those that are sent while the user is just coming"""
    juliet, tybalt = offline.pair("juliet", "tybalt", until="online")
    romeo = offline.account("romeo")
    n, done = 150, threading.Event()
    body = "x" * 20_000
    for i in range(n):
        for s in (juliet, tybalt):
            s.send(f"<message to='{romeo.bare}' type='chat' id='{s.user[0]}{i}'><body>{body}</body></message>")
    stored(offline, romeo, 2 * n)
    sent = {}

    def go_on(s):
        i = n
        while not done.is_set():
            s.send(f"<message to='{romeo.bare}' type='chat' id='{s.user[0]}{i}'><body>live</body></message>")
            i += 1
            time.sleep(0.005)
        sent[s] = i

    senders = [threading.Thread(target=go_on, args=(s,)) for s in (juliet, tybalt)]
    for t in senders:
        t.start()
    r = offline.stream("romeo").login()
    r.presence()
    got = messages(r, 2 * n + 100)
    done.set()
    for t in senders:
        t.join()
    got += messages(r, sum(sent.values()) - len(got))
    for s in (juliet, tybalt):
        assert [g for g in got if g[0] == s.user[0]] == [f"{s.user[0]}{i}" for i in range(sent[s])]


def test_what_waited_behind_stored_messages_is_not_lost(offline):
    """The session ends before its client has taken what was stored"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    n, body = 40, "x" * 200_000
    for i in range(n):
        juliet.send(f"<message to='{romeo.bare}' type='chat' id='m{i}'><body>{body}</body></message>")
    stored(offline, romeo, n)
    r = narrow(offline, "romeo")
    left = blocked(offline, romeo, n)
    juliet.send(text("live", romeo.bare))
    juliet.ping()
    r.abort()
    wait.until(lambda: offline.ctl("num_resources", romeo.user, "example.net") == "0", "the end")
    stored(offline, romeo, left + 1)
    r = offline.stream("romeo").login(until="online")
    assert messages(r, left + 1) == [f"m{i}" for i in range(n - left, n)] + ["mlive"]


# RFC 6121, table 1: no resource, only a negative one, one that has said nothing


ABSENCE = ["nobody", "negative", "connected"]


def absent(server, how, name="romeo"):
    """The account, with a stream of it that must not get a message to the bare address"""
    account = server.account(name)
    if how == "nobody":
        return account, None
    r = server.stream(name).login()
    if how == "negative":
        r.presence(-1)
        r.expect(f"<presence from='{r.full}'/>")
    return account, r


@pytest.mark.parametrize("how", ABSENCE)
@pytest.mark.parametrize("where", ["bare", "full"])
@pytest.mark.parametrize("kind", ["normal", "chat", "groupchat", "headline", "error"])
def test_table_1_with_storage(offline, how, where, kind):
    """RFC 6121, 8.5.4: O is stored; a full address without a session: chat only"""
    juliet = offline.stream("juliet").login(until="online")
    romeo, r = absent(offline, how)
    to = romeo.bare + ("/gone" if where == "full" else "")
    juliet.send(text(1, to, kind))
    kept = kind == "chat" or (kind == "normal" and where == "bare")
    if kept:
        stored(offline, romeo, 1)
    elif kind == "groupchat" or (where == "full" and kind in ("normal", "headline")):
        juliet.expect(UNAVAILABLE.format("m1"))
    juliet.expect_nothing()
    if r:
        r.expect_nothing()
        if kept:
            r.presence(0)
            r.expect(f"<presence from='{r.full}'/>")
            r.expect("<message id='m1'><body>1</body></message>")
    stored(offline, romeo, 0 if r or not kept else 1)


@pytest.mark.parametrize("how", ABSENCE)
@pytest.mark.parametrize("where", ["bare", "full"])
@pytest.mark.parametrize("kind", ["normal", "chat", "groupchat", "headline", "error"])
def test_table_1_without_storage(server, how, where, kind):
    """RFC 6121, 8.5.4: what would be stored is refused"""
    juliet = server.stream("juliet").login(until="online")
    romeo, r = absent(server, how)
    juliet.send(text(1, romeo.bare + ("/gone" if where == "full" else ""), kind))
    if kind in ("normal", "chat", "groupchat") or (where == "full" and kind == "headline"):
        juliet.expect(UNAVAILABLE.format("m1"))
    juliet.expect_nothing()
    if r:
        r.expect_nothing()


@pytest.mark.parametrize("how", ["negative", "connected"])
@pytest.mark.parametrize("kind", ["normal", "chat", "groupchat", "headline", "error"])
def test_table_1_the_resource_itself(offline, how, kind):
    """RFC 6121, 8.5.3.1: to the full address of a session it is delivered"""
    juliet = offline.stream("juliet").login(until="online")
    romeo, r = absent(offline, how)
    juliet.send(text(1, r.full, kind))
    r.expect(f"<message id='m1' to='{r.full}'/>")
    juliet.expect_nothing()
    stored(offline, romeo, 0)


@pytest.mark.parametrize("where", ["bare", "full"])
@pytest.mark.parametrize("kind", ["normal", "chat", "groupchat", "headline"])
def test_table_1_somebody_is_there(offline, where, kind):
    """RFC 6121, 8.5.2.1.1 and 8.5.3.2.1: nothing is stored while somebody may have it"""
    juliet = offline.stream("juliet").login(until="online")
    r = offline.stream("romeo").login(until="online")
    juliet.send(text(1, r.bare + ("/gone" if where == "full" else ""), kind))
    if kind == "chat" or (where == "bare" and kind != "groupchat"):
        r.expect("<message id='m1'/>")
    else:
        juliet.expect(UNAVAILABLE.format("m1"))
    stored(offline, offline.account("romeo"), 0)


@pytest.mark.parametrize("where", ["", "/r"])
@pytest.mark.parametrize("kind", ["normal", "chat", "groupchat", "headline"])
def test_table_1_no_such_account(offline, where, kind):
    """RFC 6121, 8.5.1: as without storage"""
    juliet = offline.stream("juliet").login(until="online")
    juliet.send(text(1, "no-such-user@example.net" + where, kind))
    if kind != "headline" or where:
        juliet.expect(UNAVAILABLE.format("m1"))
    juliet.expect_nothing()
    assert sql(offline, "select * from spool where username = 'no-such-user'") == []


# What is not kept


@pytest.mark.parametrize("inner", [
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>",
    "<body>x</body><no-store xmlns='urn:xmpp:hints'/>",
    "<x xmlns='jabber:x:event'><id>1</id><composing/></x>"],
    ids=["active", "composing", "no-store", "event"])
def test_not_kept(offline, inner):
    """XEP-0160, 3; XEP-0085; XEP-0334, 4.2: refused as if there were no storage"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='m'>{inner}</message>")
    juliet.expect(UNAVAILABLE.format("m"))
    stored(offline, romeo, 0)


@pytest.mark.parametrize("inner", [
    "<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>",
    "<received xmlns='urn:xmpp:receipts' id='x'/>",
    "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>",
    "<x xmlns='urn:example'/>"], ids=["store", "receipt", "marker", "anything"])
def test_kept_without_a_body(offline, inner):
    """XEP-0334, 4.4; XEP-0184; XEP-0333; store_empty_body: unless_chat_state"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='m'>{inner}</message>")
    stored(offline, romeo, 1)
    juliet.expect_nothing()


def test_the_quota(offline):
    """access_max_user_messages; RFC 6120, 8.3.3.18: resource-constraint, and no more is kept"""
    juliet = offline.stream("juliet").login(until="online")
    small = offline.register("small")
    for i in range(5):
        juliet.send(text(i, small.bare))
    for i in (3, 4):
        juliet.expect(f"<message type='error' id='m{i}' from='{small.bare}'>"
                      "<error type='wait'><resource-constraint/></error></message>")
    stored(offline, small, 3)
    r = offline.stream(small).login(until="online")
    assert messages(r, 3) == ["m0", "m1", "m2"]
    offline.ctl("unregister", "small", "example.net")


def test_what_has_expired_is_not_delivered(offline):
    """XEP-0023"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    juliet.send(f"<message to='{romeo.bare}' id='a'><body>0</body><x xmlns='jabber:x:expire' seconds='0'/></message>"
                f"<message to='{romeo.bare}' id='b'><body>1</body><x xmlns='jabber:x:expire' seconds='9999'/></message>"
                f"<message to='{romeo.bare}' id='c'><body>2</body><x xmlns='jabber:x:expire' seconds='x'/></message>")
    stored(offline, romeo, 3)
    r = offline.stream("romeo").login(until="online")
    assert messages(r, 2) == ["b", "c"]
    stored(offline, romeo, 0)
    r.expect_nothing()


# Exactly once


def test_not_again_with_the_next_presence(offline):
    """XEP-0160, 2: when it becomes available, not whenever it says something"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    r = offline.stream("romeo").login()
    r.presence(-5)
    r.expect(f"<presence from='{r.full}'/>")
    juliet.send(text(1, romeo.bare))
    stored(offline, romeo, 1)
    r.presence(-1)
    r.expect(f"<presence from='{r.full}'/>")
    r.expect_nothing()
    stored(offline, romeo, 1)
    r.send("<presence/><presence><show>away</show></presence>")  # only the second may be told
    got = []
    while "m1" not in got:
        got.append(r.next().get("id"))
    stored(offline, romeo, 0)


def test_two_resources_at_once(offline):
    """Each message to one of them"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    n = 150
    for i in range(n):
        juliet.send(text(i, romeo.bare))
    stored(offline, romeo, n)
    slots = sorted(offline.worker_connections())
    rs = [offline.stream("romeo", worker=slots[i % 2], resource=f"r{i}").login() for i in range(4)]
    for r in rs:
        r.presence()
    stored(offline, romeo, 0)
    got = []
    for i, r in enumerate(rs):
        juliet.send(f"<message to='{r.full}' id='end'/>")
        while True:
            el = r.next()
            if el.get("id") == "end":
                break
            if el.tag == "{jabber:client}message":
                got.append(el.get("id"))
    assert sorted(got) == sorted(f"m{i}" for i in range(n))


def test_coming_and_going_while_messages_fly(offline):
    """None is lost, none comes twice: each is in the output, or stored, never neither"""
    juliet, tybalt = offline.pair("juliet", "tybalt", until="online")
    romeo = offline.account("romeo")
    got, sent = [], 0

    def send(stream, start):
        for i in range(start, start + 40, 2):
            stream.send(text(i, romeo.bare))

    def visit(least):
        """Reads some, then leaves in order; what was under way comes before the end."""
        r = offline.stream("romeo").login()
        r.presence()
        end = len(got) + least
        while True:
            kind, el = r.next_event()
            if kind != "element":
                break
            if el.tag == "{jabber:client}message":
                got.append(el.get("id"))
            if len(got) >= end and not r.footer_sent:
                r.footer_sent = True
                r.send("</stream:stream>")
        r.abort()

    for _ in range(12):
        senders = [threading.Thread(target=send, args=(s, sent + i))
                   for i, s in enumerate((juliet, tybalt))]
        sent += 40
        for t in senders:
            t.start()
        visit(5)
        for t in senders:
            t.join()
    for s in (juliet, tybalt):
        s.expect_nothing()  # nobody was told that it could not be delivered
    wait.until(lambda: len(got) + int(offline.ctl("get_offline_count", romeo.user, "example.net")) >= sent,
               "everything to be stored")
    if len(got) < sent:
        visit(sent - len(got))
    assert len(got) == len(set(got)) == sent


@pytest.mark.parametrize("slots", [(0,), (1,), (0, 1)])
def test_workers_die_while_messages_are_stored(offline, slots):
    """DESIGN: what was acknowledged by no error is there, once"""
    juliet = offline.stream("juliet").login(until="online")
    names = [f"romeo{i}" for i in range(6)]
    for name in names:
        offline.account(name)
    n = 200

    def send():
        for i in range(n):
            juliet.send(text(i, offline.account(names[i % len(names)]).bare))

    t = threading.Thread(target=send)
    t.start()
    for _ in range(2):
        offline.kill_workers(slots)
    t.join()
    juliet.expect_nothing()
    for k, name in enumerate(names):
        mine = [f"m{i}" for i in range(n) if i % len(names) == k]
        stored(offline, offline.account(name), len(mine))
        r = offline.stream(name).login(until="online")
        assert messages(r, len(mine)) == mine


@pytest.mark.parametrize("slots", [(0,), (1,), (0, 1)])
def test_workers_die_while_messages_are_delivered(offline, slots):
    """DESIGN: nothing is lost, nothing comes twice, and the client notices nothing"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    n = 400
    for i in range(n):
        juliet.send(text(i, romeo.bare))
    stored(offline, romeo, n)
    r = offline.stream("romeo").login()
    r.presence()
    got = []
    while len(got) < n:
        if len(got) in (1, 150, 250):
            offline.kill_workers(slots)
        el = r.next()
        if el.tag == "{jabber:client}message":
            got.append(el.get("id"))
    assert got == [f"m{i}" for i in range(n)]
    stored(offline, romeo, 0)
    r.expect_nothing()


def test_the_database_process_dies(offline):
    """Requests are repeated under their ids"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    n = 100
    [sql] = offline.processes("sql")
    for i in range(n):
        juliet.send(text(i, romeo.bare))
        if i == n // 2:
            os.kill(sql["pid"], signal.SIGKILL)
    stored(offline, romeo, n)
    r = offline.stream("romeo").login()
    [sql] = offline.processes("sql")
    r.presence()
    os.kill(sql["pid"], signal.SIGKILL)
    assert messages(r, n) == [f"m{i}" for i in range(n)]
    stored(offline, romeo, 0)


# Administration


def test_old_messages_are_deleted(offline):
    """delete_old_messages"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    for i in range(2):
        juliet.send(text(i, romeo.bare))
    stored(offline, romeo, 2)
    sql(offline, "update spool set created_at = '2001-01-01 00:00:00' where username = ?"
                      " and xml like ?", romeo.user, "%m0%")
    offline.ctl("delete_old_messages", "30")
    stored(offline, romeo, 1)
    r = offline.stream("romeo").login(until="online")
    assert messages(r, 1) == ["m1"]
    assert offline.ctl_status("delete_old_messages", "x")[0] != 0


def test_old_messages_are_deleted_in_portions(offline):
    """delete_old_messages_batch, _status, abort_…; ejabberd's answers"""
    def status():
        return offline.ctl("delete_old_messages_status", "example.net")

    def begin(*args):
        return offline.ctl_status("delete_old_messages_batch", "example.net", *args)

    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    for i in range(7):
        juliet.send(text(i, romeo.bare))
    stored(offline, romeo, 7)
    assert status() == "Operation not started"
    assert offline.ctl("abort_delete_old_messages", "example.net") == "No task running"
    assert begin("x", "2", "60")[0] and begin("30", "0", "60")[0]
    sql(offline, "update spool set created_at = '2001-01-01 00:00:00' where username = ?"
                      " and not xml like ?", romeo.user, "%m0%")
    assert begin("30", "2", "1")[0] == 0
    wait.until(lambda: status() == "Operation in progress, deleted 2 messages", "the first portion")
    assert begin("30", "2", "1")[0] != 0
    offline.kill_workers()
    assert status() == "Operation in progress, deleted 2 messages"
    assert offline.ctl("abort_delete_old_messages", "example.net") == "Operation aborted"
    assert status() == "Operation was aborted after deleting 2 messages"
    assert begin("30", "2", "1000000")[0] == 0
    wait.until(lambda: status() == "Operation was completed after deleting 4 messages", "the end")
    stored(offline, romeo, 1)


def test_expired_messages_are_deleted(offline):
    """delete_expired_messages"""
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    for i in range(120):
        seconds = 0 if i % 2 else 9999
        juliet.send(f"<message to='{romeo.bare}' id='m{i}'><body>x</body>"
                    f"<x xmlns='jabber:x:expire' seconds='{seconds}'/></message>")
    juliet.send(text("last", romeo.bare))
    stored(offline, romeo, 121)
    offline.ctl("delete_expired_messages")
    stored(offline, romeo, 61)


def test_the_count_of_whom_there_is_not(offline):
    assert offline.ctl("get_offline_count", "no-such-user", "example.net") == "0"
    assert offline.ctl_status("get_offline_count", "romeo", "elsewhere.example")[0] != 0


def test_an_account_that_is_removed_takes_its_messages(offline):
    juliet = offline.stream("juliet").login(until="online")
    romeo = offline.account("romeo")
    juliet.send(text(1, romeo.bare))
    stored(offline, romeo, 1)
    offline.ctl("unregister", romeo.user, "example.net")
    assert sql(offline, "select * from spool where username = ?", romeo.user) == []


# Options


@pytest.fixture(scope="module")
def choosy(session_maker):
    return session_maker(workers=2, hosts=("example.net", "example.org"), config={
        "modules": {"mod_ping": {}, "mod_offline": {
            "store_groupchat": True, "store_empty_body": False, "access_max_user_messages": {2: "all"},
            "use_mam_for_storage": True}},
        "append_host_config": {"example.org": {"modules": {"mod_offline": {
            "bounce_groupchat": True, "store_groupchat": True, "store_empty_body": True,
            "access_max_user_messages": {1: "all"}}}}}})


def test_store_empty_body(choosy):
    """false: only what has a body; true: whatever it is"""
    choosy.new_test()
    net, org = choosy.account("romeo", "example.net"), choosy.account("romeo", "example.org")
    juliet = choosy.stream("juliet").login(until="online")
    juliet.send(f"<message to='{net.bare}' id='a' type='chat'><x xmlns='urn:example'/></message>")
    juliet.expect(UNAVAILABLE.format("a"))
    juliet.send(f"<message to='{org.bare}' id='b' type='chat'>"
                "<active xmlns='http://jabber.org/protocol/chatstates'/></message>")
    stored(choosy, org, 1)
    juliet.expect_nothing()


def test_groupchat(choosy):
    """store_groupchat; without bounce_groupchat no error when there is no room"""
    choosy.new_test()
    net, org = choosy.account("romeo", "example.net"), choosy.account("romeo", "example.org")
    juliet = choosy.stream("juliet").login(until="online")
    for i in range(3):
        juliet.send(text(i, net.bare, "groupchat"))
    stored(choosy, net, 2)
    juliet.send(text("org", org.bare, "groupchat"))
    stored(choosy, org, 1)
    juliet.expect_nothing()
    juliet.send(text("full", org.bare, "groupchat"))
    juliet.expect("<message type='error' id='mfull'><error type='wait'><resource-constraint/></error></message>")
    r = choosy.stream("romeo", "example.net").login(until="online")
    assert messages(r, 2) == ["m0", "m1"]
    juliet.send(text("there", net.bare, "groupchat"))
    juliet.expect(UNAVAILABLE.format("mthere"))
    choosy.wait_log("modules->mod_offline->use_mam_for_storage has no effect")


def test_order_is_kept_when_a_session_ends(make_server):
    """What was on its way to it comes back, and goes in front of what is sent next"""
    server = make_server(config={"modules": {"mod_ping": {}, "mod_offline": {}}})
    romeo = server.stream("romeo", worker=0).login(until="online")
    names = [f"juliet-{i}" for i in range(6)]  # homes are in either worker
    juliets = [server.stream(name, worker=1).login(until="online") for name in names]
    for i, s in enumerate(juliets):
        romeo.send(text(i, s.bare))
        s.expect(f"<message id='m{i}'/>")
    old = next(p["pid"] for p in server.processes("worker") if p["slot"] == 1)
    [router] = [p["pid"] for p in server.processes("router")]
    stopped = [router]
    os.kill(router, signal.SIGSTOP)  # the route table goes on showing the sessions
    try:
        for s in juliets:
            s.close()
        os.kill(old, signal.SIGSTOP)
        stopped.append(old)
        for s in juliets:
            romeo.send(text(1, s.bare))
        romeo.ping()
        os.kill(router, signal.SIGCONT)
        romeo.presence()
        romeo.expect(f"<presence from='{romeo.full}'/>")  # the router has heard of their ends
        for s in juliets:
            romeo.send(text(2, s.bare))
        romeo.ping()
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    for name in names:
        stored(server, server.account(name), 2)
        s = server.stream(name).login()
        s.presence()
        assert messages(s, 2) == ["m1", "m2"], name


def test_a_sender_s_worker_dies_with_messages_for_who_comes(make_server):
    """They are on their way to be stored when he comes, and the next one must not pass them"""
    server = make_server(start=False, workers=2, config={"modules": {"mod_ping": {}, "mod_offline": {}}})
    if not server.can_kill_at_points():
        pytest.skip("a build without kill points (SAN=... has them)")
    page = killpoints.Page(os.path.join(server.base, "page"))
    server.start(env=page.environment())
    romeo = server.stream("romeo", worker=0).login()
    juliets = [server.stream(f"juliet{i}", worker=1).login() for i in range(4)]  # of both homes, most likely
    [sender] = [p["pid"] for p in server.processes("worker") if p["slot"] == 0]

    def say(text):
        romeo.send("".join(f"<message to='{j.bare}' type='chat'><body>{text}</body></message>" for j in juliets))

    os.kill(server.process.pid, signal.SIGSTOP)  # nobody takes the worker's place
    try:
        page.arm("post:sending", "worker", 1)
        say("1")
        wait.until(lambda: page.killed("post:sending") == (1, sender), "the worker to die")
        for j in juliets:
            j.send("<presence/>")
            j.expect(f"<presence from='{j.full}'/>")
        say("2")
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    for j in juliets:
        for text in "1", "2":
            j.expect(f"<message><body>{text}</body></message>")
