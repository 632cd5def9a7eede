"""Instant messaging with real clients, in two workers: contacts, presence, offline messages,
carbons, archives"""
import pytest

from harness import wait
from harness.clients import Profanity, Slixmpp, Xmppjs
from test_clients import in_two_workers

MODULES = {m: {} for m in ("mod_ping", "mod_disco", "mod_caps", "mod_roster", "mod_offline",
                           "mod_carboncopy", "mod_vcard", "mod_private", "mod_stream_mgmt")}
MODULES["mod_mam"] = {"default": "always"}


@pytest.fixture(scope="module")
def im_server(session_maker):
    return session_maker(workers=2, listen={"starttls_required": True},
                         config={"disable_sasl_mechanisms": ["PLAIN"], "modules": MODULES})


@pytest.fixture
def server(im_server):
    im_server.new_test()
    yield im_server
    im_server.new_test()


def contacts(server, account):
    return dict(line.split("\t")[:1] + [line.split("\t")[2]]
                for line in server.ctl_lines("get_roster", account.user, account.host) if line)


def fetch(c):
    async def roster():
        return await c.client.get_roster()
    c._ask(roster)


def befriend(server, a, b):
    """slixmpp asks, and by its defaults answers and asks back."""
    a.loop.call_soon_threadsafe(lambda: a.client.send_presence_subscription(pto=b.account.bare))
    for x, y in ((a, b), (b, a)):
        wait.until(lambda x=x, y=y: contacts(server, x.account).get(y.account.bare) == "both",
                   "a subscription in both directions")


def test_slixmpp_contacts_and_presence(server):
    """RFC 6121, 2 to 4"""
    juliet, romeo = server.account("juliet"), server.account("romeo")
    a, b = in_two_workers(server, lambda: Slixmpp(server, juliet), lambda: Slixmpp(server, romeo))
    try:
        for x in (a, b):
            fetch(x)
        befriend(server, a, b)

        async def named():
            return await a.client.update_roster(romeo.bare, name="Romeo", groups=["Montague"])
        a._ask(named)
        roster = server.ctl("get_roster", juliet.user, juliet.host)
        assert "Romeo" in roster and "Montague" in roster
        a.loop.call_soon_threadsafe(lambda: a.client.send_presence(pshow="dnd", pstatus="Busy"))
        wait.until(lambda: any(r.get("status") == "Busy" for r in
                               b.client.client_roster[juliet.bare].resources.values()),
                   "the status to be seen")
    finally:
        a.stop()
        b.stop()


def test_slixmpp_carbons_and_offline_messages(server):
    """XEP-0280, XEP-0160: another client of Juliet's hears, and what came while she was away"""
    juliet, romeo = server.account("juliet"), server.account("romeo")
    a, b = in_two_workers(server, lambda: Slixmpp(server, juliet), lambda: Slixmpp(server, romeo))
    other = Xmppjs(server, juliet).start()
    try:
        other.send("iq", {"type": "set", "id": "c"}, ["enable", {"xmlns": "urn:xmpp:carbons:2"}])
        other.stanza(lambda name, attrs, text: name == "iq" and attrs["id"] == "c"
                     and attrs["type"] == "result")
        b.say(a.full, "to one of them")
        a.heard(romeo.bare, "to one of them")
        text = other.stanza(lambda name, attrs, text: name == "message" and "to one of them" in text)
        assert "urn:xmpp:carbons:2" in text and "received" in text and "forwarded" in text
        a.say(romeo.bare, "from one of them")
        b.heard(juliet.bare, "from one of them")
        text = other.stanza(lambda name, attrs, text: name == "message" and "from one of them" in text)
        assert "<sent" in text
        a.stop()
        other.stop()
        wait.until(lambda: server.ctl("num_resources", juliet.user, juliet.host) == "0",
                   "juliet to be away")
        for i in range(3):
            b.say(juliet.bare, f"while away {i}")
        wait.until(lambda: server.ctl("get_offline_count", juliet.user, juliet.host) == "3",
                   "three messages to be stored")
        a = Slixmpp(server, juliet).start()
        for i in range(3):
            a.heard(romeo.bare, f"while away {i}")
        wait.until(lambda: server.ctl("get_offline_count", juliet.user, juliet.host) == "0",
                   "none to be left")
    finally:
        a.stop()
        b.stop()


def test_xmppjs_contacts_and_archive(server):
    """RFC 6121, 2; XEP-0313"""
    juliet, romeo = server.account("juliet"), server.account("romeo")
    a, b = in_two_workers(server, lambda: Xmppjs(server, juliet), lambda: Xmppjs(server, romeo))
    try:
        roster = {"xmlns": "jabber:iq:roster"}
        a.send("iq", {"type": "get", "id": "r"}, ["query", roster])
        a.stanza(lambda name, attrs, text: attrs.get("id") == "r" and attrs["type"] == "result")
        a.send("iq", {"type": "set", "id": "s"},
               ["query", roster, ["item", {"jid": romeo.bare, "name": "Romeo"}]])
        a.stanza(lambda name, attrs, text: attrs.get("type") == "set" and "Romeo" in text)
        assert romeo.bare in contacts(server, juliet)
        a.say(romeo.bare, "for the archive")
        b.heard(juliet.bare, "for the archive")
        wait.until(lambda: server.ctl("get_mam_count", romeo.user, romeo.host) == "1",
                   "it to be in the archive")
        b.send("iq", {"type": "set", "id": "m"}, ["query", {"xmlns": "urn:xmpp:mam:2"}])
        text = b.stanza(lambda name, attrs, text: name == "message" and "urn:xmpp:mam:2" in text
                        and "<result" in text)
        assert "for the archive" in text and "urn:xmpp:delay" in text
        b.stanza(lambda name, attrs, text: attrs.get("id") == "m" and attrs["type"] == "result")
    finally:
        a.stop()
        b.stop()


def test_profanity_contacts_and_offline_messages(server):
    """RFC 6121, 2 and 3; XEP-0160"""
    juliet, romeo = server.account("juliet"), server.account("romeo")
    b = Slixmpp(server, romeo).start()
    fetch(b)
    b.say(juliet.bare, "before she came")
    wait.until(lambda: server.ctl("get_offline_count", juliet.user, juliet.host) == "1",
               "the message to be stored")
    a = Profanity(server, juliet).start()
    try:
        a.heard(romeo.bare, "before she came")
        a._type(f"/roster add {romeo.bare} Montague")
        wait.until(lambda: romeo.bare in contacts(server, juliet), "romeo to be a contact")
        a._type(f"/sub request {romeo.bare}")
        wait.until(lambda: contacts(server, juliet).get(romeo.bare) in ("to", "both"),
                   "juliet to be subscribed")
        a._type(f"/sub allow {romeo.bare}")
        wait.until(lambda: contacts(server, juliet).get(romeo.bare) == "both",
                   "both to be subscribed")
        assert "Montague" in server.ctl("get_roster", juliet.user, juliet.host)
    finally:
        a.stop()
        b.stop()
