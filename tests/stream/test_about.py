"""What the server says of itself: XEP-0092, XEP-0202, XEP-0039"""
import datetime
import re

import pytest


VERSION, TIME, STATS = "jabber:iq:version", "urn:xmpp:time", "http://jabber.org/protocol/stats"


@pytest.fixture(scope="module")
def about(session_maker):
    return session_maker(hosts=("example.net", "example.com"), config={
        "acl": {"admin": {"user": ["boss@example.net"]}},
        "access_rules": {"configure": {"allow": "admin"}},
        "modules": {"mod_ping": {}, "mod_version": {}, "mod_time": {}, "mod_stats": {}},
        "append_host_config": {"example.com": {"modules": {"mod_version": {"show_os": False}}}}})


@pytest.fixture
def server(about):
    about.new_test()
    yield about
    about.new_test()


def ask(stream, ns, name="query", inner="", to=None, kind="get"):
    return stream.request(f"<{name} xmlns='{ns}'>{inner}</{name}>", kind, to=to or stream.host)


def condition(answer):
    return answer.find("{jabber:client}error")[0].tag.rpartition("}")[2]


def test_version(server):
    """XEP-0092, 2"""
    juliet = server.stream().login()
    query = ask(juliet, VERSION).find(f"{{{VERSION}}}query")
    assert query.find(f"{{{VERSION}}}name").text == "stanzad"
    assert re.match(r"\d+\.\d+", query.find(f"{{{VERSION}}}version").text)
    assert query.find(f"{{{VERSION}}}os").text
    assert condition(ask(juliet, VERSION, kind="set")) == "not-allowed"


def test_version_without_the_system(server):
    """show_os: false, of one host"""
    juliet = server.stream("juliet", host="example.com").login()
    query = ask(juliet, VERSION).find(f"{{{VERSION}}}query")
    assert query.find(f"{{{VERSION}}}os") is None


def test_time(server):
    """XEP-0202, 2: UTC by XEP-0082, and the zone"""
    juliet = server.stream().login()
    t = ask(juliet, TIME, "time").find(f"{{{TIME}}}time")
    utc = datetime.datetime.strptime(t.find(f"{{{TIME}}}utc").text, "%Y-%m-%dT%H:%M:%SZ")
    assert abs((datetime.datetime.utcnow() - utc).total_seconds()) < 60
    assert re.fullmatch(r"[+-]\d\d:\d\d", t.find(f"{{{TIME}}}tzo").text)


def test_statistics_are_for_administrators(server):
    """XEP-0039; the access rule configure"""
    juliet = server.stream().login()
    assert condition(ask(juliet, STATS)) == "forbidden"


def test_statistics(make_server):
    """XEP-0039, 3 and 4: what there is, numbers, and what is not there"""
    server = make_server(hosts=("example.net", "example.com"), config={
        "access_rules": {"configure": {"allow": "all"}},
        "modules": {"mod_ping": {}, "mod_stats": {}}})
    juliet = server.stream().login()
    server.stream("romeo").login()
    server.stream("nurse", host="example.com").login()
    names = [s.get("name") for s in ask(juliet, STATS).find(f"{{{STATS}}}query")]
    assert {"users/online", "users/total", "users/all-hosts/online"} == set(names)
    answer = ask(juliet, STATS, inner="".join(f"<stat name='{n}'/>" for n in names + ["x/y"]))
    got = {s.get("name"): s for s in answer.find(f"{{{STATS}}}query")}
    assert got["users/online"].get("value") == "2"
    assert got["users/total"].get("value") == "2"
    assert got["users/all-hosts/online"].get("value") == "3"
    assert got["x/y"].find(f"{{{STATS}}}error").get("code") == "404"
    answer = ask(juliet, STATS, inner="<stat name='users/online'/>" * 51)
    assert condition(answer) == "not-acceptable"
