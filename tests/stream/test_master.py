"""The master: killed, replaced, and killed again while it does what only it does

DESIGN: the master is small, and even it may die; a new one adopts the others.
"""
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from harness import killpoints, ports, wait
from harness.server import BUILD, alive

N_OTHERS = 2 + 2 + 2 + 4  # holders, keepers, workers; router, auth, sql, admin


def pids(server):
    """Of all but the master, by role and slot."""
    return {(p["role"], p["slot"]): p["pid"] for p in server.processes() if p["role"] != "master"}


def chat(a, b, i):
    a.send(f"<message to='{b.full}' id='m{i}'><body>{i}</body></message>")
    b.expect(f"<message id='m{i}'><body>{i}</body></message>")


def kill_and_start(server, **options):
    server.kill_master()
    server.start(**options)


def end_all(server, why="ending too"):
    """Every process ends by itself."""
    left = server.pids_left()
    wait.until(lambda: not [p for p in left if alive(p)], f"the processes to end: {why}")


def test_clients_notice_nothing(make_server):
    """Messages, presence, logins and accounts go on without a master, and with the next one"""
    server = make_server(workers=2)
    before = pids(server)
    assert len(before) == N_OTHERS
    juliet, romeo = server.pair(until="online")
    server.account("mercutio"), server.account("tybalt")
    chat(juliet, romeo, 0)
    server.kill_master()
    chat(juliet, romeo, 1)
    mercutio = server.stream("mercutio").login(until="online")
    chat(mercutio, juliet, 2)
    mercutio.send("<presence type='unavailable'/>")
    server.register("benvolio", password="at once")
    server.start()
    for i in range(3, 6):
        chat(juliet, romeo, i)
        chat(romeo, juliet, i + 10)
    assert pids(server) == before
    server.stream("tybalt").login(until="online").ping()
    assert [p["restarts"] for p in server.processes("master")] == [1]
    assert server.process.pid == server.processes("master")[0]["pid"]
    with open(f"{server.dir}/stanzad.pid") as f:
        assert int(f.read()) == server.process.pid


def test_tls_goes_on(make_server):
    """Also TLS 1.2, whose state would not survive a worker: the worker is not touched"""
    server = make_server(workers=1)
    a = server.stream("juliet", tls_options={"version": ssl.TLSVersion.TLSv1_2}).login(until="online")
    b = server.stream("romeo", mode="direct").login(until="online")
    kill_and_start(server)
    chat(a, b, 1)
    chat(b, a, 2)


def test_again_and_again(make_server):
    server = make_server(workers=2)
    before = pids(server)
    juliet, romeo = server.pair(until="online")
    for i in range(4):
        kill_and_start(server)
        chat(juliet, romeo, i)
    assert pids(server) == before


def test_what_is_under_way_is_neither_lost_nor_repeated(make_server):
    server = make_server(workers=2)
    juliet, romeo = server.pair(until="online")
    n = 300

    def send():
        for i in range(n):
            juliet.send(f"<message to='{romeo.full}' id='m{i}'/>")

    sender = threading.Thread(target=send)
    sender.start()
    kill_and_start(server)
    sender.join()
    for i in range(n):
        romeo.expect(f"<message id='m{i}'/>")
    juliet.ping()
    romeo.expect_nothing()


# The new master does everything that the old one did

@pytest.mark.parametrize("role", ["holder", "keeper", "worker", "sql", "admin"])
def test_the_next_one_replaces_what_dies(make_server, role):
    server = make_server(workers=2)
    juliet, romeo = server.pair(until="online")
    kill_and_start(server)
    old = server.processes(role)[0]
    os.kill(old["pid"], signal.SIGKILL)

    def replaced():
        status = server.ctl_status("status")[0]
        return status == 0 and server.processes(role)[0]["pid"] != old["pid"]
    wait.until(replaced, f"another {role}")
    assert server.processes(role)[0]["restarts"] == 1
    chat(juliet, romeo, 1)
    server.stream("mercutio").login(until="online").ping()
    assert re.search(rf"{role}[ 0]* \(pid {old['pid']}\) has ended", server.log())


@pytest.mark.parametrize("role", ["holder", "keeper", "worker", "router", "auth", "admin"])
def test_what_died_meanwhile_is_replaced(make_server, role):
    """Nobody was there to replace it; what its mailbox holds waits for its successor"""
    server = make_server(workers=2)
    before = pids(server)
    juliet, romeo = server.pair(until="online")
    server.kill_master()
    os.kill(before[role, 0], signal.SIGKILL)
    wait.until(lambda: not alive(before[role, 0]), "its end")
    juliet.send(f"<message to='{romeo.full}' id='x'/>")
    romeo.send(f"<message to='{juliet.full}' id='y'/>")
    server.start()
    romeo.expect("<message id='x'/>")
    juliet.expect("<message id='y'/>")
    after = pids(server)
    assert {k for k in after if after[k] != before[k]} == {(role, 0)}
    assert f"(pid {before[role, 0]}) has ended" in server.log()
    server.stream("mercutio").login(until="online").ping()


def test_both_holders_are_killed_one_after_the_other(make_server):
    """With a master they are replaced: then the others still outlive it"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    for slot in 0, 1:
        old = pids(server)["holder", slot]
        os.kill(old, signal.SIGKILL)
        wait.until(lambda: pids(server)["holder", slot] not in (0, old), "another holder")
        server.wait_ready()
    kill_and_start(server)
    juliet.ping()


def test_without_holders_all_end(make_server):
    """Nobody could find them any more: clients are told, and nothing is in the way of a start"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    before = pids(server)
    server.kill_master()
    os.kill(before["holder", 0], signal.SIGKILL)
    juliet.ping()
    os.kill(before["holder", 1], signal.SIGKILL)
    juliet.expect_error("system-shutdown")
    end_all(server)
    server.start()
    server.stream("romeo").login().ping()


def test_reload(make_server):
    """Listeners come and go under the new master, too"""
    server = make_server(workers=2)
    juliet = server.stream().login(until="online")
    kill_and_start(server)
    more = ports.free()
    server.write_config(listen=server.config["listen"] + [
        {"port": more, "ip": "127.0.0.1", "module": "ejabberd_c2s"}])
    server.ctl("reload_config")
    socket.create_connection(("127.0.0.1", more)).close()
    server.write_config(listen=server.config["listen"][:-1])
    server.process.send_signal(signal.SIGHUP)

    def refused():
        try:
            socket.create_connection(("127.0.0.1", more)).close()
        except ConnectionRefusedError:
            return True
        return False
    wait.until(refused, "the listener to be closed")
    juliet.ping()


def test_restart_process_and_loglevel(make_server):
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    kill_and_start(server)
    old = pids(server)["worker", 0]
    server.ctl("restart_process", "worker", "0")
    wait.until(lambda: pids(server)["worker", 0] not in (0, old), "another worker")
    server.wait_ready()
    juliet.ping()
    server.ctl("set_loglevel", "info")
    assert server.ctl("get_loglevel") == "info"


@pytest.mark.parametrize("how", ["signal", "stanzactl"])
def test_stop_ends_all(make_server, how):
    server = make_server(workers=2)
    juliet = server.stream().login(until="online")
    kill_and_start(server)
    left = server.pids_left()
    if how == "signal":
        server.process.send_signal(signal.SIGTERM)
    else:
        server.ctl("stop")
    juliet.expect_error("system-shutdown")
    assert server.process.wait(wait.PATIENCE) == 0
    server.process = None
    assert not [p for p in left if alive(p)]
    for name in "stanzad.pid", "stanzad.sock", "stanzad.adopt":
        assert not os.path.exists(f"{server.dir}/{name}")


def test_restart(make_server):
    """stanzactl restart: all end and start again, in the same process"""
    server = make_server(workers=1)
    kill_and_start(server)
    before = pids(server)
    server.ctl("restart")
    wait.until(lambda: not [p for p in before.values() if alive(p)], "the others to end")
    wait.until(lambda: server.ctl_status("status")[0] == 0, "the service to be ready")
    assert not set(pids(server).values()) & set(before.values())


# stanzactl meanwhile

def test_stanzactl_without_a_master(make_server):
    """What the admin process can do it does; for the rest it says what is the matter"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    server.kill_master()
    wait.until(lambda: "has died" in "".join(server.ctl_status("status")[1:]), "it to be noticed")
    assert juliet.full in server.ctl("connected_users")
    assert server.counter("sessions") == 1
    for command in ["status"], ["processes"], ["reload_config"], ["restart"], \
            ["restart_process", "worker", "0"], ["reopen_log"], ["set_loglevel", "info"]:
        status, out, err = server.ctl_status(*command)
        assert status != 0 and "the master process has died" in out + err, command
    server.start()
    assert len(server.processes()) == 1 + 2 + 1 + 1 + 4


def test_stop_without_a_master(make_server):
    """And whoever wants to end it can"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    server.kill_master()
    wait.until(lambda: "has died" in "".join(server.ctl_status("status")[1:]), "it to be noticed")
    server.ctl("stop")
    juliet.expect_error("system-shutdown")
    end_all(server)
    server.start()


# A start that is refused

def test_a_wrong_configuration_is_refused_and_the_others_go_on(make_server):
    server = make_server(workers=1)
    before = pids(server)
    juliet = server.stream().login(until="online")
    server.kill_master()
    good = dict(server.config)
    server.write_config(hosts=[])
    server.start(ready=False)
    assert server.process.wait(wait.PATIENCE) == 1
    server.process = None
    assert "go on without a master" in server.stderr()
    juliet.ping()
    server.config = good
    server.write_config()
    server.start()
    juliet.ping()
    assert pids(server) == before


def test_a_listener_that_cannot_be_opened_is_refused_and_the_others_go_on(make_server):
    server = make_server(workers=1)
    before = pids(server)
    juliet = server.stream().login(until="online")
    server.kill_master()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server.write_config(listen=server.config["listen"] + [
            {"port": taken.getsockname()[1], "ip": "127.0.0.1", "module": "ejabberd_c2s"}])
        server.start(ready=False)
        assert server.process.wait(wait.PATIENCE) == 1
        server.process = None
        assert "cannot listen" in server.stderr()
        juliet.ping()
        server.stream("romeo").login().ping()
    server.start()
    juliet.ping()
    assert pids(server) == before


def test_a_changed_configuration_comes_into_force(make_server):
    """As by a reload: a new listener, one less, places that move, another host"""
    server = make_server(workers=2, hosts=("example.net", "example.org"))
    juliet = server.stream().login(until="online")
    paris = server.stream("paris", "example.org").login(until="online")
    server.kill_master()
    more = ports.free()
    gone = server.port_tls
    server.write_config(
        hosts=["example.net"],
        listen=[{"port": more, "ip": "127.0.0.1", "module": "ejabberd_c2s", "access": "all"}] +
        [ln for ln in server.config["listen"] if ln["port"] != gone][::-1])
    server.start()
    paris.expect_error("host-gone")
    juliet.ping()
    socket.create_connection(("127.0.0.1", more)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gone))
    server.stream("romeo").login(until="online").ping()


def test_a_unix_listener(make_server):
    """Its name in the file system is still known to the one that must remove it"""
    server = make_server(start=False, workers=2)
    path = os.path.join(server.base, "clients")
    tcp = server.config["listen"]
    server.write_config(listen=tcp + [{"port": f"unix:{path}", "module": "ejabberd_c2s"}])
    server.start()
    kill_and_start(server)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(wait.PATIENCE)
        s.connect(path)
        s.send(b"<nonsense/>")
        assert b"<stream:error" in s.recv(4096)
    server.write_config(listen=tcp)
    server.ctl("reload_config")
    assert not os.path.exists(path)


def test_a_changed_number_of_workers_waits_for_a_restart(make_server):
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    server.kill_master()
    server.write_config(workers=3)
    server.start()
    juliet.ping()
    assert len(server.processes("worker")) == 1
    server.ctl("restart")
    wait.until(lambda: server.ctl_status("status")[0] == 0 and
               len(server.processes("worker")) == 3, "three workers")


def test_two_masters_are_impossible(make_server):
    """Of several that come at once one goes on, the others are refused"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    before = pids(server)
    server.kill_master()
    args = "-f", "-c", server.conf_file, "-d", server.dir
    masters = [server.spawn(*args) for _ in range(4)]
    server.sessions += [p.pid for p in masters]
    wait.until(lambda: sum(p.poll() is None for p in masters) == 1, "one to be left")
    server.process = next(p for p in masters if p.poll() is None)
    assert sorted(p.returncode for p in masters if p is not server.process) == [1, 1, 1]
    server.wait_ready()
    assert pids(server) == before
    juliet.ping()


def test_a_lock_that_was_removed_does_not_help(make_server):
    """The holders know that their master lives"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    os.unlink(f"{server.dir}/stanzad.pid")
    p = server.spawn("-f", "-c", server.conf_file, "-d", server.dir)
    assert p.wait(2 * wait.PATIENCE) == 1
    assert "do not accept another master" in server.stderr()
    juliet.ping()
    server.wait_ready()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change users")
def test_another_user_is_refused(make_server):
    """Its processes could not share what the others have"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    server.kill_master()
    p = server.spawn("-f", "-c", server.conf_file, "-d", server.dir, "-u", "daemon")
    assert p.wait(wait.PATIENCE) == 1
    assert "belong to user" in server.stderr()
    juliet.ping()
    server.start()
    juliet.ping()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change users")
def test_the_server_of_an_ordinary_user(make_server):
    """Nobody else but root can even ask; and root is not the one who started it"""
    server = make_server(workers=1, user="nobody")
    before = pids(server)
    juliet = server.stream().login(until="online")
    assert os.stat(f"{server.dir}/stanzad.adopt").st_mode & 0o777 == 0o600
    kill_and_start(server)
    juliet.ping()
    assert pids(server) == before


def test_in_the_background(make_server):
    """The program that was called returns when the adopted service is ready"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    before = pids(server)
    server.kill_master()
    p = server.spawn("-c", server.conf_file, "-d", server.dir)
    assert p.wait(2 * wait.PATIENCE) == 0
    with open(f"{server.dir}/stanzad.pid") as f:
        master = int(f.read())
    server.sessions.append(os.getsid(master))
    assert pids(server) == before
    juliet.ping()
    server.ctl("stop")
    wait.until(lambda: not alive(master), "the master to end")
    assert not server.pids_left()


def test_systemd_is_told(make_server):
    """sd_notify: READY=1 from the one that goes on, once all have answered"""
    server = make_server(workers=1)
    server.kill_master()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        path = os.path.join(server.base, "notify")
        s.bind(path)
        os.chmod(path, 0o666)
        s.settimeout(wait.PATIENCE)
        server.start(env={"NOTIFY_SOCKET": path})
        assert s.recv(100) == b"READY=1"


# Killed at a certain point

STARTS = ["start:made@1", "spawn:forked@1", "spawn:held@1", "spawn:booted@2", "start:held@1",
          "spawn:forked@3", "spawn:held@4", "spawn:booted@5", "start:all@1"]


@pytest.fixture
def pointed(make_server):
    server = make_server(start=False, workers=2)
    if not server.can_kill_at_points():
        pytest.skip("a build without kill points (SAN=... has them)")
    return server


@pytest.mark.parametrize("point", STARTS)
def test_killed_during_the_start(pointed, point):
    """The next start works: it goes on with what is there, or what is there ends"""
    server = pointed
    server.start(ready=False, env={"STANZAD_KILLPOINT": point})
    server.wait_master()
    # Without a complete holder all end; until they have a port may be taken.
    for _ in range(20):
        server.start(ready=False)
        if wait.until(lambda: server.process.poll() is not None or
                      server.ctl_status("status")[0] == 0, "the start", 2 * wait.PATIENCE) and \
                server.process.poll() is None:
            break
    server.wait_ready()
    assert len(pids(server)) == N_OTHERS and 0 not in pids(server).values()
    juliet, romeo = server.pair(until="online")
    chat(juliet, romeo, 1)


def test_killed_when_it_was_asked(pointed):
    """Who asked hears that at once, not when his time is over"""
    server = pointed
    page = killpoints.Page(os.path.join(server.base, "page"))
    server.start(env=page.environment())
    page.arm("master:called", "master", 1)
    asking = server.spawn_ctl("reload_config")  # may take a minute
    server.wait_master()
    assert asking.poll() is None
    server.start(ready=False, env=page.environment())
    assert asking.wait(wait.PATIENCE) != 0
    assert page.killed("master:called")[0] == 1


@pytest.mark.parametrize("role", ["holder", "worker"])
@pytest.mark.parametrize("point", ["spawn:opened", "spawn:forked", "spawn:held", "spawn:booted"])
def test_killed_while_it_replaces_a_process(pointed, point, role):
    """Nobody is there, or somebody who is whole, or who ends when asked"""
    server = pointed
    server.start(env={"STANZAD_KILLPOINT": f"{point}@{N_OTHERS + 1}"})
    juliet, romeo = server.pair(until="online")
    before = pids(server)
    os.kill(before[role, 0], signal.SIGKILL)
    server.wait_master()
    juliet.send(f"<message to='{romeo.full}' id='x'/>")
    server.start()
    romeo.expect("<message id='x'/>")
    chat(romeo, juliet, 1)
    after = pids(server)
    assert {k for k in after if after[k] != before[k]} == {(role, 0)}
    assert len(server.pids_left()) == N_OTHERS + 1
    server.stream("mercutio").login(until="online").ping()


@pytest.mark.parametrize("point", ["reload:taken@1", "reload:held@1", "reload:one@1", "reload:one@6",
                                   "reload:sent@1"])
def test_killed_during_a_reload(pointed, point):
    """Some have the old configuration, some the new one; the next master tells them all"""
    server = pointed
    server.start(env={"STANZAD_KILLPOINT": point})
    before = pids(server)
    juliet, romeo = server.pair(until="online")
    more = [ports.free(), ports.free()]

    def listen(*numbers):
        server.write_config(listen=[
            {"port": n, "ip": "127.0.0.1", "module": "ejabberd_c2s", "access": "all"}
            for n in numbers] + [ln for ln in server.config["listen"] if ln["port"] == server.port])

    listen(more[0])
    server.process.send_signal(signal.SIGHUP)
    server.wait_master()
    chat(juliet, romeo, 1)
    server.start()
    for port, there in ((more[0], True), (server.port, True), (server.port_tls, False)):
        for _ in range(8):  # some of them come to either worker
            if there:
                socket.create_connection(("127.0.0.1", port)).close()
            else:
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port))
    listen(more[1])
    server.ctl("reload_config")
    socket.create_connection(("127.0.0.1", more[1])).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", more[0]))
    chat(romeo, juliet, 2)
    server.stream("mercutio").login(until="online").ping()
    assert pids(server) == before


@pytest.mark.parametrize("point", ["adopt:received@1", "adopt:one@1", "adopt:one@5", "adopt:asked@1",
                                   "reload:taken@1", "reload:one@3"])
def test_killed_while_it_adopts(pointed, point):
    """The one after it finds the same; also with a process that had died before"""
    server = pointed
    server.start()
    juliet, romeo = server.pair(until="online")
    before = pids(server)
    server.kill_master()
    os.kill(before["router", 0], signal.SIGKILL)
    for _ in range(2):
        server.start(ready=False, env={"STANZAD_KILLPOINT": point})
        server.wait_master()
        chat(juliet, romeo, 1)
    server.start()
    chat(romeo, juliet, 2)
    after = pids(server)
    assert {k for k in after if after[k] != before[k]} == {("router", 0)}
    assert len(server.pids_left()) == N_OTHERS + 1
    server.stream("mercutio").login(until="online").ping()


@pytest.mark.parametrize("role", ["holder", "worker", "admin"])
def test_without_pidfds(pointed, role):
    """Then the end of its control channel is the end of a process that was adopted"""
    server = pointed
    server.start(env={"STANZAD_NO_PIDFD": "1"})
    juliet, romeo = server.pair(until="online")
    before = pids(server)
    server.kill_master()
    os.kill(before["auth", 0], signal.SIGKILL)
    server.start(env={"STANZAD_NO_PIDFD": "1"})
    chat(juliet, romeo, 1)
    os.kill(before[role, 0], signal.SIGKILL)
    wait.until(lambda: server.ctl_status("status")[0] == 0 and
               pids(server)[role, 0] not in (0, before[role, 0]), f"another {role}")
    chat(romeo, juliet, 2)
    assert {k for k, v in pids(server).items() if v != before[k]} == {("auth", 0), (role, 0)}


def test_killed_while_it_stops(pointed):
    """What it was asked for happens: nobody stays"""
    server = pointed
    server.start(env={"STANZAD_KILLPOINT": "stop:abandoned@1"})
    juliet = server.stream().login(until="online")
    server.process.send_signal(signal.SIGTERM)
    server.wait_master()
    juliet.expect_error("system-shutdown")
    end_all(server)
    server.start()


def test_another_version_is_refused_and_the_others_go_on(pointed):
    """They speak to each other in frames that it does not know; the administrator decides"""
    server = pointed
    server.start()
    juliet = server.stream().login(until="online")
    before = pids(server)
    server.kill_master()
    server.start(ready=False, env={"STANZAD_LAYOUT": "1"})
    assert server.process.wait(wait.PATIENCE) == 1
    server.process = None
    assert "another version of stanzad" in server.stderr()
    juliet.ping()
    server.start()
    assert pids(server) == before
    juliet.ping()


def test_a_holder_that_does_not_answer(make_server):
    """Stopped, not dead: the other one answers"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    before = pids(server)
    server.kill_master()
    os.kill(before["holder", 0], signal.SIGSTOP)
    try:
        server.start(ready=False)
        wait.until(lambda: not server.process.poll() and
                   "not ready in that node; not there yet: holder 0" in "".join(
                       server.ctl_status("status")[1:]), "all but one to be there")
        juliet.ping()
    finally:
        os.kill(before["holder", 0], signal.SIGCONT)
    server.wait_ready()
    juliet.ping()


def test_only_the_owner_may_ask(make_server):
    """DIR/stanzad.adopt is closed to the users of the service and to all others"""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    server = make_server(workers=1)
    os.chmod(f"{server.dir}/stanzad.adopt", 0o666)  # even so
    ask = ("import os, socket\nos.setgid(65534), os.setuid(65534)\n"
           "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
           f"s.connect('{server.dir}/stanzad.adopt')\nprint(len(s.recv(100)))")
    out = subprocess.run(["/usr/bin/python3", "-c", ask], capture_output=True, text=True)
    assert out.stdout == "0\n", out
    assert BUILD and "a master that has come is not answered" in server.log()
