"""Real clients, each over STARTTLS with SCRAM, in two workers"""
import itertools
import ssl

import pytest

from harness import wait
from harness.clients import Profanity, Slixmpp, Xmppjs

KINDS = {"slixmpp": Slixmpp, "profanity": Profanity, "xmpp.js": Xmppjs}
# No way around it: STARTTLS is required and PLAIN is switched off.
STRICT = {"listen": {"starttls_required": True},
          "config": {"disable_sasl_mechanisms": ["PLAIN"]}}


@pytest.fixture(scope="module")
def strict(session_maker):
    return session_maker(workers=2, **STRICT)


@pytest.fixture(scope="module")
def strict_pgsql(session_maker):
    return session_maker(workers=2, database="pgsql", **STRICT)


def in_two_workers(server, make_a, make_b):
    """
    Two clients that ended up in different workers. The kernel chooses by source port, so
    the second one logs in until it is elsewhere.
    """
    before = server.worker_connections()
    a = make_a().start()
    after_a = wait.until(
        lambda: (lambda c: sum(c.values()) == sum(before.values()) + 1 and c)(
            server.worker_connections()), "the first client's connection")
    for _ in range(40):
        b = make_b().start()
        after_b = wait.until(
            lambda: (lambda c: sum(c.values()) == sum(after_a.values()) + 1 and c)(
                server.worker_connections()), "the second client's connection")
        slots = [next(s for s in now if now[s] > then[s])
                 for then, now in ((before, after_a), (after_a, after_b))]
        if slots[0] != slots[1]:
            return a, b
        b.stop()
        wait.until(lambda: server.worker_connections() == after_a, "the client to be gone")
    raise AssertionError("both clients came to one worker, forty times")


def talk(server, kind_a, kind_b):
    server.new_test()
    juliet, romeo = server.account("juliet"), server.account("romeo")
    routed = server.counter("stanzas_routed")
    a, b = in_two_workers(server, lambda: kind_a(server, juliet), lambda: kind_b(server, romeo))
    try:
        a.say(romeo.bare, "Wherefore art thou")
        b.heard(juliet.bare, "Wherefore art thou")
        b.say(juliet.bare, "Call me but love")
        a.heard(romeo.bare, "Call me but love")
        assert server.counter("stanzas_routed") >= routed + 2
    finally:
        a.stop()
        b.stop()
    wait.until(lambda: server.ctl("connected_users_number") == "0", "both to be gone")


@pytest.mark.parametrize("a, b", itertools.combinations_with_replacement(KINDS, 2),
                         ids=lambda n: n)
def test_two_clients_talk(strict, a, b):
    """On SQLite, through two workers"""
    talk(strict, KINDS[a], KINDS[b])


def test_two_clients_talk_on_postgresql(strict_pgsql):
    """The same with another configuration"""
    talk(strict_pgsql, Slixmpp, Slixmpp)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_slixmpp_with_channel_binding(strict, mechanism):
    """By tls-unique, on TLS 1.2"""
    strict.new_test()
    c = Slixmpp(strict, strict.account("juliet"), mechanism + "-PLUS").start()
    assert c.mechanism == mechanism + "-PLUS"
    c.stop()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_slixmpp_on_tls_1_3(make_server, mechanism):
    """An administrator may switch off -PLUS for clients that do it wrongly"""
    server = make_server(workers=1, listen={"starttls_required": True}, config={
        "disable_sasl_mechanisms": [
            "PLAIN", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"]})
    c = Slixmpp(server, server.account("juliet"), mechanism, ssl.TLSVersion.TLSv1_3).start()
    assert c.mechanism == mechanism
    c.stop()


def test_xmppjs_uses_scram(strict):
    strict.new_test()
    c = Xmppjs(strict, strict.account("juliet")).start()
    assert c.mechanism.startswith("SCRAM-")
    c.stop()


def test_xmppjs_over_direct_tls(strict):
    """xmpps: (XEP-0368)"""
    strict.new_test()
    c = Xmppjs(strict, strict.account("juliet"), scheme="xmpps").start()
    c.stop()


def test_xmppjs_is_told_of_a_wrong_password(strict):
    strict.new_test()
    account = strict.account("juliet")
    account.password = "wrong"
    with pytest.raises(AssertionError, match="not-authorized"):
        c = Xmppjs(strict, account)
        try:
            c.start()
        finally:
            c.process.kill()
            c.process.wait()
