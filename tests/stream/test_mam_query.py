"""Message archives: queries, pages, and what is wrong with them (XEP-0313, XEP-0059)"""
import time

import pytest

from harness import database, mam, wait, xml

MODULES = {"mod_ping": {}, "mod_mam": {"default": "always"}}
CONFIG = {"modules": MODULES}
START, STEP = 1_700_000_000_000_000, 1_000_000
PEERS = ("romeo@example.net/a", "romeo@example.net/b", "nurse@example.net")


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config=CONFIG, database=request.param)


@pytest.fixture
def juliet(server):
    """With nine messages, one a second, in turn with three peers"""
    j = server.stream("juliet").login(until="online")
    j.all = [str(i) for i in mam.fill(server, j.user, 9, START, STEP, PEERS)]
    return j


def stamp(n):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START // 1_000_000 + n))


def test_all_messages(juliet):
    """4: results, then the answer; 4.2: what a result is made of"""
    found = mam.page(juliet, queryid="q & 'x'")
    assert found.ids == juliet.all
    assert found.queryids == {"q & 'x'"}
    assert (found.first, found.last, found.complete, found.count) == (
        juliet.all[0], juliet.all[-1], True, 9)
    delay = found.forwarded[0].find("{urn:xmpp:delay}delay")
    assert (delay.get("stamp"), delay.get("from")) == (stamp(0), "example.net")
    message = found.messages[1]
    assert message.get("from") == PEERS[1] and message.get("to") == f"{juliet.user}@example.net"
    assert message.get("id") == "m1" and found.bodies[1] == "message 1"
    assert mam.stanza_id(message, juliet.bare) == juliet.all[1]
    assert mam.page(juliet).queryids == {None}


def test_an_empty_archive(server):
    romeo = server.stream("romeo").login(until="online")
    found = mam.page(romeo)
    assert (found.ids, found.complete, found.count, found.first) == ([], True, 0, None)
    assert romeo.request(f"<metadata xmlns='{mam.NS}'/>")[0][:] == []


def test_what_was_just_said_is_there(server):
    """The one who was told an id may ask behind it at once"""
    juliet, romeo = server.pair(until="online")
    for i in range(20):
        juliet.send(f"<message to='{romeo.bare}' type='chat' id='{i}'><body>{i}</body></message>")
        got = romeo.expect(f"<message id='{i}'/>")
        found = mam.page(romeo, {"after": mam.stanza_id(got, romeo.bare)})
        assert found.ids == [] and found.complete
    assert [m.get("from") for m in mam.page(romeo, {"max": 1}).messages] == [juliet.full]
    assert mam.page(juliet).bodies == [str(i) for i in range(20)]


# rsm, numbers of the messages on the page, complete, count
PAGES = [
    ({"max": 4}, [0, 1, 2, 3], False, 9),
    ({"max": 9}, range(9), True, 9),
    ({"max": 4, "after": 3}, [4, 5, 6, 7], False, 9),
    ({"max": 4, "after": 7}, [8], True, 9),
    ({"max": 4, "after": 8}, [], True, 9),
    ({"max": 4, "before": None}, [5, 6, 7, 8], False, 9),
    ({"max": 9, "before": None}, range(9), True, 9),
    ({"max": 4, "before": 5}, [1, 2, 3, 4], False, 9),
    ({"max": 4, "before": 1}, [0], True, 9),
    ({"max": 4, "before": 0}, [], True, 9),
    ({"before": 6, "after": 2}, [3, 4, 5], True, 9),
    ({"max": 0}, [], False, 9),
]


@pytest.mark.parametrize("flip", [False, True], ids=["", "flip"])
def test_pages(juliet, flip):
    """XEP-0059, 2; 4.3.4: a flipped page has the same messages, the latest first"""
    for rsm, numbers, complete, count in PAGES:
        asked = {k: juliet.all[v] if k != "max" and v is not None else v for k, v in rsm.items()}
        wanted = [juliet.all[n] for n in numbers]
        found = mam.page(juliet, asked, flip=flip)
        assert found.ids == (wanted[::-1] if flip else wanted), rsm
        assert (found.complete, found.count) == (complete, count), rsm
        assert (found.first, found.last) == ((wanted[0], wanted[-1]) if wanted else (None, None)), rsm


def test_a_walk_in_both_directions(juliet):
    """4.3.2: pages join without a gap or a repetition"""
    for size in (1, 2, 4):
        seen, rsm = [], {"max": size}
        while True:
            found = mam.page(juliet, rsm)
            seen += found.ids
            if found.complete:
                break
            rsm = {"max": size, "after": found.last}
        assert seen == juliet.all
        seen, rsm = [], {"max": size, "before": None}
        while True:
            found = mam.page(juliet, rsm)
            seen = found.ids + seen
            if found.complete:
                break
            rsm = {"max": size, "before": found.first}
        assert seen == juliet.all


# form fields, numbers of the messages
FILTERS = [
    ({"start": stamp(5)}, [5, 6, 7, 8]),
    ({"end": stamp(2)}, [0, 1, 2]),
    ({"start": stamp(2), "end": stamp(4)}, [2, 3, 4]),
    ({"start": "2023-11-14T23:13:25.000001+01:00"}, [6, 7, 8]),
    ({"start": stamp(100)}, []),
    ({"with": "romeo@example.net"}, [0, 1, 3, 4, 6, 7]),
    ({"with": "ROMEO@Example.Net"}, [0, 1, 3, 4, 6, 7]),
    ({"with": "romeo@example.net/b"}, [1, 4, 7]),
    ({"with": "nurse@example.net"}, [2, 5, 8]),
    ({"with": "nurse@example.net/x"}, []),
    ({"with": "romeo@example.net", "start": stamp(1), "end": stamp(4)}, [1, 3, 4]),
    ({"after_id": 6}, [7, 8]),
    ({"before_id": 2}, [0, 1]),
    ({"after_id": 1, "before_id": 4}, [2, 3]),
    ({"after_id": 4, "before_id": 4}, []),
    ({"after_id": 1, "with": "romeo@example.net/a"}, [3, 6]),
    ({"ids": [3]}, [3]),
    ({"ids": [7, 2, 4, 2]}, [2, 4, 7]),
    ({"ids": [1, 2, 3], "with": "romeo@example.net"}, [1, 3]),
    ({"ids": [1, 2, 3], "with": "romeo@example.net/b"}, [1]),
    ({"ids": [1, 2, 3], "start": stamp(2)}, [2, 3]),
    ({"include_groupchat": "true"}, range(9)),
    ({"include_groupchat": "0", "start": ""}, range(9)),
]


def test_filters(juliet):
    """4.1"""
    def as_ids(v):
        return [juliet.all[n] for n in v] if isinstance(v, list) else juliet.all[v]

    for fields, numbers in FILTERS:
        asked = {k: as_ids(v) if k in ("ids", "after_id", "before_id") else v for k, v in fields.items()}
        wanted = [juliet.all[n] for n in numbers]
        found = mam.page(juliet, **asked)
        assert (found.ids, found.complete, found.count) == (wanted, True, len(wanted)), fields


def test_filters_and_pages(juliet):
    """The count is of what matches the form, wherever the page is"""
    found = mam.page(juliet, {"max": 2, "before": None}, **{"with": "romeo@example.net"})
    assert (found.ids, found.complete, found.count) == ([juliet.all[6], juliet.all[7]], False, 6)
    found = mam.page(juliet, {"max": 2, "after": juliet.all[3]}, **{"with": "romeo@example.net"})
    assert (found.ids, found.count) == ([juliet.all[4], juliet.all[6]], 6)
    ids = [juliet.all[n] for n in (1, 3, 5, 7)]
    found = mam.page(juliet, {"max": 2, "after": juliet.all[1]}, ids=ids)
    assert (found.ids, found.complete, found.count) == (ids[1:3], False, 4)
    found = mam.page(juliet, {"max": 3, "before": None}, ids=ids, flip=True)
    assert (found.ids, found.first, found.last) == (ids[:0:-1], ids[1], ids[3])


def test_pages_have_a_largest_size(server):
    """4.3.1: 50 when nothing is said, 250 at the most, as in ejabberd"""
    juliet = server.stream("juliet").login(until="online")
    ids = [str(i) for i in mam.fill(server, juliet.user, 300, START, STEP, PEERS)]
    assert mam.page(juliet).ids == ids[:50]
    found = mam.page(juliet, {"max": 1000})
    assert found.ids == ids[:250] and not found.complete and found.count == 300
    assert mam.page(juliet, {"max": 10 ** 30, "after": ids[249]}).ids == ids[250:]
    assert mam.page(juliet, ids=ids[:250], rsm={"max": 250}).ids == ids[:250]
    assert mam.error(juliet, mam.query_text(ids=ids[:251])) == ("policy-violation", "modify")


def test_large_messages_come_in_portions(server):
    """In every order"""
    juliet = server.stream("juliet").login(until="online")
    ids = [str(i) for i in mam.fill(server, juliet.user, 14, START, STEP, PEERS,
                                    body=lambda i: f"{i} " + "x" * 30_000)]
    for rsm, flip in (({"max": 14}, False), ({"max": 14}, True), ({"max": 14, "before": None}, False),
                      ({"max": 14, "before": None}, True)):
        juliet.received = b""
        found = mam.page(juliet, rsm, flip=flip)
        assert found.ids == (ids[::-1] if flip else ids)
        assert (found.first, found.last, found.complete, found.count) == (ids[0], ids[-1], True, 14)
    juliet.received = b""
    found = mam.page(juliet, {"max": 12}, ids=ids[:13], flip=True)
    assert found.ids == ids[:12][::-1] and not found.complete


def test_many_queries_of_one_client(server):
    """They are answered one after the other; too many are refused"""
    juliet = server.stream("juliet").login(until="online")
    mam.fill(server, juliet.user, 3, START, STEP, PEERS)
    wanted = [juliet.next_id() for _ in range(40)]
    juliet.send("".join(f"<iq type='set' id='{i}'>{mam.query_text(queryid=i)}</iq>" for i in wanted))
    results, answers = [], {}
    while len(answers) < 40:
        got = juliet.next()
        if got.tag == f"{mam.CLIENT}message":
            results.append(got.find(f"{{{mam.NS}}}result").get("queryid"))
        else:
            answers[got.get("id")] = got.get("type")
    served = [i for i in wanted if answers[i] == "result"]
    assert 16 <= len(served) < 40
    assert results == [i for i in served for _ in range(3)]


def test_a_client_that_does_not_read(make_server):
    """It is sent no more than a portion in advance, and gets all when it goes on"""
    server = make_server(workers=1, config={"modules": MODULES})
    juliet = server.stream("juliet").login(until="online")
    n = 250
    mam.fill(server, juliet.user, n, START, STEP, PEERS, body=lambda i: "x" * 60_000)
    before = server.counter("stanzas_out")
    juliet.send(f"<iq type='set' id='slow'>{mam.query_text({'max': n})}</iq>")

    def is_stalled():
        sent = server.counter("bytes_out")
        return all(server.counter("bytes_out") == sent for _ in range(3))

    wait.until(lambda: server.counter("stanzas_out") > before + 2 and is_stalled(), "it to stop")
    waiting = server.counter("stanzas_out") - before
    assert waiting < n and waiting * 60_000 - server.counter("bytes_out") < 1_000_000
    seen, results, end = b"", 0, time.monotonic() + wait.PATIENCE
    while b"<fin " not in seen:
        seen = seen[-7:] + juliet.read_some(end)
        results += seen.count(b"<result ")
    assert results == n and server.counter("slow_cut") == 0
    juliet.abort()


FORM = "<x xmlns='jabber:x:data' type='{}'>{}</x>"
TYPE = "<field var='FORM_TYPE'><value>{}</value></field>"

# request, condition, type
WRONG = [
    (mam.query_text(start="yesterday"), "bad-request", "modify"),
    (mam.query_text(end="2023-13-01T00:00:00Z"), "bad-request", "modify"),
    (mam.query_text(**{"with": "a@b@c"}), "bad-request", "modify"),
    (mam.query_text(include_groupchat="perhaps"), "bad-request", "modify"),
    (mam.query_text(text="hidden"), "feature-not-implemented", "cancel"),
    (mam.query_text(**{"{urn:xmpp:fulltext:0}fulltext": "x"}), "feature-not-implemented", "cancel"),
    (mam.query_text(after_id=START + 1), "item-not-found", "cancel"),
    (mam.query_text(before_id=START + 1), "item-not-found", "cancel"),
    (mam.query_text(ids=[START, START + 1]), "item-not-found", "cancel"),
    (mam.query_text(ids="no-such-id"), "item-not-found", "cancel"),
    (mam.query_text({"after": START + 1}), "item-not-found", "cancel"),
    (mam.query_text({"before": START + 1}), "item-not-found", "cancel"),
    (mam.query_text({"after": "x"}), "item-not-found", "cancel"),
    (mam.query_text({"after": f"0{START}"}), "item-not-found", "cancel"),
    (mam.query_text({"after": 2 ** 63 - 1}), "item-not-found", "cancel"),
    (mam.query_text({"after": 2 ** 70}), "item-not-found", "cancel"),
    (mam.query_text({"max": 5, "index": 2}), "feature-not-implemented", "cancel"),
    (mam.query_text({"max": "many"}), "bad-request", "modify"),
    (mam.query_text(queryid="x" * 300), "policy-violation", "modify"),
    (f"<query xmlns='{mam.NS}' node='n'/>", "feature-not-implemented", "cancel"),
    (f"<query xmlns='{mam.NS}'>{FORM.format('form', TYPE.format(mam.NS))}</query>", "bad-request", "modify"),
    (f"<query xmlns='{mam.NS}'>{FORM.format('submit', TYPE.format('urn:xmpp:mam:1'))}</query>",
     "bad-request", "modify"),
    (f"<query xmlns='{mam.NS}'>{FORM.format('submit', TYPE.format(mam.NS) * 2)}</query>",
     "bad-request", "modify"),
]


@pytest.mark.parametrize("text, condition, kind", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong(server, text, condition, kind):
    """4.1.3, 4.1.5, 4.3.2; XEP-0059, 2.6"""
    juliet = server.stream("juliet").login(until="online")
    mam.fill(server, juliet.user, 2, START, STEP, PEERS)
    assert mam.error(juliet, text) == (condition, kind)


def test_the_form(juliet):
    """4.1.5: what can be asked for"""
    query = juliet.request(f"<query xmlns='{mam.NS}'/>")[0]
    form = query.find("{jabber:x:data}x")
    assert form.get("type") == "form"
    fields = {f.get("var"): f.get("type") for f in form}
    assert fields == {"FORM_TYPE": "hidden", "with": "jid-single", "start": "text-single",
                      "end": "text-single", "before-id": "text-single", "after-id": "text-single",
                      "ids": "list-multi", "include-groupchat": "boolean"}
    assert xml.matches(xml.pattern(
        "<field xmlns='jabber:x:data' var='ids'><validate datatype='xs:string' xmlns="
        "'http://jabber.org/protocol/xdata-validate'><open/></validate></field>"),
        form.find("{jabber:x:data}field[@var='ids']"))


def test_metadata(juliet):
    """5"""
    answer = juliet.request(f"<metadata xmlns='{mam.NS}'/>", to=juliet.bare)
    assert xml.matches(xml.pattern(
        f"<iq type='result'><metadata xmlns='{mam.NS}'><start id='{juliet.all[0]}' timestamp='{stamp(0)}'/>"
        f"<end id='{juliet.all[8]}' timestamp='{stamp(8)}'/></metadata></iq>"), answer), xml.show(answer)
    assert mam.error(juliet, f"<metadata xmlns='{mam.NS}'/>", "set") == ("not-allowed", "cancel")


def test_whose_archive_it_is(server):
    """9.1: only one's own"""
    juliet, romeo = server.pair(until="online")
    for text, kind in ((mam.query_text(), "set"), (mam.query_text(), "get"),
                       (f"<metadata xmlns='{mam.NS}'/>", "get"), (f"<prefs xmlns='{mam.NS}'/>", "get"),
                       (f"<prefs xmlns='{mam.NS}' default='never'/>", "set")):
        assert mam.error(juliet, text, kind, romeo.bare) == ("forbidden", "auth")
        assert mam.error(juliet, text, kind, "nobody@example.net") == ("forbidden", "auth")
    juliet.send(f"<message to='{romeo.bare}' type='chat'><body>b</body></message>")
    assert mam.stanza_id(romeo.expect("<message/>"), romeo.bare)
    assert mam.error(juliet, mam.query_text(), "set", juliet.host) == ("service-unavailable", "cancel")


def test_rows_of_ejabberd(server):
    """As they are in its tables, with prefixes, in other words; and one that is no message"""
    juliet = server.stream("juliet").login(until="online")
    rows = ["<message xml:lang='en' to='a@example.net' from='b@example.net/r' type='chat' id='a1'"
            " xmlns='jabber:client'><origin-id xmlns='urn:xmpp:sid:0' id='o-1'/><body>Hi &lt;é&gt;</body></message>",
            "<message from='b@example.net/r'><p:x xmlns:p='urn:x'/><body>prefix</body></message>",
            "<message from='b@example.net/r'><stream:x/><body>undeclared</body></message>",
            "<iq xmlns='jabber:client'/>",
            "\x01\x02broken", "",
            "<message from='b@example.net/r'><body>last</body></message>"]
    for i, row in enumerate(rows):
        database.change(server, "insert into archive (username, timestamp, peer, bare_peer, xml, txt, kind,"
                        " nick, origin_id) values (?, ?, 'b@example.net/r', 'b@example.net', ?, '', null, '', '')",
                        juliet.user, START + i, row)
    found = mam.page(juliet)
    assert found.ids == [str(START + i) for i in range(len(rows))]
    assert found.bodies == ["Hi <é>", "prefix", None, None, None, None, "last"]
    assert found.messages[1].find("{urn:x}x") is not None
    assert mam.stanza_id(found.messages[0], juliet.bare) == found.ids[0]
    assert mam.page(juliet, **{"with": "b@example.net"}).count == len(rows)


def test_a_deleted_message_leaves_a_page_without_it(juliet, server):
    """An id that is no longer there is not found (4.3.2)"""
    database.change(server, "delete from archive where username = ? and timestamp = ?",
                    juliet.user, int(juliet.all[4]))
    assert mam.page(juliet).ids == juliet.all[:4] + juliet.all[5:]
    assert mam.error(juliet, mam.query_text({"after": juliet.all[4]})) == ("item-not-found", "cancel")


def test_a_database_that_is_away(make_server):
    """The client is told to try again"""
    server = make_server(workers=1, database="pgsql", config={
        "modules": MODULES, "sql_query_timeout": 1})
    juliet = server.stream("juliet").login(until="online")
    mam.page(juliet)
    server.cluster.stop()
    try:
        juliet.patience = 4 * wait.PATIENCE
        assert mam.error(juliet, mam.query_text()) == ("resource-constraint", "wait")
    finally:
        server.cluster.start()
