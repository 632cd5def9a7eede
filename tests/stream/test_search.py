"""Finding users: XEP-0055 (mod_vcard), with XEP-0004 and XEP-0030; on both databases"""
import pytest

from harness import xml

SEARCH, DATA, INFO, ITEMS = ("jabber:iq:search", "jabber:x:data",
                             "http://jabber.org/protocol/disco#info",
                             "http://jabber.org/protocol/disco#items")
HOSTS = ("example.net", "example.org")
VARS = ["user", "fn", "first", "middle", "last", "nick", "bday", "ctry", "locality", "email",
        "orgname", "orgunit"]
CONFIG = {"modules": {"mod_ping": {}, "mod_disco": {"server_info": [
    {"modules": ["mod_vcard"], "name": "admin-addresses", "urls": ["xmpp:a@x"]}]},
    "mod_vcard": {"search": True, "matches": 3, "name": "People & pets"}}}


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def shared(request, session_maker):
    return session_maker(config=CONFIG, database=request.param)


def publish(stream, inner):
    assert stream.request(f"<vCard xmlns='vcard-temp'>{inner}</vCard>", "set").get("type") == "result"
    return stream


def vjud(stream):
    return f"vjud.{stream.host}"


def ask(stream, **fields):
    text = "".join(f"<field var='{k}'><value>{xml.escape(v)}</value></field>" for k, v in fields.items())
    return stream.request(f"<query xmlns='{SEARCH}'><x xmlns='{DATA}' type='submit'>"
                          f"<field type='hidden' var='FORM_TYPE'><value>{SEARCH}</value></field>"
                          f"{text}</x></query>", "set", vjud(stream))


def rows(answer):
    """[{var: value}] of a table of results."""
    assert answer.get("type") == "result", xml.show(answer)
    x = answer.find(f"{{{SEARCH}}}query/{{{DATA}}}x")
    assert x.get("type") == "result" and x[0].get("var") == "FORM_TYPE" and x[0][0].text == SEARCH
    reported = [(f.get("var"), f.get("type")) for f in x.find(f"{{{DATA}}}reported")]
    assert reported == [("jid", "jid-single")] + [(v, "text-single") for v in VARS[1:]]
    return [{f.get("var"): f[0].text or "" for f in item} for item in x.findall(f"{{{DATA}}}item")]


def found(stream, **fields):
    return sorted(r["jid"] for r in rows(ask(stream, **fields)))


def test_discovery(server):
    """XEP-0030: an item of the server; its identity, features and addresses of contact"""
    juliet = server.stream().login()
    items = juliet.request(f"<query xmlns='{ITEMS}'/>", to=juliet.host)
    assert [i.get("jid") for i in items[0]] == [vjud(juliet)]
    query = juliet.request(f"<query xmlns='{INFO}'/>", to=vjud(juliet))[0]
    assert dict(query[0].attrib) == {"category": "directory", "type": "user", "name": "People & pets"}
    assert {SEARCH, INFO, ITEMS, "vcard-temp"} <= {f.get("var") for f in query}
    assert query[-1][1].get("var") == "admin-addresses"
    assert len(juliet.request(f"<query xmlns='{ITEMS}'/>", to=vjud(juliet))[0]) == 0
    for ns in INFO, ITEMS:
        answer = juliet.request(f"<query xmlns='{ns}' node='x'/>", to=vjud(juliet))
        assert xml.error_of(answer) == ("cancel", "item-not-found")


def test_other_stanzas(server):
    """Pings, its own vCard; what it does not know, and who it is not"""
    juliet = server.stream().login()
    to = vjud(juliet)
    assert juliet.request("<ping xmlns='urn:xmpp:ping'/>", to=to).get("type") == "result"
    card = juliet.request("<vCard xmlns='vcard-temp'/>", to=to)[0]
    assert card[0].text == "People & pets"
    for text, kind, address in (("<x xmlns='urn:x'/>", "get", to), ("<x xmlns='urn:x'/>", "set", to),
                                (f"<query xmlns='{SEARCH}'/>", "get", f"someone@{to}"),
                                (f"<query xmlns='{SEARCH}'/>", "get", f"{to}/x"),
                                (f"<query xmlns='{SEARCH}'/>", "get", juliet.host)):
        assert xml.error_of(juliet.request(text, kind, address)) == ("cancel", "service-unavailable")
    juliet.send(f"<message to='{to}' id='m'><body>Hello</body></message><presence to='{to}'/>")
    juliet.expect(f"<message type='error' id='m' from='{to}'><error><service-unavailable/></error></message>")
    juliet.expect_nothing()


def test_the_form(server):
    """2.1, 3: the fields, and the same as a form"""
    juliet = server.stream().login()
    query = juliet.request(f"<query xmlns='{SEARCH}'/>", to=vjud(juliet))[0]
    names = [e.tag.rpartition("}")[2] for e in query]
    assert names == ["instructions", "first", "last", "nick", "email", "x"]
    x = query[-1]
    assert x.get("type") == "form" and x[0].tag == f"{{{DATA}}}title"
    fields = [f for f in x if f.tag == f"{{{DATA}}}field"]
    assert fields[0].get("var") == "FORM_TYPE" and fields[0][0].text == SEARCH
    assert [f.get("var") for f in fields[1:]] == VARS
    assert all(f.get("label") and f.get("type") == "text-single" for f in fields[1:])


def test_a_search(server):
    """3: whole fields or how they begin; upper and lower case are the same"""
    juliet = publish(server.stream("juliet").login(),
                     "<FN>JULIET Straße</FN><N><FAMILY>Capulet 100%</FAMILY><GIVEN>Julia</GIVEN></N>"
                     "<EMAIL><USERID>J@x</USERID></EMAIL><ADR><CTRY>Italia</CTRY></ADR>")
    romeo = publish(server.stream("romeo").login(),
                    "<FN>Romeo Montague</FN><N><FAMILY>Montague</FAMILY></N><ADR><CTRY>Italia</CTRY></ADR>"
                    "<NICKNAME>_romy</NICKNAME>")
    row, = rows(ask(juliet, fn="juliet strasse"))
    assert row == dict.fromkeys(VARS[1:], "") | {
        "jid": juliet.bare, "fn": "JULIET Straße", "last": "Capulet 100%", "first": "Julia",
        "email": "J@x", "ctry": "Italia"}
    assert list(row) == ["jid", "fn", "last", "first", "middle", "nick", "bday", "ctry", "locality",
                         "email", "orgname", "orgunit"]
    assert found(juliet, ctry="ITALIA", user=juliet.user) == [juliet.bare]
    assert found(juliet, user=romeo.user + "*", ctry="ital*") == [romeo.bare]
    assert found(juliet, last="capulet 100%", user=juliet.user) == [juliet.bare]
    assert found(juliet, nick="_rom*", user=romeo.user) == [romeo.bare]
    for fields in {"fn": "juliet"}, {"nick": "%rom*"}, {"nick": "_rom"}, {"last": "capulet 100_"}, \
            {"fn": "nobody"}, {"fn": "x" * 600}, {"user": juliet.user, "last": "montague"}:
        assert found(juliet, **fields) == []


def test_a_search_without_forms(server):
    """2.2: the old fields, and items with the same"""
    juliet = publish(server.stream().login(), "<FN>Full</FN><N><FAMILY>Old Capulet</FAMILY>"
                     "<GIVEN>J</GIVEN></N><NICKNAME>n</NICKNAME>")
    answer = juliet.request(f"<query xmlns='{SEARCH}'><last>old cap*</last><first/></query>", "set",
                            vjud(juliet))
    item, = answer[0]
    assert item.get("jid") == juliet.bare
    assert {e.tag.rpartition("}")[2]: e.text or "" for e in item} == {
        "first": "J", "last": "Old Capulet", "nick": "n", "email": ""}
    answer = juliet.request(f"<query xmlns='{SEARCH}'><last>nobody</last></query>", "set", vjud(juliet))
    assert answer.get("type") == "result" and len(answer[0]) == 0


def test_everybody(server):
    """Option allow_return_all is off: nothing asked for is nothing found"""
    juliet = publish(server.stream().login(), "<FN>A</FN>")
    for fields in {}, {"fn": ""}, {"fn": "*"}, {"fn": " * "}, {"unknown": "x"}:
        assert found(juliet, **fields) == []
    assert len(juliet.request(f"<query xmlns='{SEARCH}'/>", "set", vjud(juliet))[0]) == 0


def test_so_many_at_most(server):
    """Option matches"""
    juliet = server.stream().login()
    for name in ("a", "b", "c", "d"):
        publish(server.stream(name).login(), "<FN>One of Four</FN>").close()
    assert len(found(juliet, fn="one of four")) == 3


def test_forms_that_are_none(server):
    """XEP-0004, 3.2"""
    juliet = server.stream().login()
    for x in "<x xmlns='jabber:x:data' type='form'/>", "<x xmlns='jabber:x:data'/>", \
            "<x xmlns='jabber:x:data' type='submit'><field><value>x</value></field></x>":
        answer = juliet.request(f"<query xmlns='{SEARCH}'>{x}</query>", "set", vjud(juliet))
        assert xml.error_of(answer) == ("modify", "bad-request")
    answer = juliet.request(f"<query xmlns='{SEARCH}'><x xmlns='{DATA}' type='cancel'/></query>", "set",
                            vjud(juliet))
    assert answer.get("type") == "result" and len(answer) == 0


def test_in_the_middle_of_a_kill(server):
    """A search under way is answered once"""
    juliet, romeo = server.pair()
    publish(juliet, "<FN>Killed Juliet</FN>")
    for stream in juliet, romeo:
        stream.send(f"<iq type='set' id='s' to='{vjud(stream)}'><query xmlns='{SEARCH}'>"
                    "<last/></query></iq>" * 3)
    server.kill_workers()
    for stream in juliet, romeo:
        for _ in range(3):
            stream.expect(f"<iq type='result' id='s' from='{vjud(stream)}'/>")
        assert found(stream, fn="killed*") == [juliet.bare]


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
def test_all_hosts(make_server, database):
    """Options search_all_hosts, allow_return_all, host and hosts"""
    modules = {"mod_disco": {}, "mod_vcard": {"search": True, "search_all_hosts": True, "allow_return_all": True,
                                              "hosts": ["people.@HOST@", "vjud.@HOST@"]}}
    config = {"modules": modules}
    if database == "pgsql":
        config["sql_schema_multihost"] = True
    server = make_server(hosts=HOSTS, database=database, config=config)
    a = publish(server.stream("juliet", HOSTS[0]).login(), "<FN>Same Name</FN>")
    b = publish(server.stream("juliet", HOSTS[1]).login(), "<FN>Same Name</FN>")
    for stream in a, b:
        assert found(stream, fn="same*") == [a.bare, b.bare]
        assert found(stream) == [a.bare, b.bare]
    items = a.request(f"<query xmlns='{ITEMS}'/>", to=a.host)
    assert [i.get("jid") for i in items[0]] == ["people.example.net", "vjud.example.net"]
    server.write_config(modules={"mod_vcard": {"search": True, "host": "find.@HOST@"}, "mod_disco": {}})
    server.ctl("reload_config")
    assert xml.error_of(ask(a, fn="same*")) == ("cancel", "remote-server-not-found")
    answer = a.request(f"<query xmlns='{SEARCH}'><last/></query>", "set", "find.example.net")
    assert answer.get("type") == "result"


def test_without_search(make_server):
    """Option search is off: there is no such service"""
    server = make_server(workers=1, config={"modules": {"mod_vcard": {}}})
    juliet = server.stream().login()
    assert xml.error_of(ask(juliet, fn="x")) == ("cancel", "remote-server-not-found")
