"""Attacks on a worker: each of these once took something from somebody else"""
import os
import signal
import socket
import struct
import time

import pytest

from harness import wait

PROXY_V1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 5222\r\n"
PROXY_V2_UNSPEC = b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x00"


@pytest.fixture(scope="module")
def default_limits(session_maker):
    return session_maker(workers=2)


@pytest.fixture
def big(default_limits):
    default_limits.new_test()
    yield default_limits
    default_limits.new_test()


def pids(server):
    return {p["slot"]: p["pid"] for p in server.processes("worker")}


@pytest.mark.parametrize("fill", ["x", ">"], ids=["as it is", "grows when escaped"])
def test_the_largest_stanza(big, fill):
    """RFC 6120, 13.12: 10 MiB are allowed by default; no process may die of them"""
    before = pids(big)
    romeo = big.stream("romeo", worker=0).login()
    juliet = big.stream("juliet", worker=1).login()
    juliet.send(f"<message to='{romeo.full}'><body>" + fill * (9 << 20) + "</body></message>")
    if fill == "x":
        romeo.expect("<message><body/></message>", timeout=60)
    else:
        juliet.expect("<message type='error'><error><policy-violation/></error></message>", timeout=60)
    juliet.ping()
    romeo.ping()
    assert pids(big) == before


def test_a_stanza_above_the_highest_limit(big):
    """Nobody who sends more than 10 MiB ends more than his own stream"""
    before = pids(big)
    juliet = big.stream("juliet").login()
    juliet.send_unless_cut("<message><body>" + "x" * (11 << 20))
    juliet.expect_error("policy-violation")
    assert pids(big) == before


@pytest.fixture(scope="module")
def balanced(session_maker):
    return session_maker(workers=1, listen={"use_proxy_protocol": True})


def proxied(server, header, pause=None):
    """A stream behind a balancer that sends this header, in two pieces if asked to."""
    s = server.stream()
    s.sock = socket.create_connection(("127.0.0.1", server.port), wait.PATIENCE)
    s.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    half = len(header) // 2
    s.send_raw(header[:half])
    if pause:
        pause()
    s.send_raw(header[half:])
    return s


def test_a_proxy_header_in_pieces(balanced):
    """What one connection has sent so far is not overwritten by the next one's bytes"""
    balanced.new_test()

    def others():
        time.sleep(0.1)  # so that the server has read the first half
        for _ in range(3):
            proxied(balanced, PROXY_V1).open().send("<a")
    first = proxied(balanced, PROXY_V1, others)
    first.open()


def test_bad_proxy_headers(balanced):
    """A refused connection gives back no memory that others still use"""
    balanced.new_test()
    before = pids(balanced)
    for _ in range(20):
        bad = socket.create_connection(("127.0.0.1", balanced.port), wait.PATIENCE)
        bad.sendall(b"GET / HTTP/1.1\r\n\r\n")
        bad.settimeout(wait.PATIENCE)
        try:
            assert bad.recv(100) == b""
        except ConnectionResetError:
            pass
        bad.close()
        s = proxied(balanced, PROXY_V1).open()
        s.starttls().open()
    assert pids(balanced) == before


def test_a_proxy_header_without_address(balanced):
    """PROXY protocol 2.2: AF_UNSPEC is to be accepted, the address ignored"""
    balanced.new_test()
    proxied(balanced, PROXY_V2_UNSPEC).open()


@pytest.mark.parametrize("until", ["open", "tls", "bound"])
def test_data_and_the_end_together(big, until):
    """A client that says its last word and closes at once has gone at once"""
    for i in range(10):
        s = big.stream().login(until=until)
        s.send("<presence/>" if until == "bound" else " ")
        s.sock.shutdown(socket.SHUT_WR)
        s.sock.settimeout(wait.PATIENCE)
        while s.sock.recv(4096):
            pass
        s.sock.close()
        s.closed = True
    wait.until(lambda: sum(big.worker_connections().values()) == big.n_open(),
               "the connections to be gone")


def test_answers_after_the_client_has_closed_its_side(big):
    """What was asked for before a half-close is still answered"""
    juliet = big.stream().login()
    n = 50
    for i in range(n):
        juliet.tls.write(f"<iq type='get' id='q{i}' to='{juliet.host}'>"
                         "<ping xmlns='urn:xmpp:ping'/></iq>".encode())
    juliet.tls.write(b"</stream:stream>")
    juliet._flush()
    juliet.sock.shutdown(socket.SHUT_WR)
    for i in range(n):
        juliet.expect(f"<iq type='result' id='q{i}'/>")
    juliet.footer_sent = True
    juliet.expect_closed()
    assert juliet.close_notify_seen


def test_everything_in_one_packet(big):
    """RFC 6120 has no rule that a client waits: all of a login at once, without TLS"""
    from harness import sasl, xml
    import base64
    s = big.stream().connect()
    s.restart()
    header = s.header_text()
    plain = base64.b64encode(sasl.plain(s.user, s.password)).decode()
    s.send(header + f"<auth xmlns='{xml.NS_SASL}' mechanism='PLAIN'>{plain}</auth>")
    s.expect_header()
    s.expect_features()
    # Without TLS there is no PLAIN: the dialogue fails, the stream goes on.
    s.expect(f"<failure xmlns='{xml.NS_SASL}'/>")
    s = big.stream()
    s.login(until="tls")
    s.send(f"<auth xmlns='{xml.NS_SASL}' mechanism='PLAIN'>"
           + base64.b64encode(sasl.plain(s.user, s.password)).decode() + "</auth>"
           + s.header_text()
           + f"<iq type='set' id='b'><bind xmlns='{xml.NS_BIND}'/></iq><presence/>"
           + f"<iq type='get' id='p' to='{s.host}'><ping xmlns='urn:xmpp:ping'/></iq>")
    s.expect(f"<success xmlns='{xml.NS_SASL}'/>")
    s.restart_reading()
    s.expect_header()
    s.expect_features()
    s.expect("<iq type='result' id='b'/>")
    s.expect_any_order("<presence/>", "<iq type='result' id='p'/>")


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_resets_at_every_step(big):
    """Connections that break off anywhere leave nothing behind"""
    before = pids(big)
    for until in ("connected", "open", "tls", "features", "bound", "online"):
        for _ in range(5):
            s = big.stream().login(until=until)
            s.send_unless_cut("<presence to='nobody@" + s.host + "'>")
            reset(s.sock)
            s.closed = True
    wait.until(lambda: sum(big.worker_connections().values()) == big.n_open(),
               "the connections to be gone")
    assert pids(big) == before


def kill(pid):
    """kill -9; a process that waits to be started again has no pid, and 0 would be ourselves."""
    assert isinstance(pid, int) and pid > 1, pid
    os.kill(pid, signal.SIGKILL)


def served_by_others(server, before):
    """The workers' pids, once the service is ready with others than before."""
    def question():
        now = pids(server)
        return server.ctl_status("status")[0] == 0 and all(now.values()) and now != before and now
    return wait.until(question, "the service to be ready", 60)


def kill_worker(server, *others):
    """kill -9 of the workers and of other roles; back when the service is ready again."""
    before = pids(server)
    for p in server.processes():
        if p["role"] in ("worker", *others):
            kill(p["pid"])
    served_by_others(server, before)


def plain_clients(server, n, text):
    """Bare sockets that have opened a stream and sent this."""
    header = server.stream().header_text()
    found = []
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", server.port), wait.PATIENCE)
        s.sendall((header + text).encode())
        found.append(s)
    for s in found:
        read_until(s, b"<proceed" if "starttls" in text else b"</stream:features>")
    return found


def read_until(sock, words):
    sock.settimeout(wait.PATIENCE)
    seen = b""
    while words not in seen:
        piece = sock.recv(65536)
        assert piece, f"the end after {seen[-200:]}"
        seen += piece
    return seen


def test_records_are_given_out_once(make_server):
    """After a takeover in portions no two connections share a record"""
    server = make_server(workers=1)
    lost = plain_clients(server, 300, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    kill_worker(server)
    for s in lost:
        s.settimeout(wait.PATIENCE)
        while s.recv(4096):
            pass
        s.close()
    kept = plain_clients(server, 640, "")
    for s in kept:
        s.sendall(b"<message/>")
        read_until(s, b"</stream:stream>")
        s.close()


def test_a_death_within_the_takeover(make_server):
    """An answer of the keeper to the process before is no answer to this one"""
    server = make_server(workers=1)
    kept = plain_clients(server, 600, "")
    first = pids(server)
    for _ in range(4):
        kill(first[0])
        second = wait.until(lambda: (lambda now: now != first and now[0] and now)(pids(server)),
                            "a successor", pause=0.001)
        time.sleep(0.03)  # so that it has begun to take over
        kill(second[0])
        first = served_by_others(server, second)
    for s in kept:
        s.sendall(b"<message/>")
        read_until(s, b"</stream:stream>")
        s.close()


def test_worker_and_keeper_at_once(make_server):
    """Sockets that nobody holds any more: the sessions end, the service goes on"""
    server = make_server(workers=1)
    romeo = server.stream("romeo").login(until="online")
    lost = plain_clients(server, 200, "")
    for _ in range(3):
        kill_worker(server, "keeper")
    wait.until(lambda: romeo.full not in server.ctl_lines("connected_users"), "no session")
    for s in lost:
        s.close()
    romeo.closed = True
    server.stream("juliet").login(until="online").ping()


def test_what_a_closing_stream_was_promised(make_server):
    """A worker that dies behind a stream error: the error still arrives"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    # The client does not read, so that the error waits in the slot.
    juliet.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    for i in range(60):
        juliet.send(f"<message to='{juliet.full}' id='m{i}'><body>{'x' * 100000}</body></message>")
    juliet.send("<iq/>" + "<unknown/>")
    wait.until(lambda: server.counter("stream_errors") == 1, "the error")
    kill_worker(server)
    for i in range(60):
        juliet.expect(f"<message id='m{i}'/>")
    juliet.expect("<iq type='error'/>")
    juliet.expect("<stream:error><unsupported-stanza-type/></stream:error>")
