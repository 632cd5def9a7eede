"""Stream errors: RFC 6120, section 4.9"""
import pytest

from harness import xml

HEADER = ("<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='example.net'"
          f" version='1.0' xmlns:stream='{xml.NS_STREAM}'>")

# What a stranger may send first, and the condition that ends the stream.
OPENINGS = {
    "unknown host": ("4.9.3.6", HEADER.replace("example.net", "example.org"), "host-unknown"),
    "host that is no domain": (
        "4.9.3.6", HEADER.replace("example.net", "a@b/c"), "host-unknown improper-addressing"),
    "no host": ("4.7.2", HEADER.replace(" to='example.net'", ""), "host-unknown improper-addressing"),
    "wrong stream namespace": (
        "4.9.3.10", HEADER.replace(xml.NS_STREAM, "urn:example"), "invalid-namespace"),
    "wrong content namespace": (
        "4.9.3.10", HEADER.replace("jabber:client", "urn:example"), "invalid-namespace"),
    "a server's stream": (
        "4.8.3", HEADER.replace("jabber:client", "jabber:server"), "invalid-namespace"),
    "wrong root": (
        "4.9.3.1", f"<stream:flood xmlns:stream='{xml.NS_STREAM}' xmlns='jabber:client'>",
        "bad-format bad-namespace-prefix invalid-namespace"),
    "no version": ("4.9.3.25", HEADER.replace(" version='1.0'", "", 2).replace(
        "<?xml?>", ""), "unsupported-version"),
    "version 0.9": ("4.9.3.25", HEADER.replace(
        "example.net' version='1.0'", "example.net' version='0.9'"), "unsupported-version"),
    "version that is none": ("4.9.3.25", HEADER.replace(
        "example.net' version='1.0'", "example.net' version='one'"), "unsupported-version"),
    "Latin-1": ("4.9.3.22", HEADER.replace(
        "version='1.0'?", "version='1.0' encoding='ISO-8859-1'?"), "unsupported-encoding"),
    "UTF-16": ("4.9.3.22", HEADER.encode("utf-16"), "unsupported-encoding not-well-formed"),
    "invalid UTF-8": ("11.6", HEADER.encode() + b"<a b='\xff\xfe'/>",
                      "not-well-formed unsupported-encoding"),
    "overlong UTF-8": ("11.6", HEADER.encode() + b"<a>\xc0\xbc</a>",
                       "not-well-formed unsupported-encoding"),
    "surrogate": ("11.6", HEADER.encode() + b"<a>\xed\xa0\x80</a>",
                  "not-well-formed unsupported-encoding"),
    "NUL": ("11.6", HEADER.encode() + b"<a>\x00</a>", "not-well-formed"),
    "comment": ("4.9.3.18", HEADER + "<!-- a comment -->", "restricted-xml"),
    "comment before the header": ("4.9.3.18", "<!-- a comment -->" + HEADER, "restricted-xml"),
    "processing instruction": ("4.9.3.18", HEADER + "<?php ?>", "restricted-xml"),
    "document type": ("4.9.3.18", "<!DOCTYPE a [<!ENTITY b 'c'>]>" + HEADER, "restricted-xml"),
    "laughing entities": (
        "4.9.3.18", "<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"
        + HEADER + "<a>&c;</a>", "restricted-xml"),
    "unknown entity": ("4.9.3.18", HEADER + "<a>&nbsp;</a>", "restricted-xml not-well-formed"),
    "not XML": ("4.9.3.13", "GET / HTTP/1.1\r\nHost: example.net\r\n\r\n", "not-well-formed"),
    "wrong closing tag": ("4.9.3.13", HEADER + "<a><b></a></b>", "not-well-formed"),
    "two attributes of one name": ("4.9.3.13", HEADER + "<a b='1' b='2'/>", "not-well-formed"),
    "unquoted attribute": ("4.9.3.13", HEADER + "<a b=c/>", "not-well-formed"),
    "undeclared prefix": ("4.9.3.2", HEADER + "<foo:a/>", "bad-namespace-prefix not-well-formed"),
    "undeclared prefix of the header": (
        "4.9.3.2", HEADER.replace(f" xmlns:stream='{xml.NS_STREAM}'", ""),
        "bad-namespace-prefix not-well-formed invalid-namespace"),
    "text between elements": ("11.7", HEADER + "some text", "bad-format not-well-formed invalid-xml"),
    "message before authentication": (
        "4.9.3.12", HEADER + "<message to='romeo@example.net'/>", "not-authorized"),
    "presence before authentication": ("4.9.3.12", HEADER + "<presence/>", "not-authorized"),
    "iq before authentication": (
        "4.9.3.12", HEADER + "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "not-authorized"),
    "bind before authentication": (
        "4.9.3.12", HEADER + f"<iq type='set' id='1'><bind xmlns='{xml.NS_BIND}'/></iq>",
        "not-authorized"),
    "a stream in a stream": (
        "4.9.3", HEADER + HEADER.replace("<?xml version='1.0'?>", "") + "</stream:stream>",
        "bad-format not-well-formed unsupported-stanza-type invalid-xml not-authorized"),
    "too large": ("4.9.3.14", HEADER + "<a>" + "x" * 200000, "policy-violation"),
    "too large in one tag": ("4.9.3.14", HEADER + "<a b='" + "x" * 200000, "policy-violation"),
    "too deep": ("4.9.3.14", HEADER + "<a>" * 2000, "policy-violation"),
    "too many elements": ("4.9.3.14", HEADER + "<a>" + "<b/>" * 1900, "policy-violation"),
    "too many attributes": (
        "4.9.3.14", HEADER + "<a " + " ".join(f"b{i}=''" for i in range(1000)) + "/>",
        "policy-violation"),
}


@pytest.mark.parametrize("case", OPENINGS, ids=lambda c: c.replace(" ", "-"))
def test_a_stranger_who_breaks_the_rules(server, case):
    """RFC 6120, 4.9: a header, the error, the closing tag, the end"""
    section, text, conditions = OPENINGS[case]
    juliet = server.stream().connect()
    juliet.restart()
    juliet.send_unless_cut(text)
    juliet.expect_header()
    got = juliet.next()
    if got.tag == f"{{{xml.NS_STREAM}}}features":
        got = juliet.next()
    assert any(xml.matches(xml.pattern(f"<stream:error><{c}/></stream:error>"), got)
               for c in conditions.split()), f"{section}: {conditions}, not {xml.show(got)}"
    juliet.expect_closed()


# What somebody who has bound a resource may send.
STANZAS = {
    "comment": ("4.9.3.18", "<message><!-- a --></message>", "restricted-xml"),
    "processing instruction": ("4.9.3.18", "<message><?a b?></message>", "restricted-xml"),
    "unknown entity": ("4.9.3.18", "<message><body>&nbsp;</body></message>",
                       "restricted-xml not-well-formed"),
    "wrong closing tag": ("4.9.3.13", "<message><body></message>", "not-well-formed"),
    "invalid UTF-8": ("11.6", b"<message><body>\xff</body></message>",
                      "not-well-formed unsupported-encoding"),
    "forbidden control character": ("11.6", b"<message><body>\x01</body></message>",
                                    "not-well-formed"),
    "reference to a forbidden character": ("11.6", "<message><body>&#1;</body></message>",
                                           "not-well-formed"),
    "undeclared prefix": ("4.9.3.2", "<message><a:b/></message>",
                          "bad-namespace-prefix not-well-formed"),
    "unknown stanza": ("4.9.3.24", "<pubsub/>", "unsupported-stanza-type"),
    "stanza of another namespace": (
        "4.9.3.24", "<message xmlns='urn:example'/>", "unsupported-stanza-type invalid-namespace"),
    "stanza of the server namespace": (
        "4.8.3", "<message xmlns='jabber:server'/>", "unsupported-stanza-type invalid-namespace"),
    "from another user": (
        "8.1.2.1", "<message from='mercutio@example.net' to='example.net'/>", "invalid-from"),
    "from another resource": (
        "8.1.2.1", "<message from='{bare}/other' to='example.net'/>", "invalid-from"),
    "from what is no address": (
        "8.1.2.1", "<message from='@@@' to='example.net'/>", "invalid-from"),
    "text between stanzas": ("11.7", "Wherefore art thou?",
                             "bad-format not-well-formed invalid-xml"),
    "authentication again": (
        "6.4.6", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
        "unsupported-stanza-type policy-violation not-authorized"),
    "too deep": ("4.9.3.14", "<message>" + "<a>" * 5000, "policy-violation"),
    "too many attributes": (
        "4.9.3.14", "<message " + " ".join(f"b{i}=''" for i in range(1000)) + "/>",
        "policy-violation"),
}


@pytest.mark.parametrize("case", STANZAS, ids=lambda c: c.replace(" ", "-"))
def test_a_client_who_breaks_the_rules(server, case):
    """RFC 6120, 4.9"""
    section, text, conditions = STANZAS[case]
    juliet = server.stream().login()
    if isinstance(text, str):
        text = text.replace("{bare}", juliet.bare)
    juliet.send_unless_cut(text)
    got = juliet.next()
    assert any(xml.matches(xml.pattern(f"<stream:error><{c}/></stream:error>"), got)
               for c in conditions.split()), f"{section}: {conditions}, not {xml.show(got)}"
    juliet.expect_closed()


def test_a_stanza_before_bind_ends_the_stream(server):
    """RFC 6120, 7.1"""
    juliet = server.stream("juliet").login(until="features")
    juliet.send("<message to='romeo@example.net'><body>Wherefore?</body></message>")
    juliet.expect_error("not-authorized")


def test_an_error_of_the_client_ends_the_stream(server):
    """RFC 6120, 4.9.1.1: a stream error from the peer"""
    juliet = server.stream().login()
    juliet.footer_sent = True
    juliet.send("<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                "</stream:stream>")
    juliet.expect_closed()


def test_nothing_is_handled_after_an_error(server):
    """RFC 6120, 4.9.1.1: stream errors are unrecoverable"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    romeo.send(f"<pubsub/><message to='{juliet.full}'><body>Late</body></message>")
    romeo.expect_error("unsupported-stanza-type")
    juliet.expect_nothing()


def test_a_stream_that_fails_takes_no_other_with_it(server):
    """Isolation of streams within a worker"""
    juliet = server.stream("juliet").login(until="online")
    for case in ("comment", "wrong closing tag", "invalid UTF-8"):
        bad = server.stream("romeo").login()
        bad.send_unless_cut(STANZAS[case][1])
        bad.next()
        bad.expect_closed()
    juliet.ping()


def test_stream_errors_are_counted(make_server):
    """Counters are part of the interface"""
    server = make_server(workers=1)
    juliet = server.stream().login()
    juliet.send("<pubsub/>")
    juliet.expect_error("unsupported-stanza-type")
    assert server.counter("stream_errors") == 1
