"""Upgrades: another program takes the place of the running one, and nobody notices

DESIGN: "A planned restart or upgrade uses the same way". The programs here are copies, with
modules of their own beside them; some are broken by a module that is no good.
"""
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from harness import load, program, wait
from harness.roster import befriend, online
from harness.server import BUILD, ROOT
from test_sm import body, enable, next_stanza, resume

# What is wrong with a worker of a program: code that runs when its modules are loaded.
DIES_AT_ONCE = "raise(SIGKILL);"
DIES_SOON = "alarm(2);"
HANGS = "for (;;) pause();"


@pytest.fixture
def make_program(top):
    """Another copy of the program; worse: what its workers do at their start."""
    def make(worse=None):
        path = program.copy(tempfile.mkdtemp(prefix="program-", dir=top))
        if worse:
            source = os.path.join(os.path.dirname(path), "bad.c")
            with open(source, "w") as f:
                f.write("#include <signal.h>\n#include <unistd.h>\n#include <sys/prctl.h>\n"
                        "static void __attribute__((constructor)) bad(void) {\n" + worse + "\n}\n")
            subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", os.path.join(
                os.path.dirname(path), "modules", "mod_bad.so"), source], check=True)
        return path
    return make


def programs(server):
    """The path that each process is executed from."""
    server.wait_ready()
    return {(p["role"], p["slot"]): os.readlink(f"/proc/{p['pid']}/exe") for p in server.processes()}


def executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def title(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read()
    except OSError:
        return ""


def pids(server):
    return {(p["role"], p["slot"]): p["pid"] for p in server.processes()}


def report(server):
    status, out, _ = server.ctl_status("progress", "--json")
    return status, json.loads(out)


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_everybody_runs_the_new_program(make_server, make_program, tls):
    """Under load: no connection, no message lost, none repeated; the master has its pid"""
    old, new = make_program(), make_program()
    server = make_server(workers=2, program=old, config={"loglevel": "info"})
    load.prepare(server)
    before = pids(server)
    assert set(programs(server).values()) == {old}
    clients = load.Load(server, tls, 14)
    out = server.ctl("upgrade", new)
    result = clients.result()
    assert (result["lost"], result["repeated"], result["stalled_pairs"]) == (0, 0, 0), result
    assert result["messages"] > 100
    assert set(programs(server).values()) == {new}
    after = pids(server)
    assert {name for name in after if after[name] == before[name]} == {("master", 0)}
    lines = out.splitlines()
    assert re.search(r"program .*stanzad \S+, layout \d+, accepts the configuration", lines[1])
    assert " worker 0 " in lines[2] and " master " in lines[-1]


def test_what_was_installed_over_it(make_server, make_program):
    """A package manager replaces the file: who dies is started from the old one until then"""
    old, new = make_program(), make_program()
    server = make_server(workers=1, program=old)
    juliet = server.stream().login(until="online")
    os.rename(new, old)
    server.kill_workers()
    juliet.ping()
    assert programs(server)["worker", 0] == f"{old} (deleted)"
    server.kill_master()  # and another master, of the new program, does not mix them
    server.start()
    found = programs(server)
    assert found.pop(("master", 0)) == old
    assert set(found.values()) == {f"{old} (deleted)"}
    server.kill_workers()
    juliet.ping()
    assert programs(server)["worker", 0] == f"{old} (deleted)"
    server.ctl("upgrade")
    assert set(programs(server).values()) == {old}
    juliet.ping()


@pytest.mark.parametrize("worse, why", [
    (DIES_AT_ONCE, "died before it was ready"),
    (DIES_SOON, "died soon after its start"),
    (HANGS, "not ready in time")], ids=["dies", "dies-soon", "hangs"])
def test_a_program_that_is_not_healthy(make_server, make_program, worse, why):
    """One worker shows it; it goes back by itself, though its file was replaced, and says why"""
    old, new = make_program(), make_program(worse)
    server = make_server(workers=2, program=old)
    juliet, romeo = server.pair(until="online")
    before = pids(server)
    os.unlink(old)
    status, out, err = server.ctl_status("upgrade", new)
    assert status == 1, out + err
    assert why in out and "back to the program from before" in out
    assert f"going back to {old}" in server.log()
    assert set(programs(server).values()) == {f"{old} (deleted)"}
    after = pids(server)
    assert {name for name in after if after[name] != before[name]} == {("worker", 0)}
    server.wait_ready()
    for i in range(3):
        juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")
        romeo.expect(f"<message id='m{i}'/>")
    server.kill_workers()
    juliet.ping(), romeo.ping()
    server.forget_reports()


def test_the_second_one_is_not_healthy(make_server, make_program, top):
    """Those who had gone over go back, too"""
    mark = os.path.join(tempfile.mkdtemp(prefix="mark-", dir=top), "mark")
    old, new = make_program(), make_program(f'if (access("{mark}", F_OK) == 0) raise(SIGKILL);')
    server = make_server(workers=2, program=old)
    juliet, romeo = server.pair(until="online")
    command = server.spawn_ctl("upgrade", new)
    server.wait_log(r"worker 0 serves again")  # there it is fine, and has to prove itself
    with open(mark, "w"):
        pass
    assert command.wait(2 * wait.PATIENCE) == 1
    os.unlink(mark)
    server.wait_ready()
    assert set(programs(server).values()) == {old}
    status, rows = report(server)
    assert status == 1
    back = [r["process"] for r in rows if "back to the program" in r["result"]]
    assert set(back) >= {"worker 0", "worker 1", "holder 0", "keeper 1"}
    juliet.ping(), romeo.ping()


def test_a_master_that_cannot_go_on(make_server, make_program, top):
    """What only it comes across: then the old one comes back, and everybody goes back"""
    old = make_program()
    folder = tempfile.mkdtemp(prefix="program-", dir=top)
    with open(f"{folder}/x.c", "w") as f:
        # As a master it finds the directory locked, for longer than it waits.
        f.write("""#include <fcntl.h>
            #include <stdlib.h>
            #include <sys/file.h>
            #include <unistd.h>
            int main(int argc, char **argv) {
                int fd = getenv("STANZAD_AGAIN") ? open("stanzad.pid", O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
                if (fd >= 0 && flock(fd, LOCK_EX) == 0 && fork() == 0) {
                    usleep(1500 * 1000);
                    _exit(0);
                }
                execv("%s", argv);
                return argc;
            }""" % make_program())
    subprocess.run(["cc", "-o", f"{folder}/stanzad", f"{folder}/x.c"], check=True)
    server = make_server(workers=1, program=old)
    juliet = server.stream().login(until="online")
    master = pids(server)["master", 0]
    status, out, err = server.ctl_status("upgrade", f"{folder}/stanzad")
    assert status == 1, out + err
    assert "could not go on as master" in out
    assert set(programs(server).values()) == {old} and pids(server)["master", 0] == master
    juliet.ping()
    server.kill_workers()
    juliet.ping()
    assert server.ctl("restart", "all")


@pytest.mark.parametrize("what", ["restart", "upgrade"])
def test_a_configuration_that_becomes_wrong_in_between(make_server, make_program, what):
    """The new master goes on with the one from before"""
    server = make_server(workers=1, program=make_program())
    juliet = server.stream().login(until="online")
    command = server.spawn_ctl("restart", "all") if what == "restart" else \
        server.spawn_ctl("upgrade", make_program())
    server.wait_log("is replaced as planned")
    server.write_config(loglevel="louder")
    assert command.wait(2 * wait.PATIENCE) == 0
    server.wait_ready()
    assert "has become wrong" in server.log() or what == "restart"
    juliet.ping()
    server.kill_workers()
    juliet.ping()
    assert server.ctl_status("reload_config")[0] == 1
    server.write_config(loglevel="debug")
    server.ctl("reload_config")


@pytest.mark.parametrize("path, why", [
    ("stanzad", "must begin with /"),
    ("/nonexistent/stanzad", "cannot be opened"),
    ("/dev/null", "is not a program"),
    ("/etc/passwd", "is not a program"),
    ("/bin/true", "is not stanzad")])
def test_what_is_no_program(make_server, path, why):
    server = make_server(workers=1)
    before = pids(server)
    status, out, err = server.ctl_status("upgrade", path)
    assert status == 1 and why in out + err, out + err
    assert pids(server) == before


def test_a_program_that_says_nothing_more_and_stays(make_server, top):
    """It has closed its output and does not end: the master does not wait for it"""
    server = make_server(workers=1)
    folder = tempfile.mkdtemp(prefix="program-", dir=top)
    with open(f"{folder}/x.c", "w") as f:
        f.write("#include <unistd.h>\nint main(void) { close(1); close(2); pause(); }\n")
    subprocess.run(["cc", "-o", f"{folder}/stays", f"{folder}/x.c"], check=True)
    command = server.spawn_ctl("upgrade", f"{folder}/stays")
    wait.until(lambda: f"{folder}/stays" in map(executable, server.pids_left()), "it to run")
    server.kill_workers()
    server.wait_ready()  # the master has started another one
    assert command.poll() is None
    assert command.wait(2 * wait.PATIENCE) == 1
    assert "does not say what it is" in server.log()


def test_what_others_could_have_written(make_server, make_program):
    """The admin process names a path; the master executes nothing that is not the owner's"""
    server = make_server(workers=1)
    new = make_program()
    os.chmod(new, 0o777)
    status, out, err = server.ctl_status("upgrade", new)
    assert status == 1 and "could have been written by others" in out + err


def test_a_program_that_speaks_something_else(make_server, top):
    """Frames of another version: nothing is tried"""
    folder = tempfile.mkdtemp(prefix="program-", dir=top)
    with open(f"{folder}/x.c", "w") as f:
        f.write('#include <stdio.h>\nint main(void) { puts("stanzad 9.9\\nlayout 7\\nframes 12"); return 0; }\n')
    subprocess.run(["cc", "-o", f"{folder}/stanzad", f"{folder}/x.c"], check=True)
    server = make_server(workers=1)
    before = pids(server)
    status, out, err = server.ctl_status("upgrade", f"{folder}/stanzad")
    assert status == 1 and "stanzad 9.9 does not understand" in out + err
    assert pids(server) == before


def test_a_configuration_that_it_does_not_accept(make_server, make_program):
    """The file has become wrong since the start: nothing is tried, and it says what"""
    server = make_server(workers=1)
    before = pids(server)
    server.write_config(loglevel="louder")
    status, out, err = server.ctl_status("upgrade", make_program())
    assert status == 1 and "does not accept the configuration" in out and "loglevel" in out
    assert pids(server) == before


def test_what_a_program_says_of_itself():
    """stanzad -V"""
    out = subprocess.run([f"{BUILD}/stanzad", "-V"], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"stanzad \S+\nlayout \d+\nframes \d+\n", out)


# Slots of another layout


@pytest.fixture(scope="session")
def other_layout():
    """The folder of a build whose structures in the slot differ (worker/slot.h)."""
    build = os.path.join(BUILD, "layout")
    san = "address,undefined" if "san-" in BUILD else ""
    points = "1" if "killpoints" in BUILD else ""
    subprocess.run(["make", "-s", "-C", ROOT, f"B={build}", f"SAN={san}", f"KILLPOINTS={points}", "CFLAGS=-DSLOT_LAYOUT_TEST",
                    f"{build}/stanzad"], check=True, stdout=subprocess.DEVNULL)
    return build


@pytest.fixture
def make_other(make_program, other_layout):
    """A copy of that program."""
    def make(worse=None):
        path = make_program(worse)
        os.unlink(path)
        shutil.copy2(os.path.join(other_layout, "stanzad"), path)
        return path
    return make


def children(server):
    master = server.process.pid
    with open(f"/proc/{master}/task/{master}/children") as f:
        return [int(pid) for pid in f.read().split()]


def title(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def layout(path):
    return int(re.search(r"layout (\d+)", subprocess.run(
        [path, "-V"], capture_output=True, text=True, check=True).stdout)[1])


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_another_layout_there_and_back_under_load(make_server, make_program, make_other, tls):
    """Slots are converted, and nobody loses anything, gets anything twice or is disconnected"""
    old, new = make_program(), make_other()
    assert layout(old) != layout(new)
    server = make_server(workers=2, program=old, config={"loglevel": "info"})
    load.prepare(server)
    clients = load.Load(server, tls, 24)
    server.ctl("upgrade", new)
    assert set(programs(server).values()) == {new}
    server.ctl("upgrade", old)
    assert set(programs(server).values()) == {old}
    result = clients.result()
    assert (result["lost"], result["repeated"], result["stalled_pairs"]) == (0, 0, 0), result
    assert result["messages"] > 100
    assert server.log().count("has taken its connections over in layout") == 4
    assert not re.search(r"[1-9]\d* were lost", server.log())


def test_everything_of_a_session_goes_over(make_server, make_program, make_other):
    """
    Input in pieces, TLS in the middle of a record, a session without a client, what is not
    acknowledged, what waits for an inactive client, presence that others have seen
    """
    old, new = make_program(), make_other()
    server = make_server(workers=2, program=old, config={"modules": {
        "mod_ping": {}, "mod_roster": {}, "mod_client_state": {}, "mod_stream_mgmt": {}, "mod_carboncopy": {}}})
    juliet = online(server.stream("juliet", worker=0).login())
    romeo = online(server.stream("romeo", worker=1, resource="r").login())
    befriend(juliet, romeo)
    nurse = server.stream("nurse", worker=0, resource="n").login(until="online")
    session = enable(nurse)
    tybalt = server.stream("tybalt", mode="plain", worker=0, resource="t").login(until="online")
    for program_path in new, old, new:
        romeo.send("<inactive xmlns='urn:xmpp:csi:0'/>")
        romeo.ping()
        juliet.send("<presence><status>wherefore</status></presence>")  # is held for romeo
        juliet.expect("<presence/>")
        nurse.abort()
        wait.until(lambda: server.counter("sessions") == 4, "the session to stay")
        juliet.send(f"<message to='{nurse.full}' type='chat'><body>while away</body></message>")
        juliet.ping()
        whole = f"<message to='{tybalt.full}' id='cut'><body>in two records</body></message>"
        juliet.send(whole[:31])
        juliet.tls.write(whole[31:].encode())
        record = juliet.tls.pending()
        juliet.send_raw(record[:9])
        tybalt.send(f"<message to='{juliet.full}' id='plain'><bo")
        server.ctl("upgrade", program_path)
        juliet.send_raw(record[9:])
        tybalt.expect("<message id='cut'><body>in two records</body></message>")
        tybalt.send("dy>half</body></message>")
        juliet.expect("<message id='plain'><body>half</body></message>")
        nurse, answer = resume(server, "nurse", session, 0, worker=1)
        assert answer.tag.endswith("resumed"), answer.tag
        assert body(next_stanza(nurse)) == "while away"
        romeo.send("<active xmlns='urn:xmpp:csi:0'/>")
        romeo.expect("<presence><status>wherefore</status></presence>")
        for s in juliet, romeo, tybalt:
            s.ping()
        nurse.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
        nurse.close()
        nurse = server.stream("nurse", worker=0, resource="n").login(until="online")
        session = enable(nurse)


def test_requests_that_wait_go_over(make_server, make_program, make_other):
    """Jobs: the database is away, the change is asked for by another program, and done once"""
    old, new = make_program(), make_other()
    server = make_server(workers=1, program=old, config={"modules": {
        "mod_ping": {}, "mod_roster": {}, "mod_private": {}}})
    juliet = server.stream("juliet").login(until="online")
    juliet.ping()
    sql = server.processes("sql")[0]["pid"]
    command = server.spawn_ctl("upgrade", new)
    server.wait_log("worker 0 serves again")
    os.kill(sql, signal.SIGSTOP)  # while the first worker proves itself
    juliet.send("<iq type='set' id='store'><query xmlns='jabber:iq:private'><x xmlns='a:b'>kept</x></query></iq>")
    assert command.wait(4 * wait.PATIENCE) == 0
    juliet.expect("<iq type='result' id='store'/>")
    answer = juliet.request("<query xmlns='jabber:iq:private'><x xmlns='a:b'/></query>")
    assert answer.find("{jabber:iq:private}query/{a:b}x").text == "kept"


def test_a_stop_during_a_conversion(make_server, make_program, make_other):
    """Whoever is in the place of the worker: its slot is seen to, the session is there after the next start"""
    old, new = make_program(), make_other()
    server = make_server(workers=1, program=old, config={"modules": {"mod_ping": {}, "mod_stream_mgmt": {}}})
    juliet, romeo = (server.stream(name).login(until="online") for name in ("juliet", "romeo"))
    session = enable(juliet)
    juliet.abort()
    wait.until(lambda: "waits for" in server.log(), "the session to wait")
    romeo.send(f"<message to='{juliet.full}' type='chat'><body>while away</body></message>")
    romeo.ping()
    for n in range(3):  # the first one to come writes the slot into a file
        known = set(server.pids_left())
        command = server.spawn_ctl("upgrade", new)
        found = []
        end = time.monotonic() + wait.PATIENCE
        while not found and time.monotonic() < end:
            found = [pid for pid in set(server.pids_left()) - known if title(pid).startswith("stanzad: worker 0")]
        os.kill(found[0], signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        wait.until(lambda: server.log().count("master: stopping") == n + 1, "the stop to begin")
        os.kill(found[0], signal.SIGCONT)
        assert server.process.wait(60) == 0
        server.process = None
        command.kill()
        command.wait(wait.PATIENCE)
        server.streams = []
        server.start()
        assert juliet.full in server.ctl("connected_users")
    again, answer = resume(server, "juliet", session, 0)
    assert answer.tag.endswith("resumed"), answer.tag
    assert body(next_stanza(again)) == "while away"


@pytest.mark.parametrize("kills", [1, 2, 3])
def test_kill_9_during_a_conversion(make_server, make_program, make_other, kills):
    """Of whoever is in the place of the worker: the slot, or the file, counts"""
    old, new = make_program(), make_other()
    server = make_server(workers=2, program=old)
    juliet, romeo = server.pair(until="online")
    known = {server.processes("worker")[0]["pid"]}
    hits = []

    def kill_them():
        while len(hits) < kills:
            for pid in children(server):
                if pid in known or not title(pid).startswith("stanzad: worker 0"):
                    continue
                known.add(pid)
                hits.append(pid)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                break
    killer = threading.Thread(target=kill_them)
    killer.start()
    status = server.ctl_status("upgrade", new)[0]
    killer.join(wait.PATIENCE)
    assert len(hits) == kills
    server.wait_ready()
    assert set(programs(server).values()) == {new if status == 0 else old}
    for i in range(5):
        juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")
        romeo.expect(f"<message id='m{i}'/>")
        romeo.send(f"<message to='{juliet.full}' id='r{i}'/>")
        juliet.expect(f"<message id='r{i}'/>")
    server.ctl("upgrade", new if status else old)
    juliet.ping(), romeo.ping()


@pytest.mark.parametrize("worse", [DIES_AT_ONCE, DIES_SOON], ids=["at-once", "soon"])
def test_another_layout_that_is_not_healthy(make_server, make_program, make_other, worse):
    """The way back converts, too"""
    old, new = make_program(), make_other(worse)
    server = make_server(workers=2, program=old)
    juliet, romeo = server.pair(until="online")
    status, out, _ = server.ctl_status("upgrade", new)
    assert status == 1 and "back to the program from before" in out, out
    server.wait_ready()
    assert set(programs(server).values()) == {old}
    for i in range(5):
        juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")
        romeo.expect(f"<message id='m{i}'/>")
    server.kill_workers()
    juliet.ping(), romeo.ping()
    server.forget_reports()


@pytest.mark.parametrize("point", ["convert:written@1", "convert:file@1", "convert:told@1"])
def test_a_master_that_is_killed_during_a_conversion(make_server, make_program, make_other, point):
    """The next one finds either the slot or the file"""
    old, new = make_program(), make_other()
    server = make_server(start=False, workers=2, program=old)
    if not server.can_kill_at_points():
        pytest.skip("built without killpoints")
    server.start(env={"STANZAD_KILLPOINT": point})
    juliet, romeo = server.pair(until="online")
    command = server.spawn_ctl("upgrade", new)
    server.wait_master()
    server.start()
    assert command.wait(4 * wait.PATIENCE) == 1
    for i in range(5):
        juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")
        romeo.expect(f"<message id='m{i}'/>")
    server.ctl("upgrade", new)
    assert set(programs(server).values()) == {new}
    juliet.ping(), romeo.ping()


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_kill_9_of_everybody_in_the_way(make_server, make_program, make_other, tls):
    """Upgrades there and back under load, while workers, old, new and converting, are killed"""
    old, new = make_program(), make_other()
    server = make_server(workers=2, program=old, config={"loglevel": "info"})
    load.prepare(server)
    seconds = 25
    clients = load.Load(server, tls, seconds)
    end = time.monotonic() + seconds - 6
    rng, kills = random.Random(1), []

    def kill_them():
        while time.monotonic() < end:
            time.sleep(rng.random())  # the rhythm of the attack, not a wait for something
            victims = [pid for pid in children(server) if title(pid).startswith("stanzad: worker")]
            if victims:
                kills.append(rng.choice(victims))
                try:
                    os.kill(kills[-1], signal.SIGKILL)
                except ProcessLookupError:
                    pass
    killer = threading.Thread(target=kill_them)
    killer.start()
    for program_path in itertools.cycle((new, old)):
        server.ctl_status("upgrade", program_path)  # it may go back
        if time.monotonic() > end:
            break
    killer.join()
    result = clients.result()
    assert (result["lost"], result["repeated"], result["stalled_pairs"]) == (0, 0, 0), result
    assert result["messages"] > 100 and len(kills) > 5
    assert server.log().count("has taken its connections over in layout") > 1
    server.wait_ready()
