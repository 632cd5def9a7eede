"""Other people's TLS: OpenSSL, GnuTLS, Node and NSS, on whose sessions workers die

RFC 8446. The records after the handshake are our own (worker/record.c): each of these libraries
has to understand them, and we have to understand theirs.
"""
import base64

import pytest

from harness import wait, xml
from harness.tlsclients import ALL, SUITES, GnuTls, Node, OpenSsl

BIG = "y" * 70000


def available(kind, *more):
    return pytest.param(kind, *more, id="-".join((kind.__name__, *more)), marks=pytest.mark.skipif(
        bool(kind.missing()), reason=kind.missing()))


@pytest.fixture(scope="module")
def localhost(session_maker):
    """Clients that check names have to reach the host by its name."""
    return session_maker(workers=1, hosts=("localhost",))


@pytest.fixture
def server(localhost):
    localhost.new_test()
    yield localhost
    localhost.new_test()


class Session:
    """Juliet by a program, and romeo, to whom she talks."""

    def __init__(self, server, client):
        self.server, self.client, self.n = server, client, 0
        self.romeo = server.stream("romeo").login()
        self.account = server.account("juliet")

    def login(self):
        say, a = self.client.say, self.account
        header = self.romeo.header_text().replace("<?xml version='1.0'?>", "")
        plain = base64.b64encode(f"\0{a.user}\0{a.password}".encode()).decode()
        say(header, "</stream:features>")
        say(f"<auth xmlns='{xml.NS_SASL}' mechanism='PLAIN'>{plain}</auth>", "<success")
        say(header, "</stream:features>")
        said = say(f"<iq type='set' id='b'><bind xmlns='{xml.NS_BIND}'/></iq>", "</iq>")
        self.full = said.partition("<jid>")[2].partition("</jid>")[0]
        assert self.full.startswith(a.bare), said
        return self

    def talk(self, text="Wherefore?"):
        """A message in each direction"""
        self.n += 1
        self.client.say(
            f"<message to='{self.romeo.full}' id='m{self.n}'><body>{text}</body></message>"
            f"<iq type='get' id='p{self.n}'><ping xmlns='urn:xmpp:ping'/></iq>",
            f"id='p{self.n}'", f'id="p{self.n}"')
        self.romeo.expect(f"<message id='m{self.n}'><body>{text}</body></message>")
        self.romeo.send(f"<message to='{self.full}'><body>{text} end{self.n}</body></message>")
        seen = self.client.until(f"end{self.n}", pipes=[self.client.process.stdout])
        assert text in seen
        return self

    def online(self):
        return self.full in self.server.ctl_lines("connected_users")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind, mode", [available(kind, mode) for kind in ALL for mode in kind.modes])
def test_a_session_outlives_workers(server, kind, mode, suite):
    """Login, large records, key updates, and in between a kill -9; nothing is lost"""
    with kind(server, mode, suite) as client:
        juliet = Session(server, client).login().talk()
        server.kill_workers()
        juliet.talk(BIG)
        if kind.can_update_keys:
            client.key_update()
            juliet.talk()
            client.key_update(both=False)
            server.kill_workers()
            juliet.talk(BIG)


@pytest.mark.parametrize("kind", [available(OpenSsl), available(GnuTls)])
def test_many_key_updates(server, kind):
    """RFC 8446, 4.6.3: each with text under it, both ways"""
    with kind(server) as client:
        juliet = Session(server, client).login()
        for i in range(10):
            client.key_update(both=i % 2 == 0)
            juliet.talk()


@pytest.mark.parametrize("kind", [available(k) for k in (OpenSsl, GnuTls, Node)])
def test_the_client_closes(server, kind):
    """RFC 8446, 6.1: close_notify by the client ends the session"""
    with kind(server) as client:
        juliet = Session(server, client).login()
        assert juliet.online()
        client.leave()
        wait.until(lambda: not juliet.online(), "the session to end")


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
@pytest.mark.parametrize("kind", [available(k) for k in (OpenSsl, GnuTls, Node)])
def test_the_server_closes(server, kind, killed):
    """RFC 8446, 6.1: close_notify by us, which each of them tells from a mere end"""
    with kind(server) as client:
        Session(server, client).login()
        if killed:
            server.kill_workers()
        said = client.say("</stream:stream>", "</stream:stream>") + client.end()
        assert client.process.returncode == 0, said
        if kind is GnuTls:
            assert "Peer has closed the GnuTLS connection" in said
        if kind is OpenSsl:
            assert "closed" in said and "unexpected eof" not in said


def test_resumption_openssl(server, tmp_path):
    """RFC 8446, 2.2: a ticket of one worker is taken by its successor"""
    file = str(tmp_path / "session")
    with OpenSsl(server, options=("-sess_out", file)) as client:
        Session(server, client).login().talk()
        assert not client.reused()
        client.leave()
    for killed in False, True:
        if killed:
            server.kill_workers()
        with OpenSsl(server, options=("-sess_in", file)) as client:
            assert client.reused()
            juliet = Session(server, client).login().talk(BIG)
            server.kill_workers()
            client.key_update()
            juliet.talk()


@pytest.mark.skipif(bool(GnuTls.missing()), reason=GnuTls.missing())
@pytest.mark.parametrize("mode", ["direct", "starttls"])
def test_resumption_gnutls(server, mode):
    """RFC 8446, 2.2"""
    with GnuTls(server, mode, options=("--resume", "--waitresumption")) as client:
        assert client.reused()
        juliet = Session(server, client).login().talk(BIG)
        server.kill_workers()
        client.key_update()
        juliet.talk()


@pytest.mark.skipif(bool(Node.missing()), reason=Node.missing())
@pytest.mark.parametrize("mode", ["direct", "starttls"])
def test_resumption_node(server, tmp_path, mode):
    """RFC 8446, 2.2"""
    file = str(tmp_path / "session")
    with Node(server, mode, options=(file,)) as client:
        juliet = Session(server, client).login().talk()
        assert not client.reused()
        client.wait_for_ticket()
    with Node(server, mode, options=(file,)) as client:
        assert client.reused()
        juliet = Session(server, client).login().talk(BIG)
        server.kill_workers()
        juliet.talk()


@pytest.mark.parametrize("block", ["512", "16384"])
def test_padding(server, block):
    """RFC 8446, 5.4: records as long as the client likes"""
    with OpenSsl(server, options=("-record_padding", block)) as client:
        juliet = Session(server, client).login().talk()
        server.kill_workers()
        juliet.talk(BIG)


@pytest.mark.parametrize("size", [512, 1024, 2048, 4096])
def test_max_fragment_length(server, size):
    """RFC 6066, 4: a client with little memory gets no record that is longer"""
    with OpenSsl(server, options=("-maxfraglen", str(size))) as client:
        juliet = Session(server, client).login().talk(BIG)
        server.kill_workers()
        juliet.talk(BIG)


@pytest.mark.skipif(bool(GnuTls.missing()), reason=GnuTls.missing())
def test_record_size_limit(server):
    """RFC 8449: it is not negotiated, and so binds nobody"""
    with GnuTls(server, options=("--recordsize", "512")) as client:
        juliet = Session(server, client).login().talk()
        juliet.romeo.send(f"<message to='{juliet.full}'><body>{BIG} end</body></message>")
        assert BIG in client.until(" end", pipes=[client.process.stdout])
