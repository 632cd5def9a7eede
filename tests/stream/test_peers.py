"""The other servers that we test with: they run, and federate with each other

Nothing of ours takes part; what fails here is a matter of the harness.
"""
import os
import tempfile

import pytest

from harness import dns, ejabberd, prosody
from harness.estate import ask, await_one, settle

pytestmark = pytest.mark.skipif(
    bool(ejabberd.missing() or prosody.missing()),
    reason=ejabberd.missing() or prosody.missing())


@pytest.fixture(scope="module")
def peers(top, cluster):
    directory = tempfile.mkdtemp(prefix="peers", dir=top)
    os.chmod(directory, 0o755)
    names = dns.Server()
    p = prosody.Prosody(f"{directory}/prosody", dns=names.port)
    e = ejabberd.Ejabberd(f"{directory}/ejabberd", cluster, dns=names.port, cafiles=[p.cafile])
    names.add("example.org", xmpp_server=p.port_s2s)
    names.add("example.net", xmpp_server=e.port_s2s)
    try:
        p.start()
        e.start()
        yield p, e
        p.stop()
        e.stop()
    finally:
        p.kill()
        e.kill()
        names.stop()


def test_they_send_to_each_other(peers):
    p, e = peers
    romeo = p.stream(p.register("romeo")).login()
    juliet = e.stream(e.register("juliet")).login()
    for a, b in ((romeo, juliet), (juliet, romeo)):
        a.send(f"<message to='{b.full}' type='chat'><body>Hi {b.user}</body></message>")
        await_one(b, f"<message from='{a.full}'><body>Hi {b.user}</body></message>")
    answer, _ = ask(romeo, "<ping xmlns='urn:xmpp:ping'/>", to="example.net")
    assert answer.get("type") == "result"
    settle(romeo, juliet)


def test_they_listen_on_loopback_only(peers):
    for peer in peers:
        found = listening(peer.process.pid)
        assert found and {address for address, _ in found} == {"0100007F"}, found
        assert {port for _, port in found} == {
            v for k, v in vars(peer).items() if k == "port" or k.startswith("port_")}


def listening(pid):
    """{(address, port)} of TCP sockets of all processes in the session of this one"""
    inodes = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(name)) == pid:
                inodes.update(os.readlink(f"/proc/{name}/fd/{fd}")
                              for fd in os.listdir(f"/proc/{name}/fd"))
        except OSError:
            pass
    found = set()
    for table in ("tcp", "tcp6"):
        if os.path.exists(f"/proc/net/{table}"):
            with open(f"/proc/net/{table}") as f:
                for fields in map(str.split, list(f)[1:]):
                    if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                        address, _, port = fields[1].partition(":")
                        found.add((address, int(port, 16)))
    return found


def test_direct_tls(peers):
    p, e = peers
    p.stream(p.register("benvolio"), mode="direct").login().ping()
    e.stream(e.register("nurse"), mode="direct").login().ping()
