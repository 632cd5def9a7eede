"""Sessions that wait for their clients outlive the whole service: XEP-0198, 5; DESIGN, 6"""
import hashlib
import os
import random
import re
import shutil
import signal
import struct
import time

import pytest

from harness import killpoints, wait, xml
from harness.disk import SmallDisk
from harness.sm import SM, ask_h, body, enable, next_nonza, next_stanza, resume, say

MODULES = {"mod_ping": {}, "mod_stream_mgmt": {}, "mod_offline": {}}
DELAY = "{urn:xmpp:delay}delay"


def saved(server):
    """The files with something in them."""
    folder = os.path.join(server.dir, "sessions")
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    return [path for path in paths if os.path.getsize(path)]


def start(server):
    """Streams of before are no longer counted."""
    server.streams = []
    return server.start()


def offline(server, stream):
    return int(server.ctl("get_offline_count", stream.account.user, stream.account.host))


def waiting(make_server, **options):
    """A server; romeo; juliet's session that waits, and its id."""
    server = make_server(config={"modules": {**MODULES, "mod_stream_mgmt": options}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    return server, romeo, juliet, previd


def kill_all(server):
    """Everything at once, as when the power fails."""
    server.kill()
    server.forget_reports()


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("worker", [0, -1])
def test_a_session_that_waits(make_server, workers, worker):
    """The next start may have another number of workers"""
    server, romeo, juliet, previd = waiting(make_server)
    say(romeo, juliet, "1", "2")
    romeo.ping()
    server.stop()
    assert offline(start(server), juliet) == 0
    if workers != 2:
        server.stop()
        server.write_config(workers=workers)
        start(server)
    assert juliet.full in server.ctl("connected_users")
    romeo = server.stream("romeo").login()
    say(romeo, juliet, "3")
    again, answer = resume(server, "juliet", previd, 0, worker=worker % workers)
    assert answer.tag == f"{{{SM}}}resumed" and answer.get("h") == "0"
    assert [body(next_stanza(again)) for _ in range(3)] == ["1", "2", "3"]
    say(romeo, juliet, "4")
    assert body(next_stanza(again)) == "4"
    again.send(f"<message to='{romeo.full}'><body>back</body></message>")
    assert body(romeo.next()) == "back"
    wait.until(lambda: not saved(server), "the file to be done with")


def test_mode_of_the_files(make_server):
    """They have messages and tokens in them"""
    server, *_ = waiting(make_server)
    server.stop()
    folder = os.path.join(server.dir, "sessions")
    [path] = saved(server)
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert os.stat(path).st_mode & 0o777 == 0o600
    start(server)
    server.stop()
    assert len(os.listdir(folder)) == 3  # those of this start, and the one that was read


def test_a_session_that_is_connected(make_server):
    """Its client loses the connection, not the stream: so it may come back"""
    server = make_server(config={"modules": MODULES})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    say(romeo, juliet, "1", "2")
    assert [body(next_stanza(juliet)) for _ in range(2)] == ["1", "2"]
    juliet.send(f"<message to='{romeo.full}'><body>mine</body></message>")
    assert body(romeo.next()) == "mine"
    server.stop()
    el = next_stanza(juliet)
    assert el.tag == f"{{{SM}}}a" and el.get("h") == "1"
    juliet.expect_closed(footer=False)
    romeo.expect_error("system-shutdown")
    start(server)
    again, answer = resume(server, "juliet", previd, 1)
    assert answer.tag == f"{{{SM}}}resumed" and answer.get("h") == "1"
    assert body(next_stanza(again)) == "2"
    ask_h(again)


def test_contacts(make_server):
    """Who waits stays available for others; who does not is seen to go, and to come"""
    server = make_server(config={"modules": {**MODULES, "mod_roster": {}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    other = server.stream("juliet", resource="other").login()
    other.presence()
    other.expect_any_order(f"<presence from='{other.full}'/>", f"<presence from='{juliet.full}'/>")
    juliet.expect(f"<presence from='{other.full}'/>")
    previd = enable(juliet)
    server.stop()
    start(server)
    third = server.stream("juliet", resource="third").login()
    third.presence()
    third.expect_any_order(f"<presence from='{third.full}'/>", f"<presence from='{juliet.full}'/>")
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    gone, come = next_stanza(again), next_stanza(again)
    assert gone.get("from") == other.full and gone.get("type") == "unavailable", xml.show(gone)
    assert come.get("from") == third.full and come.get("type") is None, xml.show(come)
    again.send("<presence><show>away</show></presence>")
    third.expect(f"<presence from='{juliet.full}'><show>away</show></presence>")


@pytest.mark.parametrize("late", [False, True])
def test_the_rest_of_its_time(make_server, late):
    """max goes on while the service is down; then the messages are stored, once, with their time"""
    server, romeo, juliet, previd = waiting(make_server, resume_timeout=4)
    say(romeo, juliet, "1")
    romeo.ping()
    sent = time.time()
    server.stop()
    if late:
        wait.until(lambda: time.time() > sent + 4, "its time to be over")
    start(server)
    wait.until(lambda: offline(server, juliet) == 1, "it to be stored")
    assert time.time() > sent + 3
    wait.until(lambda: not saved(server), "the file to be done with")
    s, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}failed"
    s.bind()
    s.send("<presence/>")
    got = [s.next(), s.next()]
    [message] = [el for el in got if el.tag == "{jabber:client}message"]
    stamp = message.find(DELAY).get("stamp")
    at = time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert abs(at - sent) < 2.5
    s.ping()


@pytest.mark.parametrize("slow", [False, True])
def test_time_that_is_over_at_the_stop(make_server, slow):
    """A moment before it, or while it takes its time: stored, once"""
    n, step, most = 24, 0.1, 2
    server = make_server(config={"modules": {**MODULES, "mod_stream_mgmt": {"max_resume_timeout": 10}}})
    romeo = server.stream("romeo").login()
    them = [server.stream(f"user{i}").login() for i in range(n)]
    for s in them:
        enable(s, f"resume='true' max='{most}'")
        say(romeo, s, "1")
    romeo.ping()
    began = time.time()
    for i, s in enumerate(them):
        wait.until(lambda: time.time() >= began + i * step, "its turn")
        s.abort()
    [sql] = [p["pid"] for p in server.processes("sql")]
    wait.until(lambda: time.time() >= began + most + n * step / 2, "half of them to be over")
    if slow:
        os.kill(sql, signal.SIGSTOP)
        romeo.send("<message to='nurse@example.net' type='chat'><body>work</body></message>")
        romeo.ping()
        server.process.send_signal(signal.SIGTERM)
        wait.until(lambda: time.time() >= began + most + n * step, "all of them to be over")
        os.kill(sql, signal.SIGCONT)
    server.stop()
    start(server)
    wait.until(lambda: sum(offline(server, s) for s in them) >= n, "all to be stored")
    wait.until(lambda: not saved(server), "the files to be done with")
    assert [offline(server, s) for s in them] == [1] * n


def set_until(path, seconds):
    """As if the clock had been so much ahead at the stop; in a file with one segment."""
    with open(path, "r+b") as f:
        data = bytearray(f.read())
        at = data.index(b"\x08until_us") + 9 + 4
        until = struct.unpack_from("q", data, at)[0] + int(seconds * 1e6)
        struct.pack_into("q", data, at, until)
        n = struct.unpack_from("I", data, 32)[0]
        head, records = bytes(data[:40]) + bytes(32), bytes(data[72 + n:])
        data[40:72] = hashlib.sha256(records + head).digest()
        f.seek(0)
        f.write(data)


def test_a_clock_that_was_wrong(make_server):
    """A session does not wait for longer than it may, however far the clock was ahead"""
    server, romeo, juliet, _ = waiting(make_server, resume_timeout=4)
    say(romeo, juliet, "1")
    romeo.ping()
    server.stop()
    [path] = saved(server)
    set_until(path, 10 * 365 * 86400)
    start(server)
    assert "is damaged" not in server.log()
    wait.until(lambda: offline(server, juliet) == 1, "it to be stored")


def test_everything_is_killed_after_the_start(make_server):
    """What nobody has got yet is still in the file"""
    server, romeo, juliet, previd = waiting(make_server)
    say(romeo, juliet, "1", "2")
    romeo.ping()
    server.stop()
    for _ in range(2):
        start(server)
        assert juliet.full in server.ctl("connected_users")
        kill_all(server)
    start(server)
    again, answer = resume(server, "juliet", previd, 1)
    assert answer.tag == f"{{{SM}}}resumed"
    assert body(next_stanza(again)) == "2"
    ask_h(again)


def test_everything_is_killed_after_it_was_resumed(make_server):
    """It does not come back from the file: what it had would come twice"""
    server, romeo, juliet, previd = waiting(make_server, resume_timeout=20)
    say(romeo, juliet, "1")
    romeo.ping()
    server.stop()
    start(server)
    again, answer = resume(server, "juliet", previd, 0)
    assert body(next_stanza(again)) == "1"
    wait.until(lambda: not saved(server), "the file to be done with")
    kill_all(server)
    start(server)
    s, answer = resume(server, "juliet", previd, 1)
    assert answer.tag == f"{{{SM}}}failed"
    assert offline(server, juliet) == 0


def test_stored_messages_for_a_session_that_waits(make_server):
    """A stop does not wait for its client, who gets them when he comes back"""
    server = make_server(config={"modules": {**MODULES, "mod_offline": {}}})
    romeo, juliet = server.pair("romeo", "juliet")
    romeo.send(f"<message to='{juliet.bare}' type='chat'><body>1</body></message>")
    wait.until(lambda: offline(server, juliet) == 1, "it to be stored")
    previd = enable(juliet)
    [sql] = [p["pid"] for p in server.processes("sql")]
    os.kill(sql, signal.SIGSTOP)
    juliet.send("<presence/>")
    next_nonza(juliet, "r", skip=("presence",))
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    os.kill(sql, signal.SIGCONT)
    server.stop()
    assert "could not be finished" not in server.log()
    start(server)
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    texts = []
    while not texts:
        el = next_stanza(again)
        texts += [body(el)] if el.tag.endswith("message") else []
    assert texts == ["1"]


def test_workers_are_killed_after_the_start(make_server):
    """Their successors know what was taken in, and what has gone since"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo").login()
    who = [server.stream(f"user{i}", worker=i % 2).login() for i in range(4)]
    ids = [enable(s) for s in who]
    for s in who:
        say(romeo, s, s.user)
    romeo.ping()
    server.stop()
    start(server)
    server.kill_workers()
    for k, slots in enumerate(([0], [1], [0, 1], [0])):
        again, answer = resume(server, f"user{k}", ids[k], 0, worker=k % 2)
        assert answer.tag == f"{{{SM}}}resumed"
        assert body(next_stanza(again)) == who[k].user
        server.kill_workers(slots)
        ask_h(again)
    wait.until(lambda: not saved(server), "the file to be done with")


def test_a_session_in_two_files(make_server):
    """All was killed when it had been saved again, and before the file of before was emptied"""
    server, romeo, juliet, previd = waiting(make_server)
    say(romeo, juliet, "1")
    romeo.ping()
    server.stop()
    [path] = saved(server)
    old = path.replace("sessions/", "sessions/9")
    shutil.copy(path, old)
    start(server)
    romeo = server.stream("romeo").login()
    say(romeo, juliet, "2")
    romeo.ping()
    keep = os.path.join(server.base, "keep")
    shutil.copy(path, keep)
    server.stop()
    shutil.copy(keep, old)
    start(server)
    assert server.ctl("connected_users_number") == "1"
    again, answer = resume(server, "juliet", previd, 0)
    assert [body(next_stanza(again)) for _ in range(2)] == ["1", "2"]
    ask_h(again)
    wait.until(lambda: not saved(server), "the files to be done with")


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99, "garbled"])
def test_a_damaged_file(make_server, part):
    """Everything was killed while it was being written: there is nothing in it"""
    server, romeo, juliet, previd = waiting(make_server)
    say(romeo, juliet, "1")
    romeo.ping()
    server.stop()
    [path] = saved(server)
    with open(path, "r+b") as f:
        if part == "garbled":
            f.seek(os.path.getsize(path) // 2)
            f.write(b"\0\xff\0\xff")
        else:
            f.truncate(int(os.path.getsize(path) * part) or 1)
    start(server)
    assert "is damaged" in server.log()
    assert juliet.full not in server.ctl("connected_users")
    s, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}failed"
    assert saved(server) == [path]


def test_there_is_no_file(make_server):
    """As without all this: it goes to offline storage"""
    server = make_server(start=False, config={"modules": MODULES})
    open(os.path.join(server.dir, "sessions"), "w").close()
    server.start()
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    enable(juliet)
    say(romeo, juliet, "1", "2")
    romeo.ping()
    server.stop()
    assert "cannot open the folder" in server.log()
    start(server)
    assert offline(server, juliet) == 2


@pytest.mark.parametrize("full", ["at once", "almost"])
def test_a_full_disk(make_server, full):
    """What cannot be saved goes to offline storage; what could be stays saved"""
    server = make_server(start=False, config={"modules": MODULES})
    with SmallDisk(os.path.join(server.dir, "sessions"), 64 << 10) as disk:
        server.start()
        romeo, juliet = server.pair("romeo", "juliet", until="online")
        nurse = server.stream("nurse", worker=0).login()
        previd = enable(nurse)
        enable(juliet)
        say(romeo, nurse, "small")
        say(romeo, juliet, *(f"{i} {'x' * 10000}" for i in range(10)))
        romeo.ping()
        if full == "at once":
            disk.fill()
        server.stop()
        assert server.log().count("cannot save sessions") == (2 if full == "at once" else 1)
        start(server)
        assert offline(server, juliet) == 10
        if full == "at once":
            assert offline(server, nurse) == 1
        else:
            again, answer = resume(server, "nurse", previd, 0)
            assert answer.tag == f"{{{SM}}}resumed"
            assert body(next_stanza(again)) == "small"
        server.stop()


@pytest.mark.parametrize("full", [False, True])
def test_a_worker_dies_at_the_stop(make_server, full):
    """What it has is in its slot, which ends with the service: another one saves it, or gives it back"""
    server = make_server(start=False, config={"modules": MODULES})
    with SmallDisk(os.path.join(server.dir, "sessions"), 64 << 10) as disk:
        server.start()
        romeo, juliet, nurse = (server.stream(name, worker=w).login() for name, w in (
            ("romeo", 0), ("juliet", 1), ("nurse", 1)))
        ids = {s.user: enable(s) for s in (juliet, nurse)}
        for s in (juliet, nurse):
            say(romeo, s, "1", "2")
        romeo.ping()
        juliet.abort()
        wait.until(lambda: "waits for" in server.log(), "the session to wait")
        if full:
            disk.fill()
        [pid] = [p["pid"] for p in server.processes("worker") if p["slot"] == 1]
        os.kill(pid, signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        server.wait_log(r"master: stopping")
        os.kill(pid, signal.SIGKILL)
        assert server.process.wait(60) == 0
        server.process = None
        assert "another one goes on" in server.log()
        server.forget_reports()
        start(server)
        for name in ("juliet", "nurse"):
            if full:
                assert int(server.ctl("get_offline_count", name, "example.net")) == 2
                continue
            again, answer = resume(server, name, ids[name], 1)
            assert answer.tag == f"{{{SM}}}resumed"
            assert body(next_stanza(again)) == "2"
            ask_h(again)
        server.stop()


def has_all(server, who, ids):
    """After the start: each session is there, with the two messages that it had."""
    for s in who:
        again, answer = resume(server, s.user, ids[s.user], 0)
        assert answer.tag == f"{{{SM}}}resumed"
        assert [body(next_stanza(again)) for _ in range(2)] == ["1", "2"]
        ask_h(again)


def two_with_messages(server):
    """Both in worker 1, one of them waiting; their ids."""
    romeo, juliet, nurse = (server.stream(name, worker=w).login() for name, w in (
        ("romeo", 0), ("juliet", 1), ("nurse", 1)))
    ids = {s.user: enable(s) for s in (juliet, nurse)}
    for s in (juliet, nurse):
        say(romeo, s, "1", "2")
    romeo.ping()
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    return (juliet, nurse), ids


def pid_of_worker(server, slot):
    [pid] = [p["pid"] for p in server.processes("worker") if p["slot"] == slot]
    return pid


def test_a_stop_while_a_worker_makes_room(make_server):
    """It waits for a TLS handshake, and no successor will come"""
    server = make_server(config={"modules": MODULES})
    who, ids = two_with_messages(server)
    idle = server.stream("idle", worker=1).connect().open()
    idle.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    idle.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    command = server.spawn_ctl("restart", "worker", "1")
    server.wait_log("is replaced as planned")
    server.stop()
    command.wait(wait.PATIENCE)
    start(server)
    has_all(server, who, ids)


def test_a_stop_while_a_worker_is_down(make_server):
    """It has died again and again, and would be started later"""
    server = make_server(config={"modules": MODULES})
    who, ids = two_with_messages(server)
    end, again = time.monotonic() + wait.PATIENCE, r"worker 1 is started again in [0-9.]+ seconds"
    while not re.search(again, server.log()) and time.monotonic() < end:
        kill_named(server, "stanzad: worker 1")
    server.stop()
    server.forget_reports()
    start(server)
    has_all(server, who, ids)


def test_a_worker_dies_at_the_stop_of_another_master(make_server):
    """Whose child it is not: nobody says how it has ended"""
    server = make_server(config={"modules": MODULES})
    who, ids = two_with_messages(server)
    server.kill_master()
    server.start()
    pid = pid_of_worker(server, 1)
    os.kill(pid, signal.SIGSTOP)
    server.process.send_signal(signal.SIGTERM)
    server.wait_log(r"master: stopping")
    os.kill(pid, signal.SIGKILL)
    assert server.process.wait(60) == 0
    server.process = None
    server.forget_reports()
    start(server)
    has_all(server, who, ids)


def test_a_worker_comes_late_to_the_stop(make_server):
    """A successor that waits for its sockets: what it gives back still finds the others there"""
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo", worker=0).login()
    them = [server.stream(f"user{i}", worker=1).login() for i in range(8)]
    for s in them:
        enable(s, "")  # cannot be resumed: it ends, and its messages are stored
        say(romeo, s, "1")
    romeo.ping()
    [keeper] = [p["pid"] for p in server.processes("keeper") if p["slot"] == 1]
    pid = pid_of_worker(server, 1)
    for p in (keeper, pid):
        os.kill(p, signal.SIGSTOP)
    server.process.send_signal(signal.SIGTERM)
    server.wait_log(r"master: stopping")
    os.kill(pid, signal.SIGKILL)
    server.wait_log("another one goes on")
    end = time.monotonic() + 1
    wait.until(lambda: time.monotonic() > end, "a second, in which the others could have ended")
    os.kill(keeper, signal.SIGCONT)
    assert server.process.wait(60) == 0
    server.process = None
    server.forget_reports()
    start(server)
    assert [offline(server, s) for s in them] == [1] * 8


@pytest.mark.parametrize("who", ["everybody", "worker 0", "worker"])
def test_kills_within_the_start(make_server, who):
    """At random moments while sessions are taken in: afterwards each is there once, with all it had"""
    n, rng = 30, random.Random(len(who))
    server = make_server(config={"modules": MODULES, "loglevel": "info"})
    romeo = server.stream("romeo").login()
    them = [server.stream(f"user{i}").login() for i in range(n)]
    ids = [enable(s) for s in them]
    for s in them:
        say(romeo, s, *map(str, range(5)))
    romeo.ping()
    server.stop()
    if who == "everybody":
        for _ in range(8):
            server.streams = []
            server.start(ready=False)
            time.sleep(rng.random() * 0.6)  # the rhythm of the attack, not a wait for something
            kill_all(server)
        start(server)
    else:
        server.streams = []
        server.start(ready=False)
        for _ in range(10):
            kill_named(server, f"stanzad: {who}")
            time.sleep(rng.random() * 0.05)
        server.wait_ready()
        server.forget_reports()
    wait.until(lambda: server.ctl("connected_users_number") == str(n), "all sessions")
    for i in range(n):
        again, answer = resume(server, f"user{i}", ids[i], 2)
        assert answer.tag == f"{{{SM}}}resumed", i
        assert [body(next_stanza(again)) for _ in range(3)] == list("234")
        ask_h(again)
    wait.until(lambda: not saved(server), "the file to be done with")
    assert [offline(server, s) for s in them] == [0] * n


@pytest.mark.parametrize("point, n", [pytest.param(p, n, id=f"{p.name}@{n}") for p in killpoints.POINTS
                                      for n in (1, 3) if p.when in ("SAVED", "GONE") and n <= (3 if p.name in (
                                          "saved:one", "saved:gone", "saved:marked") else 1)])
def test_a_worker_dies_while_sessions_are_taken_in(make_server, point, n):
    """At each point at which the file and the slot differ"""
    server = make_server(start=False, config={"modules": MODULES})
    if not server.can_kill_at_points():
        pytest.skip("built without killpoints")
    page = killpoints.Page(os.path.join(server.base, "page"))
    server.start(env=page.environment())
    romeo = server.stream("romeo").login()
    them = [server.stream(f"user{i}", worker=i % 2).login() for i in range(4)]
    ids = [enable(s) for s in them]
    for s in them:
        say(romeo, s, *map(str, range(3)))
    romeo.ping()
    server.stop()
    server.streams = []
    if point.when == "SAVED":
        page.arm(point.name, "worker", n)
    server.start(ready=False, env=page.environment())
    if point.when == "SAVED":
        wait.until(lambda: page.killed(point.name)[0], "the death")
    server.wait_ready()
    if point.when == "GONE":
        page.arm(point.name, "worker", n)
    for i in range(4):
        again, answer = resume(server, f"user{i}", ids[i], 1)
        assert answer.tag == f"{{{SM}}}resumed", i
        assert [body(next_stanza(again)) for _ in range(2)] == list("12")
        if i == n - 1 and point.when == "GONE":
            wait.until(lambda: page.killed(point.name)[0], "the death")
        ask_h(again)
    assert page.killed(point.name)[0]
    wait.until(lambda: not saved(server), "the file to be done with")
    assert [offline(server, s) for s in them] == [0] * 4
    server.forget_reports()


def kill_named(server, name):
    for pid in server.pids_left():
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if f.read().startswith(name):
                    os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def test_many_sessions(make_server):
    """From all workers, with what came for them until the end; and how long it takes"""
    n = 60
    server = make_server(config={"modules": MODULES})
    romeo = server.stream("romeo").login()
    who = [server.stream(f"user{i}").login() for i in range(n)]
    ids = [enable(s) for s in who]
    for s in who:
        say(romeo, s, *map(str, range(10)))
    romeo.ping()
    for s in who[::2]:
        s.abort()
    server.stop()
    start(server)
    assert server.ctl("connected_users_number") == str(n)
    for i in range(n):
        again, answer = resume(server, f"user{i}", ids[i], 3)
        assert answer.tag == f"{{{SM}}}resumed"
        assert [body(next_stanza(again)) for _ in range(7)] == list("3456789")
        again.close()
    wait.until(lambda: not saved(server), "the file to be done with")
