"""XMPP Ping: XEP-0199, both ways; and what an unanswered one does"""
import time

from harness import wait, xml

PING = "<ping xmlns='urn:xmpp:ping'/>"


def test_the_server_answers(server):
    """XEP-0199, 4.2"""
    server.stream().login().ping()


def test_the_account_answers(server):
    """XEP-0199, 4.2: to the bare address, or to nobody"""
    juliet = server.stream().login()
    assert juliet.request(PING, to=juliet.bare).get("type") == "result"
    answer = juliet.request(PING)
    assert answer.get("type") == "result"


def test_a_client_is_asked_through_the_server(server):
    """XEP-0199, 4.4: from client to client"""
    juliet, romeo = (server.stream(n).login(until="online") for n in ("juliet", "romeo"))
    juliet.send(f"<iq type='get' id='c' to='{romeo.full}'>{PING}</iq>")
    romeo.expect(f"<iq type='get' id='c' from='{juliet.full}'>{PING}</iq>")
    romeo.send(f"<iq type='result' id='c' to='{juliet.full}'/>")
    juliet.expect(f"<iq type='result' id='c' from='{romeo.full}'/>")


def test_ping_of_type_set(server):
    """RFC 6120, 8.2.3: it is a get"""
    juliet = server.stream().login()
    answer = juliet.request(PING, "set", to=juliet.host)
    assert answer.get("type") == "error"


def test_the_server_asks(make_server):
    """XEP-0199, 4.1; ejabberd's mod_ping: send_pings, ping_interval"""
    server = make_server(workers=1, config={
        "modules": {"mod_ping": {"send_pings": True, "ping_interval": "1 second"}}})
    juliet = server.stream().login(until="online")
    got = juliet.expect(f"<iq type='get' from='{juliet.host}'>{PING}</iq>")
    juliet.send(f"<iq type='result' to='{juliet.host}' id='{xml.escape(got.get('id'))}'/>")
    juliet.expect(f"<iq type='get' from='{juliet.host}'>{PING}</iq>")


def test_a_client_that_does_not_answer_is_cut(make_server):
    """ejabberd's mod_ping: timeout_action kill"""
    server = make_server(workers=1, config={"modules": {"mod_ping": {
        "send_pings": True, "ping_interval": "1 second", "ping_ack_timeout": "1 second",
        "timeout_action": "kill"}}})
    juliet = server.stream().login(until="online")
    juliet.expect(f"<iq type='get'>{PING}</iq>")
    juliet.expect_error("connection-timeout")
    wait.until(lambda: server.ctl("connected_users_number") == "0", "the session to end")


def test_a_client_that_does_not_answer_may_stay(make_server):
    """ejabberd's mod_ping: timeout_action none is the default"""
    server = make_server(workers=1, config={"modules": {"mod_ping": {
        "send_pings": True, "ping_interval": "1 second", "ping_ack_timeout": "1 second"}}})
    juliet = server.stream().login(until="online")
    juliet.expect(f"<iq type='get'>{PING}</iq>")
    time.sleep(1.5)  # The second to answer passes.
    juliet.send("<presence><status>Here</status></presence>")
    juliet.expect("<presence><status>Here</status></presence>")
    juliet.expect(f"<iq type='get'>{PING}</iq>")
