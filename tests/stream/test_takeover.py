"""A database of ejabberd's is opened by stanzad, and then by ejabberd again

ejabberd writes it. Then its heir has it: stanzad, or ejabberd itself, which proves the
questions right. Then ejabberd has it again. Each time everything must be there, in the end also
what the heir changed. What is written and asked is in tests/harness/estate.py and its parts.
"""
import os
import re
import subprocess
import tempfile

import pytest

for name in ("estate", "estate_contacts", "estate_messages", "estate_data"):
    pytest.register_assert_rewrite(f"harness.{name}")

from harness import dump, ejabberd, estate  # noqa: E402
from harness.estate_contacts import Accounts, Last, Roster, SharedRoster, item  # noqa: E402
from harness.estate_data import Blocking, Privacy, Private, Vcard  # noqa: E402
from harness.estate_messages import Archive, Motd, Offline  # noqa: E402
from harness.server import BUILD, Server  # noqa: E402

pytestmark = pytest.mark.skipif(bool(ejabberd.missing()), reason=ejabberd.missing())

PARTS = [kind() for kind in (Accounts, Roster, SharedRoster, Last, Offline, Archive, Motd, Vcard,
                             Private, Privacy, Blocking)]
HOST = "example.net"
OURS = ("schema_version", "stanzad_write")  # tables that an old ejabberd does not have


class Chain:
    """One database and who has it; update is stanzad's option update_sql_schema."""

    def __init__(self, top, cluster, heir, multihost, update):
        self.heir, self.multihost, self.update = heir, multihost, update
        self.cluster = cluster
        self.dir = tempfile.mkdtemp(prefix="takeover", dir=top)
        os.chmod(self.dir, 0o755)
        self.ejabberd = ejabberd.Ejabberd(
            f"{self.dir}/ejabberd", cluster, multihost=multihost,
            hosts=[HOST, "example.org"] if multihost else [HOST],
            modules={"mod_mam": {"default": "always"}})
        self.servers = [self.ejabberd]
        self.world = estate.World(HOST)
        self.changed = set()
        self.idle = set()
        if heir == "stanzad":
            self.make_stanzad()

    def make_stanzad(self):
        """With ejabberd's own configuration and ports; two options are added."""
        e = self.ejabberd
        directory = tempfile.mkdtemp(prefix="s", dir=self.dir)
        os.chmod(directory, 0o755)
        s = self.stanzad = Server(directory, hosts=e.hosts)
        s.port, s.port_tls, s.cafile = e.port, e.port_tls, e.cafile
        s.config = {**e.config, "loglevel": "debug", "workers": 2}
        if not self.update:
            s.config["update_sql_schema"] = False
        s.write_config()
        self.servers.append(s)
        said = subprocess.run([f"{BUILD}/stanzad", "-t", "-c", s.conf_file], text=True,
                              capture_output=True, check=True, env=s.environment()).stderr
        self.idle = set(re.findall(r"the module (\S+) has no effect yet", said))

    def next(self):
        return self.ejabberd if self.heir == "ejabberd" else self.stanzad

    def begin(self, server, phase):
        self.world.server, self.world.phase = server.start(), phase

    def end(self):
        self.world.server.stop()

    def run(self, step):
        step(self.world)
        self.world.leave()

    def write(self):
        self.begin(self.ejabberd, "write")
        for part in PARTS:
            self.run(part.write)
        if self.multihost:
            self.write_other_host()
        self.end()

    def write_other_host(self):
        """Another juliet with a roster, a vCard and messages, which nobody should see"""
        w = estate.World("example.org")
        w.server = self.ejabberd
        juliet = w.enter("juliet")[0]
        estate.put(juliet, "<query xmlns='jabber:iq:roster'><item jid='x@example.com'/></query>")
        viola = w.login("viola")
        estate.put(viola, "<vCard xmlns='vcard-temp'><NICKNAME>Cesario</NICKNAME></vCard>")
        for user in ("absent-middle", "antony"):
            w.account(user)
            juliet.send(f"<message to='{w.bare(user)}' type='chat'><body>x</body></message>")
        estate.settle(juliet)
        w.leave()

    def need(self, part):
        missing = self.idle.intersection(part.modules)
        if missing:
            pytest.skip(f"stanzad has no {', '.join(sorted(missing))}")

    def finish(self):
        for s in reversed(self.servers):
            s.kill()


@pytest.fixture(scope="module", params=[
    ("ejabberd", False, True), ("stanzad", False, True), ("stanzad", True, False)],
    ids=["ejabberd", "stanzad", "stanzad-multihost-unchanged"])
def chain(request, top, cluster):
    c = Chain(top, cluster, *request.param)
    try:
        c.write()
        yield c
    finally:
        c.finish()


@pytest.fixture(scope="module")
def heir(chain):
    chain.begin(chain.next(), "middle")
    return chain


@pytest.fixture(scope="module")
def ejabberd_again(heir):
    heir.end()
    heir.begin(heir.ejabberd, "after")
    return heir


def test_a_start_changes_no_row(chain):
    """Columns and tables may be added; without update_sql_schema not even that."""
    before = dump.take(chain.cluster, chain.ejabberd.db_name)
    assert sum(len(rows) for _, rows in before.values()) > 200
    for _ in range(2):
        chain.begin(chain.next(), "middle")
        chain.world.command("registered_users", host=HOST)  # answered when the schema is complete
        chain.end()
        after = dump.take(chain.cluster, chain.ejabberd.db_name)
        assert dump.differences(before, after, OURS) == []
        assert chain.update or after == before


@pytest.mark.parametrize("part", PARTS, ids=lambda p: p.name())
def test_the_heir_has_what_ejabberd_left(heir, part):
    heir.need(part)
    heir.run(part.look)


@pytest.mark.parametrize("part", [p for p in PARTS if p.change], ids=lambda p: p.name())
def test_the_heir_changes_it(heir, part):
    heir.need(part)
    heir.run(part.change)
    heir.changed.add(part)


@pytest.mark.parametrize("part", PARTS, ids=lambda p: p.name())
def test_ejabberd_has_it_again(ejabberd_again, part):
    """What was changed as well as what was not"""
    changed = part in ejabberd_again.changed
    ejabberd_again.run(part.look_changed if changed else part.look)


def test_ejabberd_goes_on(ejabberd_again):
    """Every table takes the rows of the old ejabberd."""
    world = ejabberd_again.world
    a, b = world.enter("later")[0], world.enter("later-still")[0]
    ns = estate.NS
    item(a, b.bare, "", "g")
    a.send(f"<presence to='{b.bare}' type='subscribe'/>")
    estate.put(a, "<vCard xmlns='vcard-temp'><NICKNAME>l</NICKNAME></vCard>")
    estate.put(a, f"<query xmlns='{ns['private']}'><x xmlns='urn:x'/></query>")
    estate.put(a, f"<block xmlns='{ns['block']}'><item jid='x@example.com'/></block>")
    estate.put(a, f"<prefs xmlns='{ns['mam']}' default='always'><always/><never/></prefs>")
    for text, to in (("1", world.account("later-offline").bare), ("2", b.bare)):
        a.send(f"<message to='{to}' type='chat'><body>{text}</body></message>")
    estate.settle(a)
    assert [m[3] for m in Archive.read(a)] == ["1", "2"]
    assert estate.roster(a)[b.bare] == ("", "none", "subscribe", frozenset("g"))
    world.leave()
    late, came = world.enter("later-offline")
    assert "1" in estate.bodies(came)
    late.close()
    world.command("change_password", user="later", host=HOST, newpass="other")
    Accounts().can(world, "later", "other")
