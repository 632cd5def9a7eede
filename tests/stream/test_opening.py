"""Opening, restarting and closing a stream: RFC 6120, section 4"""
import socket

import pytest

from harness import ports, xml

FEATURE_TLS = f"{{{xml.NS_TLS}}}starttls"
FEATURE_SASL = f"{{{xml.NS_SASL}}}mechanisms"
FEATURE_BIND = f"{{{xml.NS_BIND}}}bind"


def tags(features):
    return [child.tag for child in features]


def test_the_header_of_the_answer(server):
    """RFC 6120, 4.7: from, id, version and xml:lang of the response"""
    juliet = server.stream().login(until="open")
    h = juliet.header
    assert h.tag == f"{{{xml.NS_STREAM}}}stream"
    assert h.get("from") == "example.net"
    assert h.get("version") == "1.0"
    assert h.get("id")
    assert h.get("{http://www.w3.org/XML/1998/namespace}lang")


def test_stream_ids_differ_and_cannot_be_guessed(server):
    """RFC 6120, 4.7.3"""
    ids = {server.stream().login(until="open").header.get("id") for _ in range(8)}
    assert len(ids) == 8
    assert all(len(i) >= 8 for i in ids)


def test_every_restart_has_a_new_id(server):
    """RFC 6120, 4.3.3"""
    juliet = server.stream().login(until="open")
    first = juliet.header.get("id")
    juliet.starttls().open()
    second = juliet.header.get("id")
    juliet.authenticate().open()
    assert len({first, second, juliet.header.get("id")}) == 3


def test_the_header_names_the_client_once_it_is_known(server):
    """RFC 6120, 4.7.2: `to` of the response is the client's address, if it said one"""
    juliet = server.stream().login(until="open").starttls()
    juliet.open(**{"from": juliet.bare})
    assert juliet.header.get("to") in (None, juliet.bare)


def test_features_before_tls(server):
    """RFC 6120, 4.3.2 and 13.8: STARTTLS, and no PLAIN in the clear"""
    juliet = server.stream().login(until="open")
    assert FEATURE_TLS in tags(juliet.features)
    assert "PLAIN" not in juliet.mechanisms()
    assert not [m for m in juliet.mechanisms() if m.endswith("-PLUS")]


def test_features_over_tls(server):
    """RFC 6120, 5.4.3.3: STARTTLS is not offered again, SASL is"""
    juliet = server.stream().login(until="tls")
    assert FEATURE_TLS not in tags(juliet.features)
    assert FEATURE_SASL in tags(juliet.features)
    assert FEATURE_BIND not in tags(juliet.features)


def test_features_after_authentication(server):
    """RFC 6120, 6.4.6 and 7.3"""
    juliet = server.stream().login(until="features")
    assert FEATURE_SASL not in tags(juliet.features)
    assert FEATURE_BIND in tags(juliet.features)


def test_the_legacy_session_is_optional(server):
    """RFC 6121, 1.4 and draft-cridland-xmpp-session: offered as optional, and a no-op"""
    juliet = server.stream().login(until="features")
    session = juliet.features.find("{urn:ietf:params:xml:ns:xmpp-session}session")
    assert session is not None
    assert session.find("{urn:ietf:params:xml:ns:xmpp-session}optional") is not None
    juliet.bind()
    answer = juliet.request("<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>", "set")
    assert answer.get("type") == "result"


def test_the_language_of_the_stream(server):
    """RFC 6120, 4.7.4: the answer has a language"""
    juliet = server.stream(lang="de").login(until="open")
    assert juliet.header.get("{http://www.w3.org/XML/1998/namespace}lang")


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.63"])
def test_versions_that_we_speak(server, version):
    """RFC 6120, 4.7.5: the major version counts, and we answer with ours"""
    juliet = server.stream().connect()
    juliet.open(version=version)
    assert juliet.header.get("version") == "1.0"


def test_white_space_around_the_header(server):
    """RFC 6120, 11.7 and 4.6.1: white space between elements, and none needed before"""
    juliet = server.stream().connect()
    juliet.restart()
    juliet.send(juliet.header_text() + "\n  \t ")
    juliet.expect_header()
    juliet.expect_features()


def test_no_xml_declaration_is_needed(server):
    """RFC 6120, 11.5"""
    juliet = server.stream().connect()
    juliet.restart()
    juliet.send(juliet.header_text().replace("<?xml version='1.0'?>", ""))
    juliet.expect_header()
    juliet.expect_features()


@pytest.mark.parametrize("declaration", [
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<?xml version='1.0' encoding='utf-8'?>",
    "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n",
])
def test_xml_declarations(server, declaration):
    """RFC 6120, 11.5 and 11.6"""
    juliet = server.stream().connect()
    juliet.restart()
    juliet.send(juliet.header_text().replace("<?xml version='1.0'?>", declaration))
    juliet.expect_header()
    juliet.expect_features()


def test_another_prefix_is_refused(server):
    """RFC 6120, 4.8.5 and 4.9.3.2: `stream:` is what a server may insist on"""
    juliet = server.stream().connect()
    juliet.restart()
    juliet.send(f"<s:stream xmlns:s='{xml.NS_STREAM}' xmlns='jabber:client' to='example.net'"
                " version='1.0'>")
    juliet.expect_header()
    juliet.expect_error("bad-namespace-prefix")


def test_the_domain_is_prepared(server):
    """RFC 6120, 4.7.2 and RFC 7622, 3.2: case does not matter"""
    juliet = server.stream().connect()
    juliet.open(to="EXAMPLE.net")
    assert juliet.header.get("from") == "example.net"


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_bytes_may_come_in_any_pieces(server, chunk):
    """TCP keeps no boundaries: every element, record and handshake may be split"""
    juliet = server.stream(chunk=chunk).login(until="online")
    juliet.send(f"<message to='{juliet.full}'><body>&amp;äöü€𝄞</body></message>")
    juliet.expect(f"<message from='{juliet.full}'><body>&amp;äöü€𝄞</body></message>")


def test_many_elements_in_one_piece(server):
    """One read may hold several stanzas"""
    juliet = server.stream().login(until="online")
    juliet.send("".join(f"<message to='{juliet.full}' id='m{i}'/>" for i in range(50)))
    for i in range(50):
        juliet.expect(f"<message id='m{i}'/>")


def test_pipelined_header_and_authentication(server):
    """RFC 6120, 4.3.1 does not forbid it, XEP-0305 wants it: no waiting for features"""
    juliet = server.stream(mode="direct").connect()
    juliet.restart()
    juliet.send(juliet.header_text()
                + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
                + __import__("base64").b64encode(
                    f"\0{juliet.user}\0{juliet.password}".encode()).decode() + "</auth>"
                + juliet.header_text().replace("<?xml version='1.0'?>", "")
                + f"<iq type='set' id='b'><bind xmlns='{xml.NS_BIND}'/></iq><presence/>")
    juliet.expect_header()
    juliet.expect_features()
    juliet.sasl_next("success")
    juliet.restart_reading()
    juliet.expect_header()
    juliet.expect_features()
    answer = juliet.expect(f"<iq type='result' id='b'><bind xmlns='{xml.NS_BIND}'/></iq>")
    full = answer.find(f".//{{{xml.NS_BIND}}}jid").text
    juliet.expect(f"<presence from='{full}'/>")


def test_pipelined_starttls(server):
    """The header, <starttls/> and nothing more may come in one packet"""
    juliet = server.stream().connect()
    juliet.restart()
    juliet.send(juliet.header_text() + f"<starttls xmlns='{xml.NS_TLS}'/>")
    juliet.expect_header()
    juliet.expect_features()
    juliet.expect(f"<proceed xmlns='{xml.NS_TLS}'/>")
    juliet.start_tls().open()
    juliet.authenticate().open()
    juliet.bind()


def test_closing_by_the_client(server):
    """RFC 6120, 4.4: our closing tag is answered, then TLS and TCP are closed"""
    juliet = server.stream().login()
    juliet.footer_sent = True
    juliet.send("</stream:stream>")
    juliet.expect_closed()
    assert juliet.close_notify_seen


@pytest.mark.parametrize("until", ["open", "tls", "features", "bound"])
def test_closing_in_every_state(server, until):
    """RFC 6120, 4.4"""
    juliet = server.stream().login(until=until)
    juliet.footer_sent = True
    juliet.send("</stream:stream>")
    juliet.expect_closed()


def test_what_was_sent_before_the_closing_tag_is_handled(server):
    """RFC 6120, 4.4: each side may still have data under way"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    romeo.footer_sent = True
    romeo.send(f"<message to='{juliet.full}'><body>Farewell</body></message></stream:stream>")
    juliet.expect("<message><body>Farewell</body></message>")
    romeo.expect_closed()


def test_white_space_keeps_alive(server):
    """RFC 6120, 4.6.1"""
    juliet = server.stream().login()
    juliet.send(" ").send("\n\n\n").send("\t \r\n")
    juliet.ping()


@pytest.mark.skipif(not ports.HAS_IPV6, reason="not here: no IPv6")
def test_ipv6(server):
    """RFC 6120, 3.2: both families"""
    server.stream(family=socket.AF_INET6).login().ping()


def test_a_header_that_never_ends(server):
    """Unfinished input before authentication is bounded (pre_auth_max_stanza_size)"""
    juliet = server.stream().connect()
    juliet.restart()
    juliet.send_unless_cut("<stream:stream xmlns='" + "a" * 100000)
    kinds = []
    while True:
        kind, _ = juliet.next_event()
        kinds.append(kind)
        if kind == "end":
            break
    assert "element" in kinds or kinds == ["end"]
