"""Message archives beside what else happens to messages: offline storage, carbons, contacts,
stream management, discovery"""
import pytest

from harness import database, mam, roster, wait, xml
from test_sm import enable as sm_enable
from test_sm import resume

CARBONS = "urn:xmpp:carbons:2"
MODULES = {"mod_ping": {}, "mod_disco": {}, "mod_roster": {}, "mod_offline": {}, "mod_carboncopy": {},
           "mod_mam": {"default": "always"}}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config={"modules": MODULES}, database=request.param)


def test_offline_storage_and_archive(server):
    """Both keep it, under one id; what is given out later is not archived again"""
    juliet, romeo = server.stream("juliet").login(until="online"), server.account("romeo")
    for i in range(3):
        juliet.send(f"<message to='{romeo.bare}' type='chat' id='m{i}'><body>{i}</body></message>")
    rows = mam.wait_rows(server, romeo, 3, "timestamp, origin_id")
    spool = wait.until(lambda: (lambda r: len(r) == 3 and r)(database.rows(
        server, "select xml from spool where username = ? order by seq", romeo.user)), "the stored ones")
    for (stamp, _), (text,) in zip(rows, spool):
        assert mam.stanza_id(xml.parse(text), romeo.bare) == str(stamp)
    s = server.stream("romeo").login()
    s.presence()
    got = [s.next() for _ in range(4)]
    messages = [g for g in got if g.tag == f"{mam.CLIENT}message"]
    assert [(m.get("id"), mam.stanza_id(m, s.bare)) for m in messages] == [(n, str(t)) for t, n in rows]
    found = mam.page(s)
    assert found.ids == [str(t) for t, _ in rows]
    assert all(f.find("{urn:xmpp:delay}delay").get("stamp") for f in found.forwarded)
    assert all(m.find("{urn:xmpp:delay}delay") is None for m in found.messages)


def test_carbons_know_the_ids(server):
    """XEP-0313, 3.5: a copy of what was sent has the sender's id, of what came the recipient's"""
    juliet, romeo = server.pair(until="online")
    other = server.stream("juliet", worker=romeo.worker, resource="other").login()
    third = server.stream("romeo", worker=juliet.worker, resource="third").login()
    for s in (other, third):
        assert s.request(f"<enable xmlns='{CARBONS}'/>", "set").get("type") == "result"
    juliet.send(f"<message to='{romeo.full}' type='chat'><body>b</body></message>")
    told = mam.stanza_id(romeo.expect("<message><body>b</body></message>"), romeo.bare)
    forwarded = f"/{{{mam.NS_FORWARD}}}forwarded/{mam.CLIENT}message"
    sent = other.next().find(f"{{{CARBONS}}}sent{forwarded}")
    received = third.next().find(f"{{{CARBONS}}}received{forwarded}")
    assert mam.stanza_id(received, romeo.bare) == told == str(mam.wait_rows(server, romeo, 1)[0][0])
    assert mam.stanza_id(sent, juliet.bare) == str(mam.wait_rows(server, juliet, 1)[0][0])
    assert mam.stanza_id(sent, romeo.bare) is None and mam.stanza_id(received, juliet.bare) is None


def test_only_with_contacts(server):
    """XEP-0441, 1.1.1: default='roster', by a subscription in whatever direction"""
    juliet, romeo = (roster.online(s) for s in server.pair())
    for s in (juliet, romeo):
        assert s.request(f"<prefs xmlns='{mam.NS}' default='roster'/>", "set").get("type") == "result"

    def kept(a, b):
        i = a.next_id()
        a.send(f"<message to='{b.bare}' type='chat' id='{i}'><body>b</body></message>")
        return mam.stanza_id(b.expect(f"<message id='{i}'/>"), b.bare) is not None

    wait.until(lambda: not kept(juliet, romeo), "strangers not to be kept")
    wait.until(lambda: not kept(romeo, juliet), "strangers not to be kept")
    roster.change(juliet, roster.item(romeo.bare, name="Romeo"))
    assert not kept(romeo, juliet)  # on the list, but without a subscription
    roster.befriend(juliet, romeo)
    before = len(mam.page(juliet, {"max": 250}).ids)
    assert kept(romeo, juliet) and kept(juliet, romeo)
    wait.until(lambda: len(mam.page(juliet, {"max": 250}).ids) == before + 2, "both messages")


@pytest.mark.parametrize("assumed", [False, True])
@pytest.mark.parametrize("stored", [False, True])
def test_what_was_not_acknowledged(make_server, assumed, stored):
    """assume_mam_usage: what is in the archive is not stored or sent again"""
    modules = {"mod_ping": {}, "mod_stream_mgmt": {"resume_timeout": 1},
               "mod_mam": {"default": "always", "assume_mam_usage": assumed}}
    if stored:
        modules["mod_offline"] = {}
    server = make_server(config={"modules": modules})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = sm_enable(juliet)
    juliet.abort()
    romeo.send(f"<message to='{juliet.full}' type='chat' id='m'><body>?</body></message>")
    rows = mam.wait_rows(server, juliet, 1)
    wait.until(lambda: server.ctl("num_resources", juliet.user, juliet.host) == "0", "the session to end")
    romeo.expect_nothing()  # it is in the archive: no error
    spool = "select count(*) from spool where username = ?"
    n = 1 if stored and not assumed else 0
    wait.until(lambda: database.rows(server, spool, juliet.user) == [(n,)], f"{n} stored")
    _, answer = resume(server, "juliet", previd, 0)
    assert answer.tag.endswith("}failed")
    assert mam.rows(server, juliet) == rows


def test_resumed_sessions_get_it_once(make_server):
    """With the id of its row"""
    server = make_server(config={"modules": {**MODULES, "mod_stream_mgmt": {}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = sm_enable(juliet)
    juliet.abort()
    romeo.send(f"<message to='{juliet.full}' type='chat' id='m'><body>?</body></message>")
    row, = mam.wait_rows(server, juliet, 1)
    s, answer = resume(server, "juliet", previd, 0)
    assert answer.tag.endswith("}resumed")
    assert mam.stanza_id(s.expect("<message id='m'/>"), juliet.bare) == str(row[0])
    assert len(mam.rows(server, juliet)) == 1


def test_discovery(server):
    """7: at the account's address, for its owner"""
    juliet = server.stream("juliet").login(until="online")

    def features(to):
        answer = juliet.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
        return {f.get("var") for f in answer[0] if f.tag.endswith("}feature")}

    wanted = {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:mam:2#groupchat-field", "urn:xmpp:sid:0"}
    assert wanted <= features(juliet.bare)
    assert not wanted & features(juliet.host)
