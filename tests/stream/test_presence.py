"""Presence without subscriptions: RFC 6121, section 4"""
import pytest

from harness import wait, xml


def test_presence_comes_back_to_oneself(server):
    """RFC 6121, 4.2.2: to all of one's available resources, this one included"""
    juliet = server.stream().login()
    juliet.send("<presence><show>dnd</show><status xml:lang='en'>Busy</status><priority>3</priority></presence>")
    juliet.expect(f"<presence from='{juliet.full}'><show>dnd</show><status>Busy</status>"
                  "<priority>3</priority></presence>")


def test_one_s_resources_see_each_other(server):
    """RFC 6121, 4.2.2 and 4.3.2"""
    a = server.stream("juliet", resource="a").login(until="online")
    b = server.stream("juliet", resource="b").login()
    b.presence()
    a.expect(f"<presence from='{b.full}'/>")
    b.expect_any_order(f"<presence from='{b.full}'/>", f"<presence from='{a.full}'/>")
    a.presence(inner="<show>away</show>")
    for s in (a, b):
        s.expect(f"<presence from='{a.full}'><show>away</show></presence>")


def test_unavailable(server):
    """RFC 6121, 4.5.2: one's own resources learn it"""
    a = server.stream("juliet", resource="a").login(until="online")
    b = server.stream("juliet", resource="b").login()
    b.presence()
    a.expect(f"<presence from='{b.full}'/>")
    b.send("<presence type='unavailable'><status>Bye</status></presence>")
    a.expect(f"<presence from='{b.full}' type='unavailable'><status>Bye</status></presence>")


@pytest.mark.parametrize("how", ["close", "abort", "reset"])
def test_unavailable_on_behalf_of_a_client(server, how):
    """RFC 6121, 4.5.2: when a stream ends without unavailable presence"""
    a = server.stream("juliet", resource="a").login(until="online")
    b = server.stream("juliet", resource="b").login()
    b.presence()
    a.expect(f"<presence from='{b.full}'/>")
    getattr(b, how)()
    a.expect(f"<presence from='{b.full}' type='unavailable'/>")


def test_unavailable_takes_one_out_of_delivery(server):
    """RFC 6121, 4.5 and 8.5.2"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    romeo.send("<presence type='unavailable'/>")
    # Out of the route table once the server lists no presence.
    wait.until(lambda: server.ctl("stats_host", "onlineusers", romeo.host) is not None
               and "available" not in server.ctl("user_sessions_info", romeo.user, romeo.host)
               .replace("unavailable", ""), "romeo to be unavailable")
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='m'><body>?</body></message>")
    juliet.expect("<message type='error' id='m'><error><service-unavailable/></error></message>")


def test_directed_presence_is_cleaned_up(server):
    """RFC 6121, 4.6.3: those who saw us come see us go"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    juliet.send(f"<presence to='{romeo.full}'/>")
    romeo.expect(f"<presence from='{juliet.full}'/>")
    juliet.send("<presence type='unavailable'/>")
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")


@pytest.mark.parametrize("how", ["close", "abort"])
def test_directed_presence_is_cleaned_up_at_the_end(server, how):
    """RFC 6121, 4.6.3"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    juliet.send(f"<presence to='{romeo.full}'/>")
    romeo.expect(f"<presence from='{juliet.full}'/>")
    getattr(juliet, how)()
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")


def test_directed_unavailable_is_final(server):
    """RFC 6121, 4.6.3: who was told already is not told again"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    juliet.send(f"<presence to='{romeo.full}'/><presence to='{romeo.full}' type='unavailable'/>")
    romeo.expect(f"<presence from='{juliet.full}'/>")
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    juliet.close()
    wait.until(lambda: juliet.full not in server.ctl_lines("connected_users"), "juliet to be gone")
    romeo.expect_nothing()


def test_directed_presence_between_workers(make_server):
    """RFC 6121, 4.6.3: the list lives with the sender, the target elsewhere"""
    server = make_server()
    juliet, romeo = server.pair(until="online")
    juliet.send(f"<presence to='{romeo.full}'/>")
    romeo.expect(f"<presence from='{juliet.full}'/>")
    juliet.abort()
    romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")


def test_directed_presence_to_a_bare_address(server):
    """RFC 6121, 8.5.2.1.2: to all available resources"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    juliet.send(f"<presence to='{romeo.bare}'><show>chat</show></presence>")
    romeo.expect(f"<presence from='{juliet.full}'><show>chat</show></presence>")


@pytest.mark.parametrize("priority", ["128", "-129", "high", "", "1.5", "99999999999999999999"])
def test_bad_priorities(server, priority):
    """RFC 6121, 4.7.2.3: an integer from -128 to 127"""
    juliet = server.stream().login()
    juliet.send(f"<presence id='p'><priority>{priority}</priority></presence>")
    got = juliet.next()
    assert got.get("type") in (None, "error")
    if got.get("type") == "error":
        assert xml.matches(xml.pattern(
            "<presence id='p' type='error'><error type='modify'><bad-request/></error></presence>"), got)
    juliet.ping()


@pytest.mark.parametrize("priority", ["127", "-128", "0", " 5 ", "+5"])
def test_good_priorities(server, priority):
    """RFC 6121, 4.7.2.3: xs:byte, white space around it is no harm"""
    juliet = server.stream().login()
    juliet.send(f"<presence><priority>{priority}</priority></presence>")
    juliet.expect(f"<presence from='{juliet.full}'/>")
    wait.until(lambda: f"\t{int(priority)}\t" in server.ctl(
        "user_sessions_info", juliet.user, juliet.host), "the priority to be known")


def test_a_presence_of_an_unknown_type(server):
    """RFC 6121, 4.7.1: bad-request"""
    juliet = server.stream().login(until="online")
    juliet.send("<presence type='maybe' id='p'/>")
    juliet.expect("<presence type='error' id='p'><error type='modify'><bad-request/></error></presence>")
    juliet.ping()
