"""Resource binding: RFC 6120, section 7"""
import pytest

from harness import wait, xml

BIND = f"<bind xmlns='{xml.NS_BIND}'/>"


def bind(resource):
    return f"<bind xmlns='{xml.NS_BIND}'><resource>{resource}</resource></bind>"


def test_a_resource_made_by_the_server(server):
    """RFC 6120, 7.6.1"""
    juliet = server.stream().login()
    assert juliet.full.startswith(juliet.account.bare + "/")
    assert juliet.resource


def test_resources_made_by_the_server_differ(server):
    """RFC 6120, 7.6: unique, and hard to guess (RFC 6120, 13.10.1)"""
    found = {server.stream("juliet").login().resource for _ in range(4)}
    assert len(found) == 4


@pytest.mark.parametrize("resource", [
    "balcony", "with space", "ümläut", "a/b@c", "x" * 1023, "&lt;&amp;&apos;"])
def test_a_resource_made_by_the_client(server, resource):
    """RFC 6120, 7.7.1; RFC 7622, 3.4: nearly everything may stand in it"""
    juliet = server.stream().login(until="features")
    answer = juliet.request(bind(resource), "set")
    assert answer.get("type") == "result"
    full = answer.find(f".//{{{xml.NS_BIND}}}jid").text
    plain = xml.parse(f"<x>{resource}</x>").text
    assert full == f"{juliet.account.bare}/{plain}"


@pytest.mark.parametrize("resource", ["x" * 1024, "a\u0000b".replace("\0", "\u200e")])
def test_a_resource_that_is_none(server, resource):
    """RFC 6120, 7.7.2.1: bad-request; RFC 7622: 1023 octets, no directional marks"""
    juliet = server.stream().login(until="features")
    answer = juliet.request(bind(resource), "set")
    assert xml.matches(xml.pattern(
        "<iq type='error'><error type='modify'><bad-request/></error></iq>"), answer), xml.show(answer)
    assert juliet.request(BIND, "set").get("type") == "result"


def test_binding_twice(server):
    """RFC 6120, 7.1: one resource per stream"""
    juliet = server.stream().login()
    answer = juliet.request(bind("second"), "set")
    assert answer.get("type") == "error"
    juliet.ping()


def test_bind_of_type_get(server):
    """RFC 6120, 7.6.1: it is a set"""
    juliet = server.stream().login(until="features")
    juliet.send(f"<iq type='get' id='b'>{BIND}</iq>")
    got = juliet.next()
    assert got.get("type") == "error" or got.tag == f"{{{xml.NS_STREAM}}}error"


def test_another_request_before_bind(server):
    """RFC 6120, 7.1: not-authorized, or an error in the answer"""
    juliet = server.stream().login(until="features")
    juliet.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    got = juliet.next()
    assert got.get("type") == "error" or xml.matches(
        xml.pattern("<stream:error><not-authorized/></stream:error>"), got)


def conflict_server(session_maker, rule):
    return session_maker(config={"resource_conflict": rule})


@pytest.fixture(scope="module")
def closeold(session_maker):
    return conflict_server(session_maker, "closeold")


@pytest.fixture(scope="module")
def closenew(session_maker):
    return conflict_server(session_maker, "closenew")


@pytest.fixture(scope="module")
def setresource(session_maker):
    return conflict_server(session_maker, "setresource")


@pytest.mark.parametrize("slots", [(0, 0), (0, 1)], ids=["one worker", "two workers"])
def test_conflict_closes_the_old_stream(closeold, slots):
    """RFC 6120, 7.7.2.2, third way; 4.9.3.3"""
    closeold.new_test()
    workers = sorted(closeold.worker_connections())
    old = closeold.stream("juliet", resource="balcony", worker=workers[slots[0]]).login(until="online")
    new = closeold.stream("juliet", resource="balcony", worker=workers[slots[1]]).login()
    old.expect_error("conflict")
    assert new.resource == "balcony"
    new.ping()
    assert closeold.ctl_lines("user_resources", new.user, new.host) == ["balcony"]


def test_conflict_refuses_the_new_stream(closenew):
    """RFC 6120, 7.7.2.2, second way"""
    closenew.new_test()
    old = closenew.stream("juliet", resource="balcony").login(until="online")
    new = closenew.stream("juliet").login(until="features")
    answer = new.request(bind("balcony"), "set")
    assert xml.matches(
        xml.pattern("<iq type='error'><error><conflict/></error></iq>"), answer), xml.show(answer)
    old.ping()
    new.bind("orchard")


def test_conflict_chooses_another_resource(setresource):
    """RFC 6120, 7.7.2.2, first way"""
    setresource.new_test()
    old = setresource.stream("juliet", resource="balcony").login(until="online")
    new = setresource.stream("juliet", resource="balcony").login()
    assert new.resource != "balcony"
    old.ping()
    new.ping()


def test_resources_are_compared_by_case(server):
    """RFC 7622, 3.4: case is kept in a resource"""
    a = server.stream("juliet", resource="Balcony").login(until="online")
    b = server.stream("juliet", resource="balcony").login()
    a.ping()
    b.ping()


def test_a_session_ends_with_its_stream(server):
    """The resource is free again once the closing handshake is over"""
    for _ in range(5):
        juliet = server.stream("juliet", resource="balcony").login(until="online")
        assert juliet.resource == "balcony"
        juliet.close()
        wait.until(lambda: not server.ctl_lines("user_resources", juliet.user, juliet.host),
                   "the resource to be free")


def test_a_limit_on_resources(make_server):
    """shaper_rules max_user_sessions: the oldest session makes room (ejabberd), or no more"""
    server = make_server(config={"shaper_rules": {"max_user_sessions": 2}})
    first, second, third = (server.stream("juliet", resource=f"r{i}").login(until="online")
                            if i < 2 else server.stream("juliet") for i in range(3))
    third.login(until="features")
    answer = third.request(bind("r2"), "set")
    if answer.get("type") == "error":
        assert xml.matches(xml.pattern(
            "<iq type='error'><error type='wait'><resource-constraint/></error></iq>"), answer)
    wait.until(lambda: len(server.ctl_lines("user_resources", first.user, first.host)) == 2,
               "no more than two resources")
