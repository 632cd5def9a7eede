"""TLS: RFC 6120, section 5; RFC 7590; XEP-0368; its records are in test_tls_records.py"""
import socket
import ssl
import subprocess
import time

import pytest

from harness import certs, wait, xml
from harness.stream import Closed

V = ssl.TLSVersion


@pytest.mark.parametrize("mode", ["starttls", "direct"])
@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3], ids=["1.2", "1.3"])
def test_versions(server, mode, version):
    """RFC 7590, 3.1 and RFC 9325: 1.2 and 1.3"""
    juliet = server.stream(mode=mode, tls_options={"version": version}).login(until="online")
    assert juliet.tls.version() == {V.TLSv1_2: "TLSv1.2", V.TLSv1_3: "TLSv1.3"}[version]
    juliet.send(f"<message to='{juliet.full}'><body>{'x' * 50000}</body></message>")
    juliet.expect(f"<message><body>{'x' * 50000}</body></message>")


@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1], ids=["1.0", "1.1"])
def test_old_versions_are_refused(server, version):
    """RFC 8996"""
    with pytest.warns(DeprecationWarning):
        juliet = server.stream(mode="direct", tls_options={"version": version})
        with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
            juliet.connect()


@pytest.mark.parametrize("ciphers", ["RC4", "3DES", "aNULL", "EXPORT", "DES-CBC3-SHA"])
def test_weak_ciphers_are_refused(server, ciphers):
    """RFC 9325, 4.1"""
    juliet = server.stream(mode="direct")
    juliet.tls_options = {"version": V.TLSv1_2, "ciphers": ciphers + ":@SECLEVEL=0"}
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        juliet.connect()


def test_alpn(server):
    """XEP-0368, 4: xmpp-client is chosen"""
    juliet = server.stream(mode="direct").login()
    assert juliet.tls.alpn() == "xmpp-client"


def test_alpn_is_not_needed(server):
    """XEP-0368 clients send it, others need not"""
    server.stream(mode="direct", tls_options={"alpn": None}).login().ping()


def test_alpn_for_something_else_is_refused(server):
    """RFC 7301, 3.2: no_application_protocol; guards against ALPACA"""
    juliet = server.stream(mode="direct", tls_options={"alpn": ["http/1.1"]})
    with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
        juliet.connect()


def test_no_plain_text_on_the_tls_port(server):
    """XEP-0368: TLS from the first byte"""
    juliet = server.stream(mode="direct")
    juliet.sock = socket.create_connection(("127.0.0.1", server.port_tls), wait.PATIENCE)
    juliet.restart()
    juliet.send(juliet.header_text())
    end = time.monotonic() + wait.PATIENCE
    data = b""
    while True:
        piece = juliet._recv(end)
        if not piece:
            break
        data += piece
    assert b"stream" not in data


def test_starttls_discards_what_came_before(server):
    """RFC 6120, 5.4.3.3 and CVE-2011-0411: bytes pipelined behind <starttls/> are not a stream"""
    juliet = server.stream().connect()
    juliet.open()
    juliet.send(f"<starttls xmlns='{xml.NS_TLS}'/><message to='romeo@example.net'/>")
    event = juliet.next_event()
    if event[0] == "element" and event[1].tag == f"{{{xml.NS_TLS}}}proceed":
        # Then the clear text is taken for a broken handshake.
        with pytest.raises((ssl.SSLError, Closed, ConnectionError)):
            juliet.start_tls()
    else:
        while event[0] != "end":
            event = juliet.next_event()


def test_starttls_again_is_refused(server):
    """RFC 6120, 5.3.1: not offered over TLS, so an error"""
    juliet = server.stream().login(until="tls")
    juliet.send(f"<starttls xmlns='{xml.NS_TLS}'/>")
    got = juliet.next()
    assert got.tag in (f"{{{xml.NS_TLS}}}failure", f"{{{xml.NS_STREAM}}}error")
    juliet.expect_closed()


def test_starttls_when_it_is_not_offered(make_server):
    """RFC 6120, 5.4.2.2: <failure/> and the end of the stream"""
    server = make_server(listen={"starttls": False})
    juliet = server.stream().login(until="open")
    assert juliet.features.find(f"{{{xml.NS_TLS}}}starttls") is None
    juliet.send(f"<starttls xmlns='{xml.NS_TLS}'/>")
    got = juliet.next()
    assert got.tag in (f"{{{xml.NS_TLS}}}failure", f"{{{xml.NS_STREAM}}}error")
    juliet.expect_closed()


@pytest.fixture(scope="module")
def tls_required(session_maker):
    return session_maker(listen={"starttls": True, "starttls_required": True})


def test_required_tls_says_so(tls_required):
    """RFC 6120, 5.3.1: <required/>, and nothing else to choose"""
    juliet = tls_required.stream().login(until="open")
    starttls = juliet.features.find(f"{{{xml.NS_TLS}}}starttls")
    assert starttls.find(f"{{{xml.NS_TLS}}}required") is not None
    assert juliet.mechanisms() == []


def test_required_tls_cannot_be_evaded(tls_required):
    """RFC 6120, 5.3.1: authentication in the clear ends the stream"""
    juliet = tls_required.stream().login(until="open")
    juliet.sasl_send("auth", b"\0juliet\0secret", "PLAIN")
    got = juliet.next()
    assert got.tag in (f"{{{xml.NS_STREAM}}}error", f"{{{xml.NS_SASL}}}failure")
    if got.tag.endswith("error"):
        juliet.expect_closed()
    else:
        juliet.close()


def test_required_tls_works(tls_required):
    tls_required.stream().login(until="online").ping()


def test_login_without_tls_where_it_is_optional(server):
    """RFC 6120, 13.8.3: SCRAM is fit for it, PLAIN is not"""
    juliet = server.stream(mode="none").login(until="open")
    juliet.authenticate("SCRAM-SHA-256").open()
    juliet.bind().ping()


def test_names_choose_the_certificate(make_server):
    """RFC 6066, 3 and RFC 7590, 3.4: SNI under direct TLS, `to` and SNI under STARTTLS"""
    server = make_server(hosts=("example.net", "example.org"))
    for host in server.hosts:
        for mode in ("direct", "starttls"):
            s = server.stream("juliet", host, mode=mode).login(until="tls")
            assert certs.names(s.tls.certificate()) == [host]


def test_the_stream_chooses_the_certificate_without_sni(make_server):
    """RFC 6120, 5.4.3.1: under STARTTLS the header's `to` tells already"""
    server = make_server(hosts=("example.net", "example.org"))
    for host in server.hosts:
        got = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-starttls", "xmpp",
             "-xmpphost", host, "-noservername"], input=b"", capture_output=True,
            timeout=wait.PATIENCE).stdout
        pem = got[got.index(b"-----BEGIN"):got.index(b"-----END")] + b"-----END CERTIFICATE-----\n"
        assert certs.names(ssl.PEM_cert_to_DER_cert(pem.decode())) == [host]


def test_an_unknown_name_gets_some_certificate(server):
    """A client that calls us by another name shall see whom it reached, and decide"""
    juliet = server.stream(mode="direct", sni="elsewhere.example", tls_options={"verify": False})
    juliet.connect()
    assert certs.names(juliet.tls.certificate()) == ["example.net"]


def test_rsa_certificates(make_server):
    """Both kinds of keys that authorities sign"""
    make_server(cert_kind="rsa").stream().login(until="online").ping()


def test_session_end_without_close_notify(server):
    """A client that vanishes leaves no session behind"""
    juliet = server.stream("juliet").login(until="online")
    full = juliet.full
    juliet.abort()
    wait.until(lambda: full not in server.ctl_lines("connected_users"), "the session to end")


def test_a_broken_record_ends_the_connection(server):
    """RFC 8446, 5.2: bad_record_mac"""
    juliet = server.stream().login()
    juliet.send_raw(b"\x17\x03\x03\x00\x20" + b"\0" * 32)
    while juliet.next_event()[0] not in ("end", "close"):
        pass
    assert "BAD_RECORD_MAC" in juliet.alert
    romeo = server.stream("romeo").login()
    romeo.ping()


def test_a_record_that_is_too_long(server):
    """RFC 8446, 5.2: ended with an alert, and not waited for"""
    juliet = server.stream().login()
    juliet.send_raw(b"\x17\x03\x03\xff\xff" + b"\0" * 1000)
    while juliet.next_event()[0] not in ("end", "close"):
        pass
    assert "ALERT" in juliet.alert


def test_garbage_instead_of_a_handshake(server):
    """A handshake that fails is counted, and hurts nobody"""
    juliet = server.stream().connect().open()
    juliet.send(f"<starttls xmlns='{xml.NS_TLS}'/>")
    juliet.expect(f"<proceed xmlns='{xml.NS_TLS}'/>")
    juliet.send_raw(b"this is no ClientHello at all, is it?\r\n")
    while juliet.next_event()[0] not in ("end", "close"):
        pass


def test_certificates_are_reloaded(make_server):
    """RFC 7590 asks for renewal; connections live on, new ones see the new certificate"""
    server = make_server()
    juliet = server.stream().login(until="online")
    old = juliet.tls.certificate()
    server.make_certificates()
    server.ctl("reload_config")

    def renewed():
        s = server.stream(mode="direct").connect()
        der = s.tls.certificate()
        s.abort()
        return der != old

    wait.until(renewed, "the new certificate")
    juliet.ping()


def test_protocol_options(make_server):
    """ejabberd's c2s_protocol_options: no_tlsv1_3"""
    server = make_server(config={"c2s_protocol_options": ["no_tlsv1_3", "no_sslv3"]})
    juliet = server.stream().login()
    assert juliet.tls.version() == "TLSv1.2"


def test_cipher_option(make_server):
    """ejabberd's c2s_ciphers: an OpenSSL list for TLS 1.2"""
    server = make_server(config={"c2s_ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"})
    juliet = server.stream(tls_options={"version": V.TLSv1_2}).login()
    assert juliet.tls.ssl.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
