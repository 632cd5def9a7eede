"""Overload and outage: DESIGN, promises 2 and 4

A process that stands still for a while (SIGSTOP, as on a machine that swaps), a database that
is away, a full disk: who causes the work has to wait, others do not; memory stays bounded; and
afterwards all that was acknowledged is there, once and in order.
"""
import os
import signal
import sqlite3
import time

import pytest

from harness import pgsql, wait, xml
from harness.crowd import Memory, PingPong, Receiver, Sender, small_buffers
from harness.disk import SmallDisk
from harness.sm import SM, enable

SM_MODULES = {"mod_ping": {}, "mod_stream_mgmt": {}}


class Standstill:
    """A process gets no time within the block."""

    def __init__(self, server, role, slot=0):
        [self.pid] = [p["pid"] for p in server.processes(role) if p["slot"] == slot]

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def measure(name, **figures):
    """For who wants to see them: pytest -s"""
    print(f"\n{name}: " + ", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}"
                                     for k, v in figures.items()))


@pytest.mark.parametrize("tls", [True, False])
def test_a_worker_stands_still(make_server, tls):
    """Its senders wait; others of the same worker do not notice"""
    n, size, seconds = 20000, 1000, 3
    server = make_server(config={"loglevel": "info", "modules": {"mod_ping": {}}},
                         listen={"max_fsm_queue": 100000})  # this client is slower than the server
    options = {} if tls else {"mode": "plain"}
    a, b = server.stream("a", worker=0, **options).login(), server.stream("b", worker=0, **options).login()
    juliet = server.stream("juliet", worker=1, **options).login()
    romeos = [small_buffers(server.stream("romeo", worker=0, **options).login()) for i in range(2)]
    memory = Memory(p["pid"] for p in server.processes() if p["role"] in ("worker", "router"))
    senders = [Sender(s, juliet.full, n // 2, size, first=i * n // 2) for i, s in enumerate(romeos)]
    receiver, others = Receiver(juliet, n), PingPong(a, b)
    memory.start()
    others.start()
    with Standstill(server, "worker", 1):
        for t in senders:
            t.start()
        wait.until(lambda: others.n > 0, "the others to begin")
        before = others.n
        time.sleep(seconds)  # so long it stands still
        during, sent = others.n - before, sum(t.sent for t in senders)
    receiver.start()
    for t in senders:
        t.finish()
    receiver.finish()
    others.stop()
    growth = memory.stop()
    for i in range(2):  # each sender's in its order, each once
        mine = [k for k in receiver.got if k // (n // 2) == i]
        assert mine == list(range(i * n // 2, (i + 1) * n // 2))
    measure("a worker stood still", sent_meanwhile=sent, of=n, others_round_trips=during,
            their_longest_s=others.longest, growth_mib=max(growth.values()))
    assert sent * size < 12 << 20, "the senders were not slowed down"
    assert during > 100 and others.longest < seconds / 2
    assert max(growth.values()) < 48


def count(server, account):
    return int(server.ctl("get_offline_count", account.user, account.host))


class Acknowledged(Sender):
    """Asks from time to time what the server has taken over (XEP-0198), and notes it."""

    h = 0
    errors = 0

    def run_(self):
        enable(self.stream, "")
        super().run_()
        self.wait_for_all()

    def wait_for_all(self):
        """All were handled; how many of them were refused."""
        self.stream.send(f"<r xmlns='{SM}'/>")
        while self.h < self.n:
            el = self.stream.next(timeout=60)
            if el.tag == f"{{{SM}}}a":
                self.h = int(el.get("h"))
            elif el.get("type") == "error":
                self.errors += 1


def test_the_database_process_stands_still(make_server):
    """What is to be stored waits in the slots; talk between those who are there goes on"""
    n, seconds = 1000, 3
    server = make_server(config={"loglevel": "info", "modules": {**SM_MODULES, "mod_offline": {}},
                                 "shaper_rules": {"max_user_offline_messages": "infinity"}})
    a, b = server.pair("a", "b")
    absent = [server.account(f"absent{i}") for i in range(4)]
    senders = [Acknowledged(server.stream(f"romeo{i}").login(), absent[i].bare, n) for i in range(4)]
    memory = Memory(p["pid"] for p in server.processes() if p["role"] == "worker")
    others = PingPong(a, b)
    memory.start()
    others.start()
    with Standstill(server, "sql"):
        for t in senders:
            t.start()
        before = others.n
        time.sleep(seconds)
        during = others.n - before
    for t in senders:
        t.finish()
    wait.until(lambda: [count_rows(server, x) for x in absent] == [n] * 4, "all to be stored", 60)
    others.stop()
    growth = memory.stop()
    measure("sql stood still", stored=4 * n, others_round_trips=during, their_longest_s=others.longest,
            growth_mib=max(growth.values()))
    assert [t.errors for t in senders] == [0] * 4
    assert during > 100 and others.longest < seconds / 2
    assert max(growth.values()) < 200
    juliet = server.stream("absent0")
    juliet.login()
    receiver = Receiver(juliet, n)
    juliet.send("<presence/>")
    receiver.start()
    receiver.finish()
    assert receiver.got == list(range(n))


def test_the_router_stands_still(make_server):
    """Who changes presence again and again waits for it, and who binds; others go on"""
    seconds = 3
    server = make_server(config={"loglevel": "info", "modules": {"mod_ping": {}}})
    a, b = server.pair("a", "b")
    noisy = small_buffers(server.stream("noisy", worker=0).login())
    memory = Memory(p["pid"] for p in server.processes() if p["role"] == "worker")
    others = PingPong(a, b)
    memory.start()
    others.start()
    sent = 0
    status = "x" * 10000
    with Standstill(server, "router"):
        noisy.sock.settimeout(0.2)
        end = time.monotonic() + seconds
        before = others.n
        newcomer = server.stream("newcomer").login(until="features")
        newcomer.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        while time.monotonic() < end:
            text = f"<presence><status>{sent} {status}</status></presence>".encode()
            noisy.tls.write(text)
            data = noisy.tls.pending()
            while data and time.monotonic() < end:
                try:
                    data = data[noisy.sock.send(data):]
                except OSError:
                    pass
            if not data:
                sent += 1
        during = others.n - before
    noisy.sock.settimeout(30)
    noisy.sock.sendall(data)
    newcomer.expect("<iq type='result' id='b'/>")
    newcomer.ping()
    others.stop()
    growth = memory.stop()
    measure("the router stood still", presences=sent, others_round_trips=during,
            their_longest_s=others.longest, growth_mib=max(growth.values()))
    assert sent * len(status) < 12 << 20, "the noisy one was not slowed down"
    assert during > 100 and others.longest < seconds / 2
    assert max(growth.values()) < 48
    noisy.send("<presence><status>the last</status></presence>")
    late = server.stream("noisy", worker=1).login()
    late.presence()
    wait.until(lambda: "the last" in xml.show(late.next()), "the last of them to be seen")


@pytest.mark.parametrize("role", ["auth", "keeper"])
def test_others_that_stand_still(make_server, role):
    """Logins wait for auth, and for nobody else; whoever is there goes on"""
    seconds = 3
    server = make_server(config={"loglevel": "info", "modules": {"mod_ping": {}}})
    a, b = server.pair("a", "b")
    server.account("newcomer")
    others = PingPong(a, b)
    others.start()
    with Standstill(server, role):
        before = others.n
        end = time.monotonic() + seconds
        begin = time.monotonic()
        newcomers = []
        if role == "keeper":
            newcomers = [server.stream("newcomer").login() for _ in range(20)]
        else:
            s = server.stream("newcomer").login(until="tls")
            s.sasl_send("auth", b"\0newcomer\0pw of newcomer", "PLAIN")
            newcomers = [s]
        took = time.monotonic() - begin
        while time.monotonic() < end:
            time.sleep(0.05)
        during = others.n - before
    if role == "auth":
        newcomers[0].sasl_next("success")
        newcomers[0].open().bind()
    for s in newcomers:
        s.ping()
    others.stop()
    server.kill_workers()  # the keeper has got the sockets of those who came meanwhile
    for s in newcomers:
        s.ping()
    measure(f"{role} stood still", others_round_trips=during, their_longest_s=others.longest, logins_s=took)
    assert during > 100 and others.longest < seconds / 2


def test_the_database_is_away(make_server, top):
    """For a while; afterwards what was acknowledged is there, once, in its order: in the store and in the archive"""
    n, seconds = 500, 5
    own = pgsql.Cluster(os.path.join(top, "away"))
    own.create()
    try:
        server = make_server(database="pgsql", start=False)
        server.write_config(**own.config(own.database()), loglevel="info",
                            modules={**SM_MODULES, "mod_offline": {}, "mod_mam": {"default": "always"}},
                            shaper_rules={"max_user_offline_messages": "infinity"})
        server.start()
        a, b = server.pair("a", "b")
        absent = [server.account(f"absent{i}") for i in range(3)]
        senders = [Acknowledged(server.stream(f"romeo{i}").login(), absent[i].bare, n) for i in range(3)]
        memory = Memory(p["pid"] for p in server.processes() if p["role"] in ("worker", "sql"))
        others = PingPong(a, b)
        memory.start()
        others.start()
        own.stop()
        for t in senders:
            t.start()
        before = others.n
        time.sleep(seconds)
        during = others.n - before
        for t in senders:
            t.finish()  # acknowledged while there is no database
        refused = sum(t.errors for t in senders)
        others.stop()
        server.kill_workers()  # it is in the slots
        own.start()
        back = time.monotonic()
        c = own.connect(server.config["sql_database"])
        cursor = c.cursor()

        def stored():
            cursor.execute("select username, count(*) from spool group by username order by username")
            return cursor.fetchall()

        wait.until(lambda: stored() == [(x.user, n) for x in absent], "all to be stored", 60)
        took = time.monotonic() - back
        growth = memory.stop()

        def archived(user):
            cursor.execute("select txt from archive where username = %s order by timestamp", [user])
            return [int(txt.split()[0]) for (txt,) in cursor.fetchall()]

        for i in range(3):
            for user in (absent[i].user, f"romeo{i}"):
                wait.until(lambda: len(archived(user)) == n, f"the archive of {user}", 60)
                assert archived(user) == list(range(n))
        c.close()
        measure("the database was away", stored=3 * n, refused=refused, within_s=took, others_round_trips=during,
                their_longest_s=others.longest, growth_mib=max(growth.values()))
        assert refused == 0 and during > 50
        juliet = server.stream("absent0").login()
        juliet.send("<presence/>")
        receiver = Receiver(juliet, n)
        receiver.start()
        receiver.finish()
        assert receiver.got == list(range(n))
        server.stop()
    finally:
        own.stop()


def test_somebody_comes_while_the_database_is_away(make_server, top):
    """Not for long: then live messages still wait for those that are stored"""
    own = pgsql.Cluster(os.path.join(top, "short"))
    own.create()
    try:
        server = make_server(database="pgsql", start=False)
        server.write_config(**own.config(own.database()), modules={**SM_MODULES, "mod_offline": {}})
        server.start()
        romeo, juliet = server.pair("romeo", "juliet")
        for i in range(3):
            romeo.send(f"<message to='{juliet.bare}' type='chat'><body>{i}</body></message>")
        wait.until(lambda: server.ctl("get_offline_count", "juliet", "example.net") == "3", "all to be stored")
        own.stop()
        juliet.send("<presence/>")
        juliet.expect(f"<presence from='{juliet.full}'/>")
        romeo.send(f"<message to='{juliet.bare}' type='chat'><body>3</body></message>")
        romeo.ping()
        juliet.ping()
        own.start()
        for i in range(4):
            juliet.expect(f"<message><body>{i}</body></message>")
    finally:
        own.stop()


def test_a_stop_while_the_database_is_away(make_server, top):
    """It comes back some seconds later: what was acknowledged has waited for it"""
    n = 20
    own = pgsql.Cluster(os.path.join(top, "stop"))
    own.create()
    try:
        server = make_server(database="pgsql", start=False)
        server.write_config(**own.config(own.database()), loglevel="info",
                            modules={**SM_MODULES, "mod_offline": {}})
        server.start()
        absent = server.account("absent")
        sender = Acknowledged(server.stream("romeo").login(), absent.bare, n)
        server.stream("absent").login()  # the account is known when the database goes
        own.stop()
        sender.start()
        sender.finish()
        assert sender.errors == 0
        server.process.send_signal(signal.SIGTERM)
        server.wait_log(r"master: stopping")
        end = time.monotonic() + 5
        wait.until(lambda: time.monotonic() > end, "more time than a stop takes otherwise")
        own.start()
        assert server.process.wait(60) == 0
        server.process = None
        assert "could not be finished" not in server.log()
        c = own.connect(server.config["sql_database"])
        cursor = c.cursor()
        cursor.execute("select count(*) from spool")
        assert cursor.fetchone()[0] == n
        c.close()
    finally:
        own.stop()


def test_the_database_is_back(make_server, top):
    """What was refused again and again is tried at once, not when its next time has come"""
    own = pgsql.Cluster(os.path.join(top, "back"))
    own.create()
    try:
        server = make_server(database="pgsql", start=False)
        server.write_config(**own.config(own.database()), workers=1, sql_query_timeout=1, loglevel="info",
                            modules={**SM_MODULES, "mod_offline": {}})
        server.start()
        absent = server.account("absent")
        sender = Acknowledged(server.stream("romeo").login(), absent.bare, 3)
        juliet = server.stream("absent").login()  # the account is known when the database goes
        own.stop()
        sender.start()
        sender.finish()
        time.sleep(10)  # so that the next try is seconds away
        own.start()
        server.wait_log(r"is back")
        begin = time.monotonic()
        c = own.connect(server.config["sql_database"])
        cursor = c.cursor()

        def stored():
            cursor.execute("select count(*) from spool")
            return cursor.fetchone()[0]

        wait.until(lambda: stored() == 3, "all to be stored", 30)
        took = time.monotonic() - begin
        c.close()
        measure("the database came back", stored=3, within_s=took)
        assert took < 2
        juliet.close()
        server.stop()
    finally:
        own.stop()


def test_the_disk_is_full(make_server):
    """SQLite cannot write: messages wait or are refused, none that was taken is lost; it goes on when there is room"""
    n = 400
    server = make_server(start=False, config={
        "loglevel": "info", "modules": {**SM_MODULES, "mod_offline": {}},
        "shaper_rules": {"max_user_offline_messages": "infinity"}})
    with SmallDisk(os.path.join(server.dir, "sqlite"), 16 << 20) as disk:
        server.start()
        a, b = server.pair("a", "b")
        absent = server.account("absent")
        romeo = server.stream("romeo").login()
        others = PingPong(a, b)
        others.start()
        disk.fill()
        sender = Acknowledged(romeo, absent.bare, n, size=20000)
        sender.start()
        before = others.n
        wait.until(lambda: sender.h == n or sender.error, "all to be acknowledged", 60)
        wait.until(lambda: "full" in server.log(), "the disk to be found full")
        during = others.n - before
        sender.finish()
        at_full = count_rows(server, absent)
        server.kill_workers()
        disk.make_room()
        left = n - sender.errors
        wait.until(lambda: count(server, absent) == left, f"{left} messages to be stored", 90)
        others.stop()
        measure("the disk was full", acknowledged=n, refused=sender.errors, stored_meanwhile=at_full,
                others_round_trips=during, their_longest_s=others.longest)
        assert others.longest < 2
        juliet = server.stream("absent").login()
        juliet.send("<presence/>")
        receiver = Receiver(juliet, left)
        receiver.start()
        receiver.finish()
        assert receiver.got == sorted(set(receiver.got))
        server.stop()


def count_rows(server, account):
    c = sqlite3.connect(f"file:{server.dir}/sqlite/{account.host}.sqlite?mode=ro", uri=True, timeout=20)
    [[n]] = c.execute("select count(*) from spool where username = ?", [account.user])
    c.close()
    return n


@pytest.mark.parametrize("n, size, accounts", [(3200, 100000, 300), (10000, 30000, 1000)])
def test_too_much_waits_for_the_database(make_server, n, size, accounts):
    """What may wait in a slot is bounded (256 MB); beyond it senders are told, and others do not notice"""
    server = make_server(workers=1, asan="quarantine_size_mb=16", config={
        "loglevel": "info", "modules": {**SM_MODULES, "mod_offline": {}},
        "shaper_rules": {"max_user_offline_messages": "infinity"}})
    a, b = server.stream("a").login(), server.stream("b").login()
    sender = Flood(server.stream("romeo").login(), n, size, accounts)
    others = PingPong(a, b)
    memory = Memory(p["pid"] for p in server.processes() if p["role"] in ("worker", "sql"))
    register_many(server, accounts)
    memory.start()
    others.start()
    with Standstill(server, "sql"):
        before = others.n
        begin = time.monotonic()
        sender.start()
        sender.finish()
        took = time.monotonic() - begin
        during = others.n - before
    taken = n - sender.errors
    c = sqlite3.connect(f"file:{server.dir}/sqlite/example.net.sqlite?mode=ro", uri=True, timeout=20)
    wait.until(lambda: c.execute("select count(*) from spool").fetchone()[0] == taken, f"{taken} to be stored", 120)
    for i in range(0, accounts, 37):  # in their order, each once
        rows = c.execute("select substr(xml, instr(xml, '<body>') + 6, 5) from spool where username = ? order by seq",
                         [f"absent{i}"]).fetchall()
        got = [int(text.split()[0]) for (text,) in rows]
        assert got == sorted(set(got)) and all(k % accounts == i for k in got)
    c.close()
    others.stop()
    growth = memory.stop()
    measure("too much waited", sent=n, refused=sender.errors, took_s=took, others_round_trips=during,
            their_longest_s=others.longest, growth_mib=max(growth.values()))
    assert 0 < sender.errors < n // 2
    assert during > 50 and others.longest < took * 3 / 4
    assert "reading from clients pauses" not in server.log()
    assert max(growth.values()) < 450


def register_many(server, n):
    """absent0, absent1 …: copies of the first."""
    server.ctl("register", "absent0", "example.net", "secret")
    c = sqlite3.connect(f"{server.dir}/sqlite/example.net.sqlite", timeout=20)
    c.execute("create temp table one as select * from users where username = 'absent0'")
    for i in range(1, n):
        c.execute("update one set username = ?", [f"absent{i}"])
        c.execute("insert into users select * from one")
    c.commit()
    c.close()


class Flood(Acknowledged):
    """Messages for many accounts in turn."""

    def __init__(self, stream, n, size, accounts):
        super().__init__(stream, None, n, size)
        self.accounts = accounts

    def run_(self):
        enable(self.stream, "")
        self.stream.patience = 120
        for i in range(self.n):
            self.stream.send(f"<message to='absent{i % self.accounts}@example.net' type='chat' id='{i}'>"
                             f"<body>{i} {self.filler}</body></message>")
        self.wait_for_all()
