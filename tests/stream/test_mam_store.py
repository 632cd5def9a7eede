"""Message archives: what is kept, and under which id (XEP-0313, XEP-0359)"""
import pytest

from harness import database, mam, wait, xml

MODULES = {"mod_ping": {}, "mod_mam": {"default": "always"}}
CONFIG = {"modules": MODULES}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config=CONFIG, database=request.param)


def chat(a, b, body="Wherefore?", inner="", to=None, attributes="type='chat' id='m1'"):
    """From a to b; what b gets."""
    a.send(f"<message to='{to or b.bare}' {attributes}><body>{body}</body>{inner}</message>")
    return b.expect(f"<message from='{a.full}'><body>{body}</body></message>")


def test_both_sides_have_a_row_and_the_recipient_its_id(server):
    """3.5: <stanza-id/>, by the account; the rows as ejabberd writes them"""
    juliet, romeo = server.pair(until="online", lang="en")
    got = chat(juliet, romeo, "Hi &lt;R&gt; é 🌹", "<origin-id xmlns='urn:xmpp:sid:0' id='o-1'/>")
    sent, = mam.wait_rows(server, juliet, 1)
    received, = mam.wait_rows(server, romeo, 1)
    assert str(received[0]) == mam.stanza_id(got, romeo.bare)
    assert mam.stanza_id(got, juliet.bare) is None
    assert sent[1:3] == (romeo.bare, romeo.bare)
    assert received[1:3] == (juliet.full, juliet.bare)
    for row in (sent, received):
        assert row[4:] == ("Hi <R> é 🌹", "chat", "", "o-1")
        xml.matches(xml.pattern(
            f"<message from='{juliet.full}' to='{romeo.bare}' type='chat' id='m1' xml:lang='en'>"
            "<body>Hi &lt;R&gt; é 🌹</body></message>"), xml.parse(row[3]))
        assert "stanza-id" not in row[3] and "xmlns='jabber:client'" in row[3]
    assert abs(sent[0] - received[0]) < 60_000_000 and sent[0] != received[0]


def test_to_a_full_address(server):
    """The sender's peer is `to` as it was sent; kind is chat for type normal, too"""
    juliet, romeo = server.pair(until="online")
    chat(juliet, romeo, to=romeo.full, attributes="")
    assert mam.wait_rows(server, juliet, 1)[0][1:3] == (romeo.full, romeo.bare)
    assert mam.wait_rows(server, romeo, 1)[0][5] == "chat"


def test_without_origin_id_the_stanzas_own_id_counts(server):
    juliet, romeo = server.pair(until="online")
    chat(juliet, romeo, attributes="type='chat' id='stanza'")
    chat(juliet, romeo, attributes="type='chat'")
    assert [r[7] for r in mam.wait_rows(server, romeo, 2)] == ["stanza", ""]


def test_to_oneself_there_are_two_rows(server):
    juliet = server.stream("juliet").login(until="online")
    got = chat(juliet, juliet)
    rows = mam.wait_rows(server, juliet, 2)
    assert [r[1] for r in sorted(rows, key=lambda r: r[1])] == [juliet.bare, juliet.full]
    assert mam.stanza_id(got, juliet.bare) == str(next(r[0] for r in rows if r[1] == juliet.full))


def test_all_devices_get_the_same_id(server):
    """6.1.1: once in the archive, whoever gets a copy"""
    juliet = server.stream("juliet").login(until="online")
    a = server.stream("romeo", worker=0).login(until="online")
    b = server.stream("romeo", worker=1).login(until="online")
    a.expect(f"<presence from='{b.full}'/>")
    b.expect(f"<presence from='{a.full}'/>")
    juliet.send(f"<message to='{a.bare}' type='chat'><body>Both</body></message>")
    ids = {mam.stanza_id(s.expect("<message><body>Both</body></message>"), a.bare) for s in (a, b)}
    assert {str(r[0]) for r in mam.wait_rows(server, a, 1)} == ids
    assert len(mam.rows(server, a)) == 1


# kept?, what is in it
KEPT = [
    (True, "type='chat'", "<body>b</body>"),
    (True, "", "<subject>Only a subject</subject>"),
    (True, "type='chat'", "<store xmlns='urn:xmpp:hints'/>"),
    (True, "type='headline'", "<body>b</body><store xmlns='urn:xmpp:hints'/>"),
    (True, "type='chat'", "<retract id='x' xmlns='urn:xmpp:message-retract:1'/>"),
    (False, "type='chat'", "<body>b</body><no-store xmlns='urn:xmpp:hints'/>"),
    (False, "type='chat'", "<body>b</body><no-permanent-store xmlns='urn:xmpp:hints'/>"),
    (False, "type='chat'", "<active xmlns='http://jabber.org/protocol/chatstates'/>"),
    (False, "type='chat'", "<received id='x' xmlns='urn:xmpp:receipts'/>"),
    (False, "type='chat'", "<body/>"),
    (False, "type='headline'", "<body>b</body>"),
    (False, "type='groupchat'", "<body>b</body>"),
    (False, "type='error'", "<body>b</body><error type='cancel'><gone xmlns='"
     "urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"),
]


def test_which_messages_are_kept(server):
    """6.1.1, XEP-0334, and what ejabberd does"""
    juliet, romeo = server.pair(until="online")
    for i, (kept, attributes, inner) in enumerate(KEPT):
        juliet.send(f"<message to='{romeo.full}' id='k{i}' {attributes}>{inner}</message>")
        got = romeo.expect(f"<message id='k{i}'/>")
        assert (mam.stanza_id(got, romeo.bare) is not None) == kept, (attributes, inner)
    wanted = [f"k{i}" for i, case in enumerate(KEPT) if case[0]]
    for side in (juliet, romeo):
        rows = mam.wait_rows(server, side, len(wanted))
        assert [r[7] for r in rows] == wanted


def test_what_is_bounced_is_not_in_the_recipients_archive(server):
    """6.1: rejected messages are not archived where they were rejected"""
    juliet, romeo = server.pair(until="online")
    juliet.send(f"<message to='{romeo.bare}/gone'><body>b</body></message>")
    juliet.expect("<message type='error'><error><service-unavailable/></error></message>")
    chat(juliet, romeo)
    assert len(mam.wait_rows(server, romeo, 1)) == 1


def test_without_offline_storage_the_archive_is_enough(server):
    """As in ejabberd: no error for a message to somebody absent that is archived"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.account("romeo")
    juliet.send(f"<message to='{romeo.bare}' type='chat'><body>Later</body></message>")
    juliet.send(f"<message to='{romeo.bare}' type='chat'><body>b</body>"
                "<no-store xmlns='urn:xmpp:hints'/></message>")
    juliet.expect("<message type='error'><error><service-unavailable/></error></message>")
    assert [r[4] for r in mam.wait_rows(server, romeo, 1)] == ["Later"]


def test_to_nobody(server):
    """An account that does not exist has no archive; the sender has said it all the same"""
    juliet = server.stream("juliet").login(until="online")
    juliet.send("<message to='nobody@example.net' type='chat'><body>b</body></message>")
    juliet.expect("<message type='error'><error><service-unavailable/></error></message>")
    mam.wait_rows(server, juliet, 1)
    assert database.rows(server, "select 1 from archive where username = 'nobody'") == []


def test_forged_ids_are_removed(server):
    """XEP-0359, 3, rule 2: by whomever of ours they claim to be; others stay"""
    juliet, romeo = server.pair(until="online")
    sid = "<stanza-id xmlns='urn:xmpp:sid:0' by='{}' id='{}'/>"
    juliet.send(f"<message to='{romeo.bare}' type='chat'><body>b</body>"
                + sid.format(romeo.bare, 1) + sid.format(juliet.bare, 2)
                + sid.format(romeo.bare.upper(), 3) + sid.format("room@elsewhere.example", 4)
                + "<archived xmlns='urn:xmpp:mam:tmp' by='" + romeo.bare + "' id='5'/></message>")
    got = romeo.expect("<message><body>b</body></message>")
    ids = [(e.get("by"), e.get("id")) for e in got if e.tag.endswith("}stanza-id")
           or e.tag.endswith("}archived")]
    row, = mam.wait_rows(server, romeo, 1)
    assert sorted(ids) == sorted([("room@elsewhere.example", "4"), (romeo.bare, str(row[0]))])
    assert "id='4'" in row[3] and "id='1'" not in row[3] and "id='3'" not in row[3]


def test_ids_are_unique_and_rise(server):
    """One archive, written by two workers at a time"""
    juliet, romeo = server.pair(until="online")
    nurse = server.stream("nurse").login(until="online")
    n = 100
    for i in range(n):
        juliet.send(f"<message to='{nurse.bare}' type='chat' id='j{i}'><body>{i}</body></message>")
        romeo.send(f"<message to='{nurse.bare}' type='chat' id='r{i}'><body>{i}</body></message>")
    ids = {}
    for _ in range(2 * n):
        got = nurse.expect("<message type='chat'/>")
        ids[got.get("id")] = int(mam.stanza_id(got, nurse.bare))
    assert len(set(ids.values())) == 2 * n
    for who in "jr":
        own = [ids[f"{who}{i}"] for i in range(n)]
        assert own == sorted(own)
    assert {r[0]: r[7] for r in mam.wait_rows(server, nurse, 2 * n)} == \
        {stamp: name for name, stamp in ids.items()}


def test_a_message_that_is_too_large_for_a_row(make_server):
    """It arrives all the same"""
    server = make_server(workers=1, config={"modules": MODULES}, listen={"max_stanza_size": 6000000})
    juliet, romeo = server.stream("juliet").login(until="online"), server.stream("romeo").login(until="online")
    body = "x" * 2_000_000
    got = chat(juliet, romeo, body)
    assert mam.stanza_id(got, romeo.bare) is None
    got = chat(juliet, romeo, "small")
    assert mam.stanza_id(got, romeo.bare) is not None
    assert [r[4] for r in mam.wait_rows(server, romeo, 1)] == ["small"]


def test_never_is_the_default(make_server):
    """As in ejabberd"""
    server = make_server(workers=1, config={"modules": {"mod_ping": {}, "mod_mam": {}}})
    juliet, romeo = server.stream("juliet").login(until="online"), server.stream("romeo").login(until="online")
    assert mam.stanza_id(chat(juliet, romeo), romeo.bare) is None
    assert server.counter("archived") == 0


@pytest.mark.parametrize("database_kind", ["sqlite", "pgsql"])
def test_in_one_database_for_all_hosts(make_server, database_kind):
    """sql_schema_multihost: server_host tells the archives of two namesakes apart"""
    config = {"modules": MODULES, "sql_schema_multihost": True, "default_db": "sql",
              "auth_method": "sql"}
    if database_kind == "sqlite":
        config["sql_type"] = "sqlite"
        config["sql_database"] = "@DATABASE_PATH@/sqlite/all.sqlite"
    server = make_server(hosts=("example.net", "example.org"), database=database_kind, config=config)
    juliet = server.stream("juliet", "example.net").login(until="online")
    other = server.stream("juliet", "example.org").login(until="online")
    got = chat(juliet, other)
    found = mam.page(other)
    assert found.ids == [mam.stanza_id(got, other.bare)]
    assert mam.page(juliet).bodies == ["Wherefore?"] and mam.page(juliet).ids != found.ids


def test_a_table_of_an_older_ejabberd(make_server):
    """Up to 23.10 there is no origin_id; update_sql_schema: false leaves it so"""
    server = make_server(workers=1, database="pgsql", config={"modules": MODULES})
    server.register("first")  # answered when the schema is complete
    server.stop()
    database.change(server, "alter table archive drop column origin_id")
    server.write_config(update_sql_schema=False)
    server.start()
    juliet, romeo = server.stream("juliet").login(until="online"), server.stream("romeo").login(until="online")
    got = chat(juliet, romeo)
    mam.wait_rows(server, romeo, 1, "timestamp, peer, bare_peer, xml, txt, kind, nick")
    assert mam.page(romeo).ids == [mam.stanza_id(got, romeo.bare)]


def test_an_account_that_goes_takes_its_archive_with_it(server):
    juliet, romeo = server.pair(until="online")
    chat(juliet, romeo)
    romeo.request(f"<prefs xmlns='{mam.NS}' default='always'/>", "set")
    mam.wait_rows(server, romeo, 1)
    server.ctl("unregister", romeo.user, romeo.host)
    assert mam.rows(server, romeo) == []
    assert database.rows(server, "select 1 from archive_prefs where username = ?", romeo.user) == []
    assert len(mam.rows(server, juliet)) == 1


def test_the_database_may_be_away_for_a_while(make_server):
    """Messages go on; their rows follow"""
    server = make_server(database="pgsql", config={"modules": MODULES})
    juliet, romeo = server.pair(until="online")
    chat(juliet, romeo, "before")
    mam.wait_rows(server, romeo, 1)
    server.cluster.stop()
    try:
        got = [chat(juliet, romeo, f"away {i}") for i in range(20)]
    finally:
        server.cluster.start()
    rows = wait.until(lambda: (lambda r: len(r) == 21 and r)(mam.rows(server, romeo)), "all rows", 90)
    assert [str(r[0]) for r in rows[1:]] == [mam.stanza_id(g, romeo.bare) for g in got]
    assert len(mam.wait_rows(server, juliet, 21)) == 21


@pytest.mark.parametrize("kind", ["sqlite", "pgsql"])
def test_compress_xml(make_server, kind):
    """As ejabberd packs it; what it cannot pack is there in full; the option may be switched off"""
    modules = {"mod_ping": {}, "mod_mam": {"default": "always", "compress_xml": True}}
    server = make_server(workers=1, database=kind, config={"modules": modules})
    juliet, romeo = (server.stream(n).login(until="online") for n in ("juliet", "romeo"))
    chat(juliet, romeo, "small é", "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>")
    chat(juliet, romeo, "whole", "<x xmlns='urn:x' a=''/>")
    chat(juliet, romeo, "y" * 70_000)
    packed = [r[3][0] != "<" for r in mam.wait_rows(server, romeo, 3)]
    assert packed == [True, False, False]
    modules["mod_mam"]["compress_xml"] = False
    server.write_config(modules=modules)
    server.ctl("reload_config")
    chat(juliet, romeo, "last")
    for s in (juliet, romeo):
        found = mam.page(s)
        assert found.bodies == ["small é", "whole", "y" * 70_000, "last"]
        assert [m.get("from") for m in found.messages] == [juliet.full] * 4
        assert [m.get("to") for m in found.messages] == [romeo.bare] * 4
        assert mam.stanza_id(found.messages[0], s.bare) == found.ids[0]
