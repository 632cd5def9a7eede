"""Private XML storage: XEP-0049, with XEP-0048 and XEP-0083; over two workers, on both databases"""
import pytest

from harness import xml

NS = "jabber:iq:private"
BOOKMARKS = ("<storage xmlns='storage:bookmarks'><conference name='Capulets &amp; co' autojoin='true' "
             "jid='hall@conference.example.net'><nick>Jül 🌹</nick></conference>"
             "<url name='u' url='http://example.net/?a=1&amp;b=2'/></storage>")
CONFIG = {"modules": {"mod_ping": {}, "mod_private": {"max_size": 2000, "max_namespaces": 4}}}


@pytest.fixture(scope="module")
def shared_server(session_maker):
    return session_maker(config=CONFIG)


@pytest.fixture(scope="module")
def shared_pgsql(session_maker):
    return session_maker(config=CONFIG, database="pgsql")


def query(inner):
    return f"<query xmlns='{NS}'>{inner}</query>"


def put(stream, inner, to=None):
    return stream.request(query(inner), "set", to)


def get(stream, inner, to=None):
    return stream.request(query(inner), to=to)


def expect(answer, inner):
    """The elements that an answer holds, all of them and in their order."""
    found = answer.find(f"{{{NS}}}query")
    wanted = xml.parse(query(inner))
    assert answer.get("type") == "result", xml.show(answer)
    assert [xml.show(e) for e in found] == [xml.show(e) for e in wanted]


def stored(stream, inner, to=None):
    answer = put(stream, inner, to)
    assert answer.get("type") == "result" and len(answer) == 0, xml.show(answer)


def test_bookmarks(any_server):
    """XEP-0048, 3: what one client has stored another one gets, in another worker, too"""
    slots = sorted(any_server.worker_connections())
    one, two = (any_server.stream("juliet", worker=s).login() for s in slots[:2])
    stored(one, BOOKMARKS)
    for stream in one, two:
        expect(get(stream, "<storage xmlns='storage:bookmarks'/>"), BOOKMARKS)
    stored(two, "<storage xmlns='storage:bookmarks'/>", two.bare)
    expect(get(one, "<storage xmlns='storage:bookmarks'/>", one.bare),
           "<storage xmlns='storage:bookmarks'/>")


def test_nothing_stored(any_server):
    """XEP-0049, 2; ejabberd's answer: the element as it was asked for"""
    juliet = any_server.stream().login()
    expect(get(juliet, "<exodus a='b' xmlns='exodus:prefs'/>"), "<exodus a='b' xmlns='exodus:prefs'/>")


def test_several_namespaces_in_one_set(any_server):
    """XEP-0049, 2.2; XEP-0083: elements of one namespace stay together"""
    juliet = any_server.stream().login()
    roster = "<roster xmlns='roster:delimiter'>::</roster>"
    prefs = "<a xmlns='exodus:prefs'><b xmlns=''>x</b></a><c xmlns='exodus:prefs'/>"
    stored(juliet, roster + prefs)
    expect(get(juliet, "<roster xmlns='roster:delimiter'/>"), roster)
    expect(get(juliet, "<exodus xmlns='exodus:prefs'/>"), prefs)


def test_of_others(any_server):
    """XEP-0049, 2.2: forbidden, whether they exist or not"""
    juliet, romeo = any_server.pair()
    stored(romeo, BOOKMARKS)
    for to in romeo.bare, f"nobody@{juliet.host}":
        assert xml.error_of(get(juliet, "<x xmlns='storage:bookmarks'/>", to)) == ("auth", "forbidden")
        assert xml.error_of(put(juliet, "<x xmlns='storage:bookmarks'/>", to)) == ("auth", "forbidden")
    expect(get(romeo, "<storage xmlns='storage:bookmarks'/>"), BOOKMARKS)


def test_nothing_named(any_server):
    """XEP-0049, 2.2: neither a get nor a set without an element; a get is for one"""
    juliet = any_server.stream().login()
    for answer in get(juliet, ""), put(juliet, ""), get(juliet, "<a xmlns='a:a'/><b xmlns='b:b'/>"):
        assert xml.error_of(answer) == ("modify", "bad-request")


def test_reserved_namespaces(any_server):
    """XEP-0049, 2.2: not acceptable, and then nothing of the set is stored"""
    juliet = any_server.stream().login()
    for ns in "jabber:iq:roster", "http://jabber.org/protocol/x", "vcard-temp", NS, "", \
            "jabber:ejabberd:banned", "x" * 1001:
        element = f"<vCard xmlns='{ns}'/>"
        assert xml.error_of(get(juliet, element)) == ("modify", "not-acceptable")
        assert xml.error_of(put(juliet, "<a xmlns='a:a'><b/></a>" + element)) == (
            "modify", "not-acceptable")
    expect(get(juliet, "<a xmlns='a:a'/>"), "<a xmlns='a:a'/>")


def test_limits(any_server):
    """Options max_size and max_namespaces, of all that an account keeps"""
    juliet = any_server.stream().login()
    large = "<a xmlns='a:a'>" + 1000 * "x" + "</a>"
    stored(juliet, large)
    stored(juliet, large)  # In place of the first, not beside it.
    full = ("wait", "resource-constraint")
    assert xml.error_of(put(juliet, large.replace("a:a", "a:b"))) == full
    stored(juliet, "<a xmlns='a:a'/>")
    stored(juliet, large.replace("a:a", "a:b"))
    stored(juliet, "<c xmlns='a:c'/><d xmlns='a:d'/>")
    assert xml.error_of(put(juliet, "<a xmlns='a:a'/><e xmlns='a:e'/>")) == full
    expect(get(juliet, "<e xmlns='a:e'/>"), "<e xmlns='a:e'/>")
    stored(juliet, "<a xmlns='a:a'>still</a>")
    expect(get(juliet, "<a xmlns='a:a'/>"), "<a xmlns='a:a'>still</a>")


def test_too_many_at_once(any_server):
    juliet = any_server.stream().login()
    answer = put(juliet, "".join(f"<a xmlns='n:{i}'/>" for i in range(101)))
    assert xml.error_of(answer) == ("modify", "not-acceptable")


def test_commands(any_server):
    """ejabberd's private_get and private_set"""
    juliet = any_server.stream().login()
    assert any_server.ctl("private_get", juliet.user, juliet.host, "storage", "storage:bookmarks") == \
        "<storage xmlns='storage:bookmarks'/>"
    assert any_server.ctl("private_set", juliet.user, juliet.host, BOOKMARKS) == ""
    expect(get(juliet, "<storage xmlns='storage:bookmarks'/>"), BOOKMARKS)
    printed = any_server.ctl("private_get", juliet.user, juliet.host, "storage", "storage:bookmarks")
    assert xml.show(xml.parse(printed)) == xml.show(xml.parse(BOOKMARKS))
    for arguments, reason in (
            (("private_set", juliet.user, juliet.host, "<storage"), "the element is no XML"),
            (("private_set", juliet.user, juliet.host, "<storage/>"), "needs a namespace"),
            (("private_set", "nobody", juliet.host, BOOKMARKS), "not_found: unknown_user"),
            (("private_get", "nobody", juliet.host, "a", "a:a"), "not_found: unknown_user"),
            (("private_get", "juliet", "example.invalid", "a", "a:a"), "Unknown virtual host")):
        status, out, err = any_server.ctl_status(*arguments)
        assert status == 1 and reason in out + err, out + err
    assert "hall@conference" not in any_server.log().partition("runs private_set")[2]


def test_removed_with_the_account(any_server):
    juliet = any_server.stream().login()
    stored(juliet, BOOKMARKS)
    juliet.close()
    any_server.ctl("unregister", juliet.user, juliet.host)
    any_server.register(juliet.user, juliet.host, "other")
    again = any_server.stream().login(password="other")
    expect(get(again, "<storage xmlns='storage:bookmarks'/>"), "<storage xmlns='storage:bookmarks'/>")


def test_features(make_server):
    """XEP-0030: of the server and of accounts"""
    server = make_server(workers=1, config={"modules": {"mod_private": {}, "mod_disco": {}}})
    juliet = server.stream().login()
    for to in juliet.host, juliet.bare:
        answer = juliet.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
        assert NS in [f.get("var") for f in answer[0]]


def test_in_the_middle_of_a_kill(any_server):
    """A set under way when its workers die is done once, and answered"""
    juliet, romeo = any_server.pair()
    for i in range(10):
        for stream in juliet, romeo:
            stream.send(f"<iq type='set' id='k{i}'>" + query(f"<a xmlns='a:a'>{i}</a>") + "</iq>")
        if i in (3, 7):
            any_server.kill_workers()
    for stream in juliet, romeo:
        for i in range(10):
            stream.expect(f"<iq type='result' id='k{i}'/>")
        expect(get(stream, "<a xmlns='a:a'/>"), "<a xmlns='a:a'>9</a>")
