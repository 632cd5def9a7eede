"""vCards: XEP-0054, avatars in presence: XEP-0153; over two workers, on both databases"""
import base64
import hashlib

import pytest

from harness import roster, xml
from harness.database import sql

NS = "vcard-temp"
CARD = ("<vCard xmlns='vcard-temp'><FN>Juliet Capulet É &amp; co</FN><N><FAMILY>Capulet</FAMILY>"
        "<GIVEN>Juliet</GIVEN><MIDDLE>Ä.</MIDDLE></N><NICKNAME>Jule 🌹</NICKNAME><BDAY>1597-07-31</BDAY>"
        "<EMAIL><INTERNET/><USERID>Juliet@Example.com</USERID></EMAIL><ORG><ORGNAME>House</ORGNAME>"
        "<ORGUNIT>Daughters</ORGUNIT></ORG><ADR><HOME/><LOCALITY>Verona</LOCALITY><CTRY>Italia</CTRY></ADR>"
        "<DESC>multi\nline &apos;q&apos;</DESC></vCard>")
NONE = "<vCard xmlns='vcard-temp'/>"
MODULES = {"mod_ping": {}, "mod_disco": {}, "mod_roster": {}, "mod_vcard_xupdate": {},
           "mod_vcard": {"max_size": 5000, "vcard": {
               "fn": "Example & Sons", "org": {"name": "Sons", "units": ["one", "two"]}, "url": "http://x/",
               "adr": [{"work": True, "home": False, "ctry": "Italy"}], "class": "public",
               "categories": ["a", "b"], "sort_string": "E"}}}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config={"modules": MODULES}, database=request.param)


def get(stream, to=None):
    return stream.request(NONE, to=to)


def put(stream, card, to=None):
    answer = stream.request(card, "set", to)
    assert answer.get("type") == "result" and len(answer) == 0, xml.show(answer)


def is_card(answer, card):
    assert answer.get("type") == "result", xml.show(answer)
    assert xml.show(answer[0]) == xml.show(xml.parse(card))


def image(n):
    return bytes([137, 80, 78, 71, n]) * 40


def photo(n):
    """A vCard with a photo; base64 in lines, as clients send it (XEP-0153, 4.4)."""
    text = base64.encodebytes(image(n)).decode()
    return f"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>\n{text}</BINVAL></PHOTO></vCard>"


def update(n=None):
    """What presence says (XEP-0153, 3.1); n None: there is no photo."""
    inner = "<photo/>" if n is None else f"<photo>{hashlib.sha1(image(n)).hexdigest()}</photo>"
    return f"<x xmlns='vcard-temp:x:update'>{inner}</x>"


def said(stanza):
    """The one update that there must be, as text."""
    found = stanza.findall("{vcard-temp:x:update}x")
    assert len(found) == 1, xml.show(stanza)
    return found[0][0].text


def sha(n):
    return hashlib.sha1(image(n)).hexdigest()


# XEP-0054

def test_one_s_own(server):
    """3.1, 3.2: stored as it was sent; with and without an address; in both workers"""
    slots = sorted(server.worker_connections())
    one, two = (server.stream("juliet", worker=s).login() for s in slots[:2])
    is_card(get(one), NONE)
    put(one, CARD)
    for stream in one, two:
        is_card(get(stream), CARD)
        is_card(get(stream, stream.bare), CARD)
    put(two, NONE, two.bare)
    is_card(get(one), NONE)


def test_of_others(server):
    """3.3: anybody may read it; set is forbidden"""
    juliet, romeo = server.pair()
    put(romeo, CARD)
    is_card(get(juliet, romeo.bare), CARD)
    answer = juliet.request(NONE, "set", romeo.bare)
    assert xml.error_of(answer) == ("auth", "forbidden")
    is_card(get(juliet, romeo.bare), CARD)


def test_none(server):
    """3.3: who has none cannot be told from who is not there"""
    juliet, romeo = server.pair()
    for to in romeo.bare, f"nobody@{juliet.host}":
        assert xml.error_of(get(juliet, to)) == ("cancel", "service-unavailable")


def test_of_the_server(server):
    """Option vcard, in ejabberd's form"""
    juliet = server.stream().login()
    is_card(get(juliet, juliet.host), (
        "<vCard xmlns='vcard-temp'><FN>Example &amp; Sons</FN><ORG><ORGNAME>Sons</ORGNAME><ORGUNIT>one</ORGUNIT>"
        "<ORGUNIT>two</ORGUNIT></ORG><URL>http://x/</URL><ADR><WORK/><CTRY>Italy</CTRY></ADR><CLASS><PUBLIC/></CLASS>"
        "<CATEGORIES><KEYWORD>a</KEYWORD><KEYWORD>b</KEYWORD></CATEGORIES><SORT-STRING>E</SORT-STRING></vCard>"))
    assert xml.error_of(juliet.request(NONE, "set", juliet.host)) == ("auth", "forbidden")


def test_too_large(server):
    """Option max_size: refused, and the one before stays"""
    juliet = server.stream().login()
    put(juliet, CARD)
    large = f"<vCard xmlns='vcard-temp'><DESC>{'x' * 5000}</DESC></vCard>"
    assert xml.error_of(juliet.request(large, "set")) == ("modify", "policy-violation")
    is_card(get(juliet), CARD)


def test_another_element(server):
    """RFC 6120, 8.4: what is no vCard is unknown"""
    juliet = server.stream().login()
    answer = juliet.request("<card xmlns='vcard-temp'/>", "set")
    assert xml.error_of(answer) == ("cancel", "service-unavailable")


def test_features(server):
    """4: of the server and of accounts"""
    juliet = server.stream().login()
    for to in juliet.host, juliet.bare:
        answer = juliet.request("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
        assert NS in [f.get("var") for f in answer[0]]


COLUMNS = ("username lusername fn lfn family lfamily given lgiven middle lmiddle nickname lnickname bday "
           "lbday ctry lctry locality llocality email lemail orgname lorgname orgunit lorgunit").split()


def test_rows_as_ejabberd_writes_them(server):
    juliet = server.stream().login()
    put(juliet, CARD)
    (card,), = sql(server, "select vcard from vcard where username = ?", juliet.user)
    assert xml.show(xml.parse(card)) == xml.show(xml.parse(CARD)) and card.startswith("<vCard xmlns=")
    row, = sql(server, f"select {', '.join(COLUMNS)} from vcard_search where lusername = ?", juliet.user)
    assert row == (juliet.user, juliet.user, "Juliet Capulet É & co", "juliet capulet é & co", "Capulet",
                   "capulet", "Juliet", "juliet", "Ä.", "ä.", "Jule 🌹", "jule 🌹", "1597-07-31",
                   "1597-07-31", "Italia", "italia", "Verona", "verona", "Juliet@Example.com",
                   "juliet@example.com", "House", "house", "Daughters", "daughters")


def test_removed_with_the_account(server):
    juliet = server.stream().login()
    put(juliet, CARD)
    juliet.close()
    server.ctl("unregister", juliet.user, juliet.host)
    for table, column in ("vcard", "username"), ("vcard_search", "lusername"):
        assert sql(server, f"select 1 from {table} where {column} = ?", juliet.user) == []


def test_commands(server):
    """ejabberd's get_vcard, set_vcard and their like"""
    juliet = server.stream().login()
    who = juliet.user, juliet.host
    status, out, err = server.ctl_status("get_vcard", *who, "FN")
    assert status == 1 and "error_no_vcard_found" in out + err
    server.ctl("set_nickname", *who, "Jule")
    is_card(get(juliet), "<vCard xmlns='vcard-temp'><NICKNAME>Jule</NICKNAME></vCard>")
    put(juliet, CARD)
    assert server.ctl("get_vcard", *who, "FN") == "Juliet Capulet É & co"
    assert server.ctl("get_vcard2", *who, "N", "FAMILY") == "Capulet"
    status, out, err = server.ctl_status("get_vcard2", *who, "N", "PREFIX")
    assert status == 1 and "error_no_value_found_in_vcard" in out + err
    server.ctl("set_vcard", *who, "FN", "Giulietta <3")
    server.ctl("set_vcard2", *who, "N", "FAMILY", "Montague")
    server.ctl("set_vcard2_multi", *who, "ORG", "ORGUNIT", "one,two,three")
    assert server.ctl("get_vcard", *who, "FN") == "Giulietta <3"
    assert server.ctl_lines("get_vcard2_multi", *who, "ORG", "ORGUNIT") == ["one", "two", "three"]
    card = get(juliet)[0]
    assert card.find(f"{{{NS}}}N/{{{NS}}}FAMILY").text == "Montague"
    assert card.find(f"{{{NS}}}N/{{{NS}}}GIVEN").text == "Juliet"
    (name,), = sql(server, "select lfamily from vcard_search where lusername = ?", juliet.user)
    assert name == "montague"
    for arguments, reason in ((("set_vcard", *who, "<FN>", "x"), "no field of a vCard"),
                              (("set_vcard", *who, "FN", "x" * 5000), "too large"),
                              (("get_vcard", "nobody", juliet.host, "FN"), "unknown_user"),
                              (("set_nickname", "nobody", juliet.host, "x"), "unknown_user")):
        status, out, err = server.ctl_status(*arguments)
        assert status == 1 and reason in out + err, out + err


def test_in_the_middle_of_a_kill(server):
    """A set under way when its workers die is done once, and answered"""
    juliet, romeo = server.pair()
    for i in range(6):
        for stream in juliet, romeo:
            stream.send(f"<iq type='set' id='k{i}'><vCard xmlns='vcard-temp'><FN>{i}</FN></vCard></iq>")
        if i in (2, 4):
            server.kill_workers()
    for stream in juliet, romeo:
        for i in range(6):
            stream.expect(f"<iq type='result' id='k{i}'/>")
        is_card(get(stream), "<vCard xmlns='vcard-temp'><FN>5</FN></vCard>")


# XEP-0153

def test_presence_without_a_photo(server):
    """3.1: an empty element; nothing else of the presence changes"""
    juliet = server.stream().login()
    juliet.presence(inner="<show>away</show>")
    got = juliet.expect(f"<presence><show>away</show>{update()}</presence>")
    assert said(got) is None
    juliet.send("<presence type='unavailable'/>")
    got = juliet.expect("<presence type='unavailable'/>")
    assert got.find("{vcard-temp:x:update}x") is None


def test_presence_with_a_photo(server):
    """3.1: read with the account; in place of what the client says"""
    juliet = server.stream().login()
    put(juliet, photo(1))
    for inner in "", update(9), "<x xmlns='vcard-temp:x:update'/>":
        juliet.presence(inner=inner)
        assert said(juliet.expect("<presence/>")) == sha(1)
    juliet.close()
    again = server.stream().login()
    again.presence()
    assert said(again.expect("<presence/>")) == sha(1)


def test_another_photo(server):
    """Whoever sees the presence hears of it, in all workers; resources that are not available do not"""
    juliet, romeo = (roster.online(s) for s in server.pair("juliet", "romeo"))
    roster.befriend(juliet, romeo)
    slots = sorted(server.worker_connections())
    other = server.stream("juliet", worker=slots[1]).login()
    for card, hash_text in ((photo(1), sha(1)), (photo(2), sha(2)), (CARD, None)):
        i = juliet.next_id()
        juliet.send(f"<iq type='set' id='{i}'>{card}</iq>")
        juliet.expect_any_order(f"<iq type='result' id='{i}'/>", f"<presence from='{juliet.full}'/>")
        assert said(romeo.expect(f"<presence from='{juliet.full}'/>")) == hash_text
    put(juliet, CARD.replace("Verona", "Mantua"))  # Not another photo.
    romeo.expect_nothing()
    other.presence()
    for got in other.expect_any_order(*(f"<presence from='{s.full}'/>" for s in (juliet, other))):
        assert said(got) is None


def test_presence_to_somebody(server):
    """3.1: directed presence has it, too"""
    juliet, romeo = server.pair("juliet", "romeo", until="online")
    put(juliet, photo(3))
    juliet.expect("<presence/>")
    juliet.send(f"<presence to='{romeo.full}'/>")
    assert said(romeo.expect(f"<presence from='{juliet.full}'/>")) == sha(3)
    juliet.send(f"<presence type='unavailable' to='{romeo.full}'/>")
    got = romeo.expect(f"<presence from='{juliet.full}' type='unavailable'/>")
    assert got.find("{vcard-temp:x:update}x") is None


@pytest.mark.parametrize("text", ["<PHOTO/>", "<PHOTO><BINVAL/></PHOTO>", "<PHOTO><BINVAL>!!!!</BINVAL></PHOTO>",
                                  "<PHOTO><EXTVAL>http://x/</EXTVAL></PHOTO>"])
def test_photos_that_are_none(server, text):
    juliet = server.stream().login()
    put(juliet, f"<vCard xmlns='vcard-temp'>{text}</vCard>")
    juliet.presence()
    assert said(juliet.expect("<presence/>")) is None
    juliet.close()
    again = server.stream().login()
    again.presence()
    assert said(again.expect("<presence/>")) is None


def test_a_photo_by_command(server):
    """set_vcard2 is a change as any other"""
    juliet = server.stream().login(until="online")
    server.ctl("set_vcard2", juliet.user, juliet.host, "PHOTO", "BINVAL", base64.b64encode(image(4)).decode())
    assert said(juliet.expect("<presence/>")) == sha(4)


def test_kill_between_photo_and_presence(server):
    """The hash is true for presence after a kill"""
    juliet = server.stream().login(until="online")
    i = juliet.next_id()
    juliet.send(f"<iq type='set' id='{i}'>{photo(5)}</iq>")
    server.kill_workers()
    juliet.expect_any_order(f"<iq type='result' id='{i}'/>", "<presence/>")
    juliet.presence(inner="<show>dnd</show>")
    assert said(juliet.expect("<presence><show>dnd</show></presence>")) == sha(5)
