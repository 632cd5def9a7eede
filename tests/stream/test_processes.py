"""Processes: readiness, restart, last words, privileges, shutdown"""
import json
import os
import re
import signal

import pytest

from harness import wait
from harness.server import alive

ROLES = ["holder", "keeper", "worker", "router", "auth", "sql", "admin"]


def one(server, role):
    return server.processes(role)[0]


def wait_restarted(server, role, pid, slot=None):
    def found():
        status, out, _ = server.ctl_status("processes", "--json")
        if status != 0:
            return None
        return next((p for p in json.loads(out)
                     if p["role"] == role and p["pid"] != pid and p["restarts"] > 0
                     and slot in (None, p["slot"])), None)
    new = wait.until(found, f"another {role}")
    server.wait_ready()
    return new


@pytest.mark.parametrize("workers", [1, 3])
def test_number_of_workers(make_server, workers):
    """Our own option `workers`"""
    server = make_server(workers=workers)
    assert len(server.processes("worker")) == workers
    assert len(server.processes("keeper")) == workers
    assert sorted(p["slot"] for p in server.processes("worker")) == \
        sorted(p["slot"] for p in server.processes("keeper"))


def test_process_titles(server):
    """ps(1) tells who is who; the master has the command line that it was given"""
    for p in server.processes():
        if p["role"] == "master":
            continue
        with open(f"/proc/{p['pid']}/cmdline") as f:
            assert p["role"] in f.read()


def test_every_worker_takes_connections(make_server):
    """SO_REUSEPORT: one listening socket per worker"""
    server = make_server(workers=2)
    for _ in range(100):
        server.stream().connect()
        if all(server.worker_connections().values()):
            break
    assert all(server.worker_connections().values())


@pytest.mark.parametrize("role", ROLES)
def test_a_process_that_dies_is_replaced(make_server, role):
    """DESIGN: and the service goes on"""
    server = make_server(workers=2)
    account = server.account("juliet")
    old = one(server, role)
    os.kill(old["pid"], signal.SIGKILL)
    new = wait_restarted(server, role, old["pid"], old["slot"])
    assert new["restarts"] == 1
    wait.until(lambda: server.ctl_status("check_account", account.user, account.host)[0] == 0,
               "the accounts to be reached")
    juliet, romeo = server.pair(until="online")
    juliet.send(f"<message to='{romeo.full}'><body>Still here</body></message>")
    romeo.expect("<message><body>Still here</body></message>")


@pytest.mark.parametrize("role", ["router", "auth", "sql", "admin", "keeper", "holder"])
def test_clients_do_not_notice(make_server, role):
    """DESIGN, the table of who dies: these take no client with them"""
    server = make_server(workers=2)
    juliet, romeo = server.pair(until="online")
    old = one(server, role)
    os.kill(old["pid"], signal.SIGKILL)
    for i in range(20):
        juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")
        romeo.expect(f"<message id='m{i}'/>")
    wait_restarted(server, role, old["pid"], old["slot"])
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='z'/>")
    romeo.expect("<message id='z'/>")
    # Binding and presence need the router, new logins need auth and sql.
    mercutio = server.stream("mercutio").login(until="online")
    mercutio.send(f"<message to='{juliet.full}' id='n'/>")
    juliet.expect("<message id='n'/>")


@pytest.mark.parametrize("sig, words", [
    (signal.SIGSEGV, ["SIGSEGV", "Segmentation", "signal 11"]),
    (signal.SIGABRT, ["SIGABRT", "Aborted", "signal 6"]),
    (signal.SIGKILL, ["SIGKILL", "Killed", "signal 9"])], ids=lambda v: getattr(v, "name", ""))
def test_last_words(make_server, sig, words):
    """DESIGN, 8: signal and last events, logged by the master"""
    # The sanitizer's own handler would take the fault for one of ours.
    server = make_server(workers=1, asan="handle_segv=0")
    juliet = server.stream().login(until="online")
    juliet.ping()
    pid = one(server, "worker")["pid"]
    os.kill(pid, sig)
    wait_restarted(server, "worker", pid)
    log = server.log()
    lines = [li for li in log.splitlines() if str(pid) in li]
    assert any(any(w in li for w in words) for li in lines), "\n".join(lines)
    assert "worker 0, last words: event" in log and "session opened" in log
    server.forget_reports()


def test_a_process_that_keeps_dying_is_started_more_slowly(make_server):
    """Never given up, never in a tight circle: some ends are free, then there is a delay"""
    server = make_server(workers=1, asan="handle_sigfpe=0")

    def started():
        return [int(p) for p in re.findall(r"auth started with pid (\d+)", server.log())]

    def pauses():
        return [float(p) for p in re.findall(
            r"auth is started again in ([0-9.]+) seconds", server.log())]

    # By a fault, as soon as it is there: a second of life would make up for one end.
    for n in range(1, 20):
        wait.until(lambda: len(started()) == n, f"start {n} of auth")
        os.kill(started()[-1], signal.SIGFPE)
        wait.until(lambda: len(started()) > n or len(pauses()) == 2, "its restart")
        if len(pauses()) == 2:
            break
    assert n > 3, "a delay too soon"
    assert 0 < pauses()[0] <= pauses()[1]
    server.wait_ready()
    server.forget_reports()
    server.stream().login().ping()


def test_readiness_needs_every_process(make_server):
    """stanzactl status: exit 1 while a process is missing"""
    server = make_server(workers=1)
    seen = set()
    for _ in range(40):
        old = one(server, "router")
        os.kill(old["pid"], signal.SIGKILL)

        def status():
            seen.add(server.ctl_status("status")[0])
            return 1 in seen or any(
                p["pid"] != old["pid"] and p["role"] == "router" for p in server.processes())
        wait.until(status, "the router to be missed or replaced", pause=0)
        server.wait_ready()
        if 1 in seen:
            break
    assert 1 in seen


def test_ordered_shutdown(make_server):
    """SIGTERM: clients are told, every process ends, exit 0"""
    server = make_server(workers=2)
    streams = [server.stream(n).login(until="online") for n in ("juliet", "romeo", "mercutio")]
    pids = [p["pid"] for p in server.processes()]
    server.process.send_signal(signal.SIGTERM)
    for s in streams:
        s.expect_error("system-shutdown")
    assert server.process.wait(wait.PATIENCE) == 0
    assert not [p for p in pids if alive(p)]
    assert not os.path.exists(f"{server.dir}/stanzad.pid")


def test_shutdown_with_clients_that_do_not_answer(make_server):
    """Nobody can hold up the end"""
    server = make_server(workers=1)
    for n in ("juliet", "romeo"):
        server.stream(n).login(until="online")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(wait.PATIENCE) == 0


def test_shutdown_twice(make_server):
    """A second SIGTERM does no harm"""
    server = make_server(workers=1)
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.send_signal(signal.SIGTERM)
    except ProcessLookupError:
        pass
    assert server.process.wait(wait.PATIENCE) == 0


def test_start_after_a_crash_of_everything(make_server):
    """Left-over socket and pid file do not keep the next start from working"""
    server = make_server(workers=1)
    account = server.account("juliet")
    server.kill()
    server.start()
    server.stream(account).login().ping()


def test_a_second_server_in_the_same_folder_is_refused(make_server):
    """And the first one is not disturbed"""
    server = make_server(workers=1)
    p = server.spawn("-f", "-c", server.conf_file, "-d", server.dir)
    assert p.wait(wait.PATIENCE) != 0
    server.stream().login().ping()


def test_a_second_start_keeps_the_data(make_server):
    server = make_server(workers=1)
    account = server.account("juliet")
    server.stop()
    server.start()
    server.stream(account).login().ping()


def test_several_servers_side_by_side(make_server):
    """Each in its folder"""
    a, b = make_server(workers=1), make_server(workers=1)
    a.register("only-here")
    assert b.ctl_status("check_account", "only-here", "example.net")[0] == 1
    a.stop()
    b.stream().login().ping()


# Privileges

USERS = [None, "nobody"] if os.getuid() == 0 else [None]


@pytest.fixture(params=USERS, ids=lambda u: u or ("root" if os.getuid() == 0 else "user"))
def confined(request, make_server):
    """A server started by root, which changes user, and by an ordinary user."""
    return make_server(workers=1, user=request.param)


CHECKS = {"open_file", "write_routes", "connect_database", "exec", "ptrace", "raise_privileges"}


def test_a_worker_can_do_nothing_but_serve(confined):
    """Promise 3: no file, no route table, no database, no other program"""
    found = json.loads(confined.ctl("check_sandbox", "worker", "--json"))
    checks = {c["check"]: c for c in found if c["role"] == "worker"}
    assert CHECKS <= set(checks)
    for name, c in checks.items():
        assert c["result"] == "refused", c


@pytest.mark.parametrize("role", ["holder", "keeper", "router", "auth", "admin"])
def test_others_are_confined_too(confined, role):
    """Least privilege for every role: none may start a program or gain rights"""
    found = json.loads(confined.ctl("check_sandbox", role, "--json"))
    checks = {c["check"]: c["result"] for c in found if c["role"] == role}
    for name in ("exec", "ptrace", "raise_privileges"):
        assert checks[name] == "refused", found


def test_root_is_given_up(make_server):
    """Every process but the master runs as somebody else, without groups or capabilities"""
    if os.getuid() != 0:
        pytest.skip("only root has something to give up")
    server = make_server(workers=1)
    for p in server.processes():
        with open(f"/proc/{p['pid']}/status") as f:
            status = dict(line.split(":", 1) for line in f.read().splitlines())
        if p["role"] == "master":
            continue
        assert set(status["Uid"].split()) != {"0"} and "0" not in status["Uid"].split(), p
        assert "0" not in status["Gid"].split(), p
        assert status["Groups"].split() in ([], status["Gid"].split()[:1]), p
        assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, p


def test_no_new_privileges_and_a_filter(confined):
    """Linux: PR_SET_NO_NEW_PRIVS and seccomp mode 2 for all but the master"""
    for p in confined.processes():
        if p["role"] == "master":
            continue
        with open(f"/proc/{p['pid']}/status") as f:
            status = dict(line.split(":", 1) for line in f.read().splitlines())
        assert status["NoNewPrivs"].strip() == "1", p
        assert status["Seccomp"].strip() == "2", p


def test_a_worker_holds_no_file(confined):
    """
    Its descriptors are sockets, shared memory and the loop; of files there are the log, which
    cannot be read, and that of its sessions that wait at a stop, where is only what it wrote
    """
    if os.getuid() != 0:
        pytest.skip("descriptors of a process that is not dumpable: root only")
    pid = one(confined, "worker")["pid"]
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        if target.startswith(f"{confined.dir}/sessions/0."):
            assert os.stat(target).st_size == 0
            continue
        if target in (f"{confined.base}/stderr", f"{confined.dir}/stanzad.log"):
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                flags = dict(line.split(":", 1) for line in f.read().splitlines())["flags"]
            assert int(flags, 8) & os.O_ACCMODE == os.O_WRONLY, f"{target} can be read"
            continue
        assert target.startswith(("socket:", "anon_inode:", "pipe:", "/dev/shm/", "/memfd:",
                                  "/dev/null", "/dev/urandom")), target


def test_an_ordinary_user_can_run_a_server(make_server):
    """-f -c -d: everything that it writes is below DIR"""
    if os.getuid() != 0:
        pytest.skip("every other test shows it")
    server = make_server(workers=2, user="nobody")
    server.stream().login(until="online").ping()
    assert os.path.exists(f"{server.dir}/sqlite/example.net.sqlite")
    assert os.path.exists(f"{server.dir}/stanzad.sock")
    assert os.path.exists(f"{server.dir}/stanzad.pid")


def test_closed_sockets_leave_the_keeper(make_server):
    """Soon, though it is not woken for each; also those that a worker died before it told of"""
    server = make_server(workers=1)
    stays = server.stream().login()

    def kept():
        return sum(c["value"] for c in json.loads(server.ctl("counters", "--json"))
                   if c["role"] == "keeper" and c["counter"] == "kept")

    def open_and_close(n):
        others = [server.stream() for _ in range(n)]
        for s in others:
            s.connect()
            s.open()
        wait.until(lambda: kept() == n + 1, "all are held")
        for s in others:
            s.close()

    open_and_close(3)
    wait.until(lambda: kept() == 1, "those that are closed are not held")
    open_and_close(70)
    wait.until(lambda: kept() == 1, "nor are many")
    open_and_close(3)
    server.kill_workers()
    wait.until(lambda: kept() == 1, "nor are those of a dead worker")
    stays.ping()
