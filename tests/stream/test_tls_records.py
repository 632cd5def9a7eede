"""TLS 1.3 records that no library would send: RFC 8446, 4.6.3, 5 and 6"""
import os
import time

import pytest

from harness import wait
from harness.records import ALERT, DATA, HANDSHAKE, Records
from harness.stream import Closed

UNEXPECTED, BAD_MAC, OVERFLOW, ILLEGAL, DECODE = 10, 20, 22, 47, 50
KEY_UPDATE = bytes([24, 0, 0, 1, 0])


@pytest.fixture
def juliet(server):
    return server.stream(tls_class=Records).login()


def ended_with(juliet, description):
    """A fatal alert, and the end; nobody else is hurt."""
    while juliet.next_event()[0] not in ("end", "close"):
        pass
    assert juliet.tls.alert == (2, description)
    juliet.server.stream("romeo").login().ping()


def test_key_updates(juliet):
    """4.6.3: the server answers each that asks for it, before its next text"""
    for i in range(10):
        juliet.tls.key_update(ask=i % 2 == 0)
        juliet.ping()
        assert juliet.tls.updates_seen() == i // 2 + 1


def test_too_many_key_updates_in_a_row(juliet):
    """Each costs six derivations: unexpected_message, and one line in the log"""
    for _ in range(100):
        juliet.tls.key_update(ask=True)
    juliet.send_unless_cut("")
    ended_with(juliet, UNEXPECTED)
    assert juliet.tls.updates_seen() <= 40
    mine = [line for line in juliet.server.log().splitlines()
            if juliet.full in line and "TLS: the connection is ended" in line]
    assert len(mine) == 1 and "[info]" in mine[0], mine


def test_too_many_key_updates_with_text(juliet):
    """A little text in between does not make them cheaper"""
    for _ in range(100):
        juliet.tls.key_update()
        juliet.tls.write(b" ")
    juliet.send_unless_cut("")
    ended_with(juliet, UNEXPECTED)


def test_key_updates_in_their_time(juliet):
    """One in a second is anybody's right"""
    for _ in range(30):
        juliet.tls.key_update()
        juliet.tls.write(b" ")
    juliet.ping()
    for _ in range(6):
        time.sleep(1.2)  # The clock of the server is what is tested.
        juliet.tls.key_update()
        juliet.ping()


def test_key_updates_across_a_death(make_server):
    """The limit is in the slot: a killed worker's successor goes on counting"""
    server = make_server(workers=1)
    juliet = server.stream(tls_class=Records).login()
    for _ in range(2):
        for _ in range(10):
            juliet.tls.key_update(ask=True)
        juliet.ping()
        server.kill_workers()
    juliet.ping()
    for _ in range(60):
        juliet.tls.key_update()
    juliet.send_unless_cut("")
    ended_with(juliet, UNEXPECTED)


def test_empty_records(juliet):
    """5.4: empty ones are allowed, as are those of padding only"""
    for _ in range(5):
        for n in range(20):
            juliet.tls.out += juliet.tls.record(DATA, b"", padding=n)
        juliet.ping()


def test_too_many_empty_records(juliet):
    """Each costs us a decryption and says nothing: unexpected_message"""
    for _ in range(1000):
        juliet.tls.out += juliet.tls.record(DATA, b"")
    juliet.send_unless_cut("")
    ended_with(juliet, UNEXPECTED)
    assert "too many records without text" in juliet.server.log()


def test_too_many_warnings(juliet):
    """6.1: user_canceled is no reason to end, but a flood is"""
    for _ in range(3):
        juliet.tls.out += juliet.tls.record(ALERT, b"\1\x5a")
    juliet.ping()
    for _ in range(100):
        juliet.tls.out += juliet.tls.record(ALERT, b"\1\x5a")
    juliet.send_unless_cut("")
    ended_with(juliet, UNEXPECTED)


@pytest.mark.parametrize("kind, content, alert", [
    (HANDSHAKE, bytes([24, 0, 0, 1, 2]), ILLEGAL),
    (HANDSHAKE, bytes([24, 0, 0, 2, 0, 0]), UNEXPECTED),
    (HANDSHAKE, KEY_UPDATE + KEY_UPDATE, UNEXPECTED),
    (HANDSHAKE, KEY_UPDATE[:3], UNEXPECTED),
    (HANDSHAKE, bytes([1, 0, 0, 0]), UNEXPECTED),
    (HANDSHAKE, b"", UNEXPECTED),
    (ALERT, b"\1", DECODE),
    (ALERT, b"", DECODE),
    (20, b"\1", UNEXPECTED),
    (24, b"\1\0\0", UNEXPECTED),
    (0, b"", UNEXPECTED),
], ids=["bad request", "long update", "two updates", "half an update", "ClientHello",
        "empty handshake", "short alert", "empty alert", "change_cipher_spec", "heartbeat",
        "no type"])
def test_bad_content(juliet, kind, content, alert):
    """4.6.3, 5.1, 5.4 and 6"""
    juliet.tls.out += juliet.tls.record(kind, content)
    juliet.send_unless_cut("")
    ended_with(juliet, alert)


def test_a_record_twice(juliet):
    """5.3: under another number it does not open"""
    record = juliet.tls.record(DATA, b" ")
    juliet.tls.out += record + record
    juliet.send_unless_cut("")
    ended_with(juliet, BAD_MAC)


@pytest.mark.parametrize("record, alert", [
    (b"\x17\x03\x03\x00\x20" + b"\0" * 32, BAD_MAC),
    (b"\x17\x03\x03\x41\x01", OVERFLOW),
    (b"\x17\x03\x03\x00\x10", UNEXPECTED),
    (b"\x15\x03\x03\x00\x02\x02\x00", UNEXPECTED),
    (b"<presence/>", UNEXPECTED),
], ids=["broken", "too long", "too short", "unprotected", "clear text"])
def test_bad_records(juliet, record, alert):
    """5.1 and 5.2"""
    juliet.tls.out += record
    juliet.send_unless_cut("")
    ended_with(juliet, alert)


def test_too_much_content(juliet):
    """5.4: a record that is short enough, its content is not"""
    juliet.tls.out += juliet.tls.record(DATA, b" " * 16384)
    juliet.ping()
    juliet.tls.out += juliet.tls.record(DATA, b" " * 16385)
    juliet.send_unless_cut("")
    ended_with(juliet, OVERFLOW)


@pytest.mark.parametrize("padding", [1, 255, 16000])
def test_padding(juliet, padding):
    """5.4"""
    for _ in range(10):
        juliet.tls.out += juliet.tls.record(DATA, b" ", padding)
    juliet.ping()


def test_a_fatal_alert(juliet):
    """6.2: the connection ends at once, nothing is answered, the session is gone"""
    juliet.tls.out += juliet.tls.record(ALERT, bytes([2, 40]))
    juliet.send_unless_cut("")
    while juliet.next_event()[0] not in ("end", "close"):
        pass
    wait.until(lambda: juliet.full not in juliet.server.ctl_lines("connected_users"),
               "the session to end")


def test_close_notify_by_the_client(juliet):
    """6.1: what was asked before is answered, then we say the same"""
    juliet.tls.write(b"<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>")
    juliet.tls.close_notify()
    juliet.send("")
    juliet.expect("<iq type='result' id='last'/>")
    event = juliet.next_event()
    assert event[0] == "close"
    assert juliet.next_event()[0] == "end"
    assert juliet.tls.alert == (1, 0)


def test_close_notify_by_the_server(juliet):
    """6.1: behind the end of the stream"""
    juliet.send("</stream:stream>")
    juliet.footer_sent = True
    juliet.expect_closed()
    assert juliet.tls.alert == (1, 0)


def test_one_session_ticket(juliet):
    """4.6.1: written before the records are ours, under the first numbers"""
    tickets = [c for kind, c in juliet.tls.seen if kind == HANDSHAKE and c[0] == 4]
    assert len(tickets) == 1


def test_without_takeover(make_server):
    """tls_takeover: false; the records stay with OpenSSL, which bears the same"""
    server = make_server(workers=1, config={"tls_takeover": False})
    juliet = server.stream(tls_class=Records).login()
    for _ in range(5):
        juliet.tls.key_update(ask=True)
        juliet.ping()
    juliet.tls.out += juliet.tls.record(DATA, b"", padding=1000)
    juliet.ping()
    for _ in range(100):
        juliet.tls.key_update()
    juliet.send_unless_cut("")
    while juliet.next_event()[0] not in ("end", "close"):
        pass
    assert "too many key updates" in server.log()
    romeo = server.stream("romeo", tls_class=Records).login()
    romeo.send(f"<message to='{romeo.full}'><body>{'x' * 50000}</body></message>")
    romeo.expect(f"<message><body>{'x' * 50000}</body></message>")
    server.kill_workers()
    with pytest.raises((Closed, AssertionError, OSError)):
        romeo.ping()
    romeo.abort()


def test_records_by_the_kernel(make_server):
    """tls_ktls: where the kernel offers none OpenSSL makes them, and the log says so once"""
    server = make_server(workers=1, config={"tls_takeover": False, "tls_ktls": True})
    for _ in range(3):
        juliet = server.stream(tls_class=Records).login()
        for _ in range(3):
            juliet.send(f"<message to='{juliet.full}'><body>{'x' * 50000}</body></message>")
            juliet.expect(f"<message><body>{'x' * 50000}</body></message>")
            juliet.tls.key_update(ask=True)
            juliet.ping()
        assert juliet.tls.updates_seen() == 3
        juliet.send("</stream:stream>")
        juliet.footer_sent = True
        juliet.expect_closed()
        assert juliet.tls.alert == (1, 0)
    said = [line for line in server.log().splitlines() if "the kernel makes no TLS records" in line]
    assert len(said) == (0 if kernel_has_tls() else 1)
    romeo = server.stream("romeo").login()
    server.kill_workers()
    with pytest.raises((Closed, AssertionError, OSError)):
        romeo.ping()
    romeo.abort()


def kernel_has_tls():
    path = "/proc/sys/net/ipv4/tcp_available_ulp"
    if not os.path.exists(path):
        return False
    with open(path) as f:
        return "tls" in f.read().split()


def test_the_kernel_is_not_asked_where_connections_outlive_the_worker(make_server):
    """tls_ktls with tls_takeover: a warning, and the promise is kept"""
    server = make_server(workers=1, config={"tls_ktls": True})
    assert "tls_ktls has no effect" in server.log()
    juliet = server.stream(tls_class=Records).login()
    server.kill_workers()
    juliet.ping()
