"""Authentication: RFC 6120, section 6; RFC 5802, 7677, 4616, 5929, 9266; XEP-0440, 0474"""
import base64
import ssl
import statistics
import time

import pytest

from harness import sasl, tls, wait, xml
from harness.stream import SaslFailure

SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]
PLUS = [m + "-PLUS" for m in SCRAM]


@pytest.mark.parametrize("mechanism", ["PLAIN"] + SCRAM)
def test_mechanisms(any_server, mechanism):
    """RFC 6120, 13.8.1: the mandatory ones, and SHA-512"""
    juliet = any_server.stream().login(mechanism=mechanism)
    juliet.ping()


@pytest.mark.parametrize("mechanism", PLUS)
@pytest.mark.parametrize("kind, version", [
    ("tls-server-end-point", ssl.TLSVersion.TLSv1_2),
    ("tls-server-end-point", ssl.TLSVersion.TLSv1_3),
    ("tls-unique", ssl.TLSVersion.TLSv1_2),
], ids=["end-point-1.2", "end-point-1.3", "unique-1.2"])
@pytest.mark.parametrize("mode", ["starttls", "direct"])
def test_channel_binding(server, mechanism, kind, version, mode):
    """RFC 5802, 6 and RFC 5929"""
    juliet = server.stream(mode=mode, tls_options={"version": version})
    juliet.login(mechanism=mechanism, binding=kind).ping()


@pytest.mark.parametrize("mechanism", PLUS)
def test_channel_binding_by_exporter(server, mechanism):
    """RFC 9266, on TLS 1.3"""
    juliet = server.stream(tls_class=tls.Exporter)
    juliet.login(mechanism=mechanism, binding="tls-exporter").ping()


def test_what_is_offered_over_tls(server):
    """RFC 6120, 6.3.3: best first; XEP-0440: the kinds of channel binding"""
    juliet = server.stream(tls_options={"version": ssl.TLSVersion.TLSv1_3}).login(until="tls")
    assert set(juliet.mechanisms()) == set(["PLAIN"] + SCRAM + PLUS)
    assert juliet.mechanisms()[-1] == "PLAIN"
    assert set(juliet.binding_types()) == {"tls-exporter", "tls-server-end-point"}


def test_tls_unique_is_for_tls_1_2_only(server):
    """RFC 8446, C.5 and RFC 9266, 3"""
    juliet = server.stream(tls_options={"version": ssl.TLSVersion.TLSv1_2}).login(until="tls")
    assert "tls-unique" in juliet.binding_types()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS"])
def test_wrong_channel_binding(server, mechanism):
    """RFC 5802, 6: a man in the middle has another channel"""
    juliet = server.stream().login(until="tls")
    with pytest.raises(SaslFailure) as e:
        juliet.authenticate(mechanism, binding=("tls-server-end-point", b"x" * 32))
    assert e.value.condition == "not-authorized"


def test_an_unknown_kind_of_channel_binding(server):
    """RFC 5802, 7: unsupported-channel-binding-type"""
    juliet = server.stream().login(until="tls")
    with pytest.raises(SaslFailure) as e:
        juliet.authenticate("SCRAM-SHA-256-PLUS", binding=("tls-fancy", b"x" * 32))
    assert e.value.condition in ("not-authorized", "malformed-request")


def test_a_downgrade_from_plus_is_noticed(server):
    """RFC 5802, 6: `y` says that the client saw no -PLUS, yet we offer it"""
    juliet = server.stream().login(until="tls")
    with pytest.raises(SaslFailure) as e:
        juliet.authenticate("SCRAM-SHA-256", flag="y")
    assert e.value.condition == "not-authorized"


def test_y_is_right_where_no_channel_binding_is(server):
    """RFC 5802, 6: in the clear there is no -PLUS"""
    juliet = server.stream(mode="none").login(until="open")
    juliet.authenticate("SCRAM-SHA-256", flag="y").open()


def test_the_list_of_mechanisms_is_protected(server):
    """XEP-0474: a hash of what was offered within SCRAM"""
    juliet = server.stream().login(until="tls")
    offered, bindings = juliet.mechanisms(), juliet.binding_types()
    juliet.authenticate("SCRAM-SHA-256")
    assert juliet.scram.attributes.get("h") == juliet.scram.downgrade_hash(offered, bindings)


@pytest.mark.parametrize("mechanism", ["PLAIN"] + SCRAM)
def test_wrong_password(any_server, mechanism):
    """RFC 6120, 6.5.10"""
    juliet = any_server.stream().login(until="tls")
    with pytest.raises(SaslFailure) as e:
        juliet.authenticate(mechanism, password="not the password")
    assert e.value.condition == "not-authorized"


@pytest.mark.parametrize("mechanism", ["PLAIN"] + SCRAM)
def test_unknown_user(any_server, mechanism):
    """RFC 6120, 6.5.10 and 13.11: the same answer as for a wrong password"""
    juliet = any_server.stream().login(until="tls")
    with pytest.raises(SaslFailure) as e:
        juliet.authenticate(mechanism, user="nobody-at-all")
    assert e.value.condition == "not-authorized"


def scram_challenge(stream, user, mechanism="SCRAM-SHA-1"):
    d = sasl.Scram(mechanism, user, "x")
    stream.sasl_send("auth", d.first(), mechanism)
    a = dict(p.split("=", 1) for p in stream.sasl_next("challenge").decode().split(","))
    stream.sasl_send("abort")
    with pytest.raises(SaslFailure):
        stream.sasl_next("challenge")
    return a


def test_unknown_users_look_like_known_ones(server):
    """RFC 5802, 9: a salt that stays the same, and the same rounds"""
    juliet = server.stream().login(until="tls")
    known = scram_challenge(juliet, juliet.user)
    unknown = [scram_challenge(juliet, "nobody-at-all") for _ in range(2)]
    assert unknown[0]["s"] == unknown[1]["s"]
    assert unknown[0]["i"] == known["i"]
    assert len(base64.b64decode(unknown[0]["s"])) == len(base64.b64decode(known["s"]))
    assert set(unknown[0]) == set(known)
    other = scram_challenge(server.stream("romeo").login(until="tls"), "somebody-else")
    assert other["s"] != unknown[0]["s"]


def test_unknown_users_take_as_long_as_known_ones(server):
    """RFC 6120, 13.11: PLAIN costs a key derivation, whether there is a key or not"""
    times = {True: [], False: []}
    for i in range(6):
        for known in times:
            s = server.stream("juliet").login(until="tls")
            began = time.monotonic()
            with pytest.raises(SaslFailure):
                s.authenticate("PLAIN", user=s.user if known else f"nobody-{i}", password="wrong")
            times[known].append(time.monotonic() - began)
            s.abort()
    known, unknown = (statistics.median(times[k]) for k in (True, False))
    # Without the derivation one of them were several times quicker.
    assert 0.4 < known / unknown < 2.5, times


def test_unknown_mechanism(server):
    """RFC 6120, 6.5.7"""
    juliet = server.stream().login(until="tls")
    juliet.sasl_send("auth", b"x", "FANCY-MECHANISM")
    with pytest.raises(SaslFailure) as e:
        juliet.sasl_next("success")
    assert e.value.condition == "invalid-mechanism"


@pytest.mark.parametrize("text", ["!!!", "AA=A", "A", "AGp1b====="])
def test_broken_base64(server, text):
    """RFC 6120, 6.5.5"""
    juliet = server.stream().login(until="tls")
    juliet.send(f"<auth xmlns='{xml.NS_SASL}' mechanism='PLAIN'>{text}</auth>")
    with pytest.raises(SaslFailure) as e:
        juliet.sasl_next("success")
    assert e.value.condition == "incorrect-encoding"


@pytest.mark.parametrize("mechanism, data", [
    ("PLAIN", b"no zero bytes"), ("PLAIN", b"\0user without password"), ("PLAIN", b"\0\0"),
    ("PLAIN", b"\0u\0p\0more"), ("PLAIN", b"\0\xff\0p"),
    ("SCRAM-SHA-1", b"n"), ("SCRAM-SHA-1", b"n,,"), ("SCRAM-SHA-1", b"n,,n=u"),
    ("SCRAM-SHA-1", b"n,,r=nonce"), ("SCRAM-SHA-1", b"x,,n=u,r=nonce"),
    ("SCRAM-SHA-1", b"n,,m=ext,n=u,r=nonce"), ("SCRAM-SHA-1", b"n,,n==ZZ,r=nonce"),
    ("SCRAM-SHA-1", b"n,,n=,r=nonce"), ("SCRAM-SHA-1", b"n,,n=u,r="),
    ("SCRAM-SHA-1", b"n,,n=u,r=a\x01b"), ("SCRAM-SHA-1", b"p=tls-exporter,,n=u,r=nonce"),
    ("SCRAM-SHA-256-PLUS", b"n,,n=u,r=nonce"),
], ids=str)
def test_malformed_first_messages(server, mechanism, data):
    """RFC 6120, 6.5.8 and RFC 5802, 7"""
    juliet = server.stream().login(until="tls")
    juliet.sasl_send("auth", data, mechanism)
    with pytest.raises(SaslFailure) as e:
        juliet.sasl_next("success")
    assert e.value.condition in ("malformed-request", "not-authorized")


@pytest.mark.parametrize("response", [
    "", "c=biws", "c=biws,r={nonce}", "c=biws,r=another,p=AAAA", "c=biws,r={nonce},p=AAAA",
    "c=biws,r={nonce},p=!!!", "c=eSws,r={nonce},p=AAAA", "p=AAAA,r={nonce},c=biws",
    "c=biws,r={nonce},p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="])
def test_malformed_final_messages(server, response):
    """RFC 5802, 5.1 and 7"""
    juliet = server.stream().login(until="tls")
    d = sasl.Scram("SCRAM-SHA-1", juliet.user, juliet.password)
    juliet.sasl_send("auth", d.first(), "SCRAM-SHA-1")
    a = dict(p.split("=", 1) for p in juliet.sasl_next("challenge").decode().split(","))
    juliet.sasl_send("response", response.format(nonce=a["r"]).encode())
    with pytest.raises(SaslFailure) as e:
        juliet.sasl_next("success")
    assert e.value.condition in ("malformed-request", "not-authorized")


def test_no_initial_response(server):
    """RFC 6120, 6.4.2: then the server asks with an empty challenge"""
    juliet = server.stream().login(until="tls")
    juliet.sasl_send("auth", None, "PLAIN")
    assert juliet.sasl_next("challenge") == b""
    juliet.sasl_send("response", sasl.plain(juliet.user, juliet.password))
    juliet.sasl_next("success")


def test_abort(server):
    """RFC 6120, 6.4.4 and 6.5.1; then another try"""
    juliet = server.stream().login(until="tls")
    juliet.sasl_send("auth", sasl.Scram("SCRAM-SHA-1", juliet.user, "x").first(), "SCRAM-SHA-1")
    juliet.sasl_next("challenge")
    juliet.sasl_send("abort")
    with pytest.raises(SaslFailure) as e:
        juliet.sasl_next("challenge")
    assert e.value.condition == "aborted"
    juliet.authenticate().open()


def test_a_response_without_a_dialogue(server):
    """RFC 6120, 6.4.3: out of turn"""
    juliet = server.stream().login(until="tls")
    juliet.sasl_send("response", b"c=biws")
    got = juliet.next()
    assert got.tag in (f"{{{xml.NS_SASL}}}failure", f"{{{xml.NS_STREAM}}}error")


def test_another_try_after_a_failure(server):
    """RFC 6120, 6.4.5: between two and five tries at least"""
    juliet = server.stream().login(until="tls")
    with pytest.raises(SaslFailure):
        juliet.authenticate(password="wrong")
    juliet.authenticate().open()
    juliet.bind()


def test_a_limit_on_tries(server):
    """RFC 6120, 6.4.5: in the end the stream is closed"""
    juliet = server.stream().login(until="tls")
    failures = 0
    while True:
        juliet.sasl_send("auth", sasl.plain(juliet.user, "wrong"), "PLAIN")
        kind, got = juliet.next_event()
        if kind != "element" or got.tag != f"{{{xml.NS_SASL}}}failure":
            break
        failures += 1
        assert failures <= 10
        if juliet.events or juliet.closed:
            break
        # Is there an end behind the failure? A ping cannot tell: we are not in.
        if failures >= 2:
            juliet.sasl_send("auth", b"!", "NONE")
            kind, got = juliet.next_event()
            if kind != "element" or got.tag != f"{{{xml.NS_SASL}}}failure":
                break
            failures += 1
    assert 2 <= failures <= 10
    while kind != "end":
        kind, _ = juliet.next_event()


def test_plain_needs_tls(server):
    """RFC 6120, 6.5.4 or 6.5.7: not in the clear"""
    juliet = server.stream(mode="none").login(until="open")
    with pytest.raises(SaslFailure) as e:
        juliet.authenticate("PLAIN")
    assert e.value.condition in ("encryption-required", "invalid-mechanism")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_authorization_as_oneself(server, mechanism):
    """RFC 6120, 6.3.8: the bare address is what would be derived anyway"""
    juliet = server.stream().login(until="tls")
    juliet.authenticate(mechanism, authzid=juliet.bare).open()
    juliet.bind()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_authorization_as_another(server, mechanism):
    """RFC 6120, 6.5.6"""
    romeo = server.account("romeo")
    juliet = server.stream("juliet").login(until="tls")
    with pytest.raises(SaslFailure) as e:
        juliet.authenticate(mechanism, authzid=romeo.bare)
    assert e.value.condition in ("invalid-authzid", "not-authorized")


def test_the_user_name_is_prepared(server):
    """RFC 6120, 6.3.7 and RFC 3920, appendix A: case does not matter"""
    juliet = server.stream().login(until="tls")
    juliet.authenticate("PLAIN", user=juliet.user.upper()).open()
    juliet.bind()
    assert juliet.full.startswith(juliet.user + "@")


@pytest.mark.parametrize("password", [
    "pässwörd", "a,b=c", "ſ\u00ad\u2168", "  spaces  ", "'\"<&>", "密碼🔑"[:2]])
def test_passwords_of_all_kinds(server, password):
    """RFC 5802, 5.1 and RFC 4013: the server prepares what PLAIN brings as at registration"""
    account = server.register(f"p{server.n_test}-{abs(hash(password)) % 99999}", None, password)
    server.stream(account).login(mechanism="PLAIN").ping()


def test_names_with_comma_and_equals(server):
    """RFC 5802, 5.1: =2C and =3D"""
    account = server.register(f"a,b=c{server.n_test}")
    for mechanism in ("SCRAM-SHA-1", "PLAIN"):
        s = server.stream(account).login(mechanism=mechanism)
        assert s.full.startswith(account.bare)


def test_mechanisms_of_a_host(make_server):
    """ejabberd's disable_sasl_mechanisms, and host_config"""
    server = make_server(
        hosts=("example.net", "example.org"),
        config={"disable_sasl_mechanisms": ["digest-md5", "plain"],
                "host_config": {"example.org": {"disable_sasl_mechanisms": ["SCRAM-SHA-1"]}}})
    net = server.stream("juliet", "example.net").login(until="tls")
    org = server.stream("juliet", "example.org").login(until="tls")
    assert "PLAIN" not in net.mechanisms() and "SCRAM-SHA-1" in net.mechanisms()
    assert "PLAIN" in org.mechanisms() and "SCRAM-SHA-1" not in org.mechanisms()
    with pytest.raises(SaslFailure) as e:
        net.authenticate("PLAIN")
    assert e.value.condition == "invalid-mechanism"


@pytest.mark.parametrize("scram_hash, mechanism", [
    ("sha", "SCRAM-SHA-1"), ("sha256", "SCRAM-SHA-256"), ("sha512", "SCRAM-SHA-512")])
def test_stored_keys_decide_what_is_offered(make_server, scram_hash, mechanism):
    """ejabberd: auth_scram_hash; a key of one hash cannot serve another"""
    server = make_server(workers=1, config={
        "auth_scram_hash": scram_hash, "auth_stored_password_types": []})
    juliet = server.stream().login(until="tls")
    assert {m for m in juliet.mechanisms() if not m.endswith("-PLUS")} == {"PLAIN", mechanism}
    juliet.authenticate(mechanism).open()


def test_plain_passwords_serve_every_mechanism(make_server):
    """ejabberd: auth_password_format plain"""
    server = make_server(workers=1, config={
        "auth_password_format": "plain", "auth_stored_password_types": []})
    for mechanism in ["PLAIN"] + SCRAM:
        server.stream().login(mechanism=mechanism).close()


def test_failures_are_counted(make_server):
    server = make_server(workers=1)
    juliet = server.stream().login(until="tls")
    with pytest.raises(SaslFailure):
        juliet.authenticate(password="wrong")
    juliet.authenticate()
    assert server.counter("auth_failed") == 1
    assert server.counter("auth_ok") == 1


def test_passwords_are_never_logged(make_server):
    """Not even at the most talkative level"""
    server = make_server(workers=1)
    for mechanism in ["PLAIN", "SCRAM-SHA-1"]:
        server.stream().login(mechanism=mechanism).close()
    secret = server.account("juliet").password
    user = server.account("juliet").user
    wait.until(lambda: server.ctl("connected_users_number") == "0", "sessions to end")
    for hidden in (secret, base64.b64encode(f"\0{user}\0{secret}".encode()).decode()):
        assert hidden not in server.log()
