"""Limits: sizes, depth, time, number, speed; RFC 6120, 13.12; XEP-0478"""
import socket
import time

import pytest

from harness import wait

LIMITS = "{urn:xmpp:stream-limits:0}limits"


def advertised(stream):
    limits = stream.features.find(LIMITS)
    return {} if limits is None else {e.tag.rpartition("}")[2]: int(e.text) for e in limits}


@pytest.fixture(scope="module")
def small(session_maker):
    return session_maker(workers=1, listen={
        "max_stanza_size": 20000, "pre_auth_max_stanza_size": 4000,
        "max_stanza_elements": 100, "pre_auth_max_stanza_elements": 20},
        config={"c2s_idle_timeout": "1 hour"})


@pytest.fixture
def limited(small):
    small.new_test()
    yield small
    small.new_test()


def test_limits_are_advertised(limited):
    """XEP-0478, 2: before and after authentication"""
    juliet = limited.stream().login(until="tls")
    assert advertised(juliet)["max-bytes"] == 4000
    juliet.authenticate().open()
    assert advertised(juliet) == {"max-bytes": 20000, "idle-seconds": 3600}


def test_a_stanza_just_below_the_limit(limited):
    """RFC 6120, 13.12"""
    juliet = limited.stream().login(until="online")
    text = "x" * (20000 - len(f"<message to='{juliet.full}'><body></body></message>"))
    juliet.send(f"<message to='{juliet.full}'><body>{text}</body></message>")
    juliet.expect(f"<message><body>{text}</body></message>")


@pytest.mark.parametrize("stanza", [
    "<message><body>" + "x" * 20001 + "</body></message>",
    "<message><body>" + "x" * 30000,
    "<message id='" + "x" * 30000,
    "<message><" + "x" * 30000,
    "<message" + " " * 30000 + "/>",
    "<message><body>" + "<a/>" * 8000,
    "<message><body>" + "&amp;" * 8000,
], ids=["complete", "text", "attribute", "name", "white space", "children", "references"])
def test_a_stanza_above_the_limit(limited, stanza):
    """RFC 6120, 4.9.3.14 and 13.12: policy-violation"""
    juliet = limited.stream().login()
    juliet.send_unless_cut(stanza)
    juliet.expect_error("policy-violation")


def test_many_small_stanzas_are_no_large_one(limited):
    """The limit is per stanza, white space between them does not count"""
    juliet = limited.stream().login()
    for i in range(30):
        juliet.send(f"<iq type='get' id='i{i}' to='{juliet.host}'><ping xmlns='urn:xmpp:ping'>"
                    + "x" * 1000 + "</ping></iq>" + " " * 1000)
        juliet.expect(f"<iq id='i{i}'/>")


def test_too_many_elements(limited):
    """ejabberd's max_stanza_elements"""
    juliet = limited.stream().login()
    juliet.send_unless_cut("<message>" + "<a/>" * 200 + "</message>")
    juliet.expect_error("policy-violation")


def test_limits_before_authentication(limited):
    """ejabberd's pre_auth_max_stanza_size"""
    juliet = limited.stream().login(until="tls")
    juliet.send_unless_cut("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
                           + "A" * 5000 + "</auth>")
    juliet.expect_error("policy-violation")


def test_negotiation_takes_too_long(make_server):
    """ejabberd's negotiation_timeout; RFC 6120, 4.9.3.4"""
    server = make_server(workers=1, config={"negotiation_timeout": "1 second"})
    for until in ("connected", "open", "tls", "features"):
        s = server.stream().login(until=until)
        if until == "connected":
            s.restart()
            while s.next_event()[0] != "end":
                pass
        else:
            s.expect_error("connection-timeout")
    juliet = server.stream().login()
    time.sleep(1.5)  # The clock of the server is what is tested.
    juliet.ping()
    assert server.counter("c2s_timeout") >= 4


def test_an_idle_client(make_server):
    """c2s_idle_timeout: white space is enough to stay (RFC 6120, 4.6.1)"""
    server = make_server(workers=1, config={"c2s_idle_timeout": "2 seconds"})
    juliet = server.stream("juliet").login()
    romeo = server.stream("romeo").login()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        romeo.send(" ")
        time.sleep(0.2)
    juliet.expect_error("connection-timeout")
    romeo.ping()


def test_a_silent_client_is_sent_white_space(make_server):
    """c2s_keepalive: again and again, also by the successor of its worker"""
    server = make_server(workers=1, config={"c2s_keepalive": "1 second"})
    juliet = server.stream("juliet").login(until="online")
    end = time.monotonic() + wait.PATIENCE
    assert juliet.read_some(end).strip(b" ") == b""
    server.kill_workers()
    assert juliet.read_some(end).strip(b" ") == b""
    juliet.ping()


def test_connections_per_address(make_server):
    """c2s_connections_per_ip; over several workers: test_addresses.py"""
    server = make_server(workers=1, config={"c2s_connections_per_ip": 3})
    kept = [server.stream().login(until="open") for _ in range(3)]
    more = socket.create_connection(("127.0.0.1", server.port), wait.PATIENCE)
    more.settimeout(wait.PATIENCE)
    data = b""
    try:
        more.sendall(kept[0].header_text().encode())
        while True:
            piece = more.recv(4096)
            if not piece:
                break
            data += piece
    except ConnectionResetError:
        pass
    assert b"<stream:features" not in data
    assert b"policy-violation" in data or b"resource-constraint" in data or data == b""
    more.close()
    kept[0].starttls()
    kept.pop().close()

    def accepted():
        s = server.stream()
        try:
            s.login(until="open")
            return True
        except AssertionError:
            s.abort()
            return False

    wait.until(accepted, "a place to be free again")


def test_a_shaper_slows_a_client(make_server):
    """ejabberd's shaper: bytes per second that are read"""
    server = make_server(workers=1, listen={"shaper": "c2s_shaper"}, config={
        "acl": {"fast": {"user": "romeo"}},
        "shaper": {"slow": {"rate": 20000, "burst_size": 20000}},
        "shaper_rules": {"c2s_shaper": [{"none": "fast"}, {"slow": "all"}]}})
    seconds = {}
    for name in ("juliet", "romeo"):
        s = server.stream(name).login()
        began = time.monotonic()
        for i in range(30):
            s.send(f"<message id='{i}' type='headline' to='nobody@example.net'><body>{'x' * 2000}</body></message>")
        s.ping()
        seconds[name] = time.monotonic() - began
    assert seconds["juliet"] > 1.5, seconds
    assert seconds["romeo"] < 1.5, seconds
    assert server.counter("shaped") > 0


def test_a_peer_that_does_not_read_is_cut(make_server):
    """Bounded memory for one client (max_fsm_queue, send_timeout); others go on"""
    server = make_server(workers=1, listen={"max_fsm_queue": 500, "send_timeout": 2})
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    deaf = romeo.full
    end = time.monotonic() + 2 * wait.PATIENCE
    sent = 0
    while deaf in server.ctl_lines("connected_users"):
        assert time.monotonic() < end, f"still there after {sent} messages"
        juliet.send("".join(
            f"<message to='{deaf}' type='headline'><body>{'x' * 10000}</body></message>"
            for _ in range(50)))
        # Once romeo is gone they come back as errors.
        juliet.send("<iq type='get' id='p' to='example.net'><ping xmlns='urn:xmpp:ping'/></iq>")
        while juliet.next().get("id") != "p":
            pass
        sent += 50
    romeo.abort()
    assert server.counter("slow_cut") == 1


def test_back_pressure_on_a_client_that_does_not_read_answers(make_server):
    """A client that asks without reading stops being read, or is cut; memory stays bounded"""
    server = make_server(workers=1, listen={"max_fsm_queue": 500, "send_timeout": 2})
    juliet = server.stream("juliet").login(until="online")
    before = server.processes("worker")[0]["memory"]
    juliet.sock.settimeout(0.5)
    ask = "".join(f"<iq type='get' id='{i}' to='example.net'><ping xmlns='urn:xmpp:ping'/></iq>"
                  for i in range(200))
    try:
        for _ in range(2000):
            juliet.tls.write(ask.encode())
            juliet.sock.sendall(juliet.tls.pending())
    except (TimeoutError, socket.timeout, ConnectionError):
        pass
    else:
        raise AssertionError("30 MB of requests were taken without an answer read")
    after = server.processes("worker")[0]["memory"]
    assert after - before < 64 * 1024 * 1024, (before, after)
    juliet.abort()
    server.stream("romeo").login().ping()


def test_half_a_stanza_holds_nothing_up(server):
    """Other streams of the worker are served while one takes its time"""
    slow = [server.stream("juliet").login(until="bound") for _ in range(3)]
    for s in slow:
        s.send(f"<iq type='get' id='half' to='{s.host}'><ping xmlns='urn:")
    server.stream("romeo").login().ping()
    for s in slow:
        s.send("xmpp:ping'/></iq>")
        s.expect("<iq type='result' id='half'/>")
