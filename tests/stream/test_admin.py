"""stanzactl: ejabberdctl's names, argument order, output and exit codes"""
import json
import re

import pytest

from harness import wait, xml
from harness.stream import SaslFailure


def test_status(server):
    """Exit 0 when ready, and ejabberd's two lines"""
    status, out, _ = server.ctl_status("status")
    assert status == 0
    assert re.search(r"^The node .* is started with status: started$", out, re.M), out
    assert "running in that node" in out


def test_status_of_no_server(make_server):
    """Exit 3: there is nobody"""
    server = make_server(start=False)
    status, out, err = server.ctl_status("status")
    assert status == 3
    assert out + err


def test_register(any_server):
    """ejabberd's sentence, and the conflict"""
    server = any_server
    name = f"new-{server.n_test}"
    assert server.ctl("register", name, "example.net", "pw") == \
        f"User {name}@example.net successfully registered"
    status, out, err = server.ctl_status("register", name, "example.net", "pw")
    assert status == 1
    assert f"Error: conflict: User {name}@example.net already registered" in out + err
    assert name in server.ctl_lines("registered_users", "example.net")


def test_register_on_an_unknown_host(server):
    status, out, err = server.ctl_status("register", "x", "example.org", "pw")
    assert status == 1
    assert "Error: cannot_register" in out + err


@pytest.mark.parametrize("user", ["a@b", "", "a b", "x" * 1024, "a/b", "\u200e"])
def test_register_of_a_bad_name(server, user):
    """RFC 7622, 3.3"""
    status, out, err = server.ctl_status("register", user, "example.net", "pw")
    assert status == 1
    assert "Error" in out + err


def test_names_are_prepared(server):
    """Capital letters are not another account"""
    name = f"Capital-{server.n_test}"
    server.ctl("register", name, "EXAMPLE.net", "pw")
    assert name.lower() in server.ctl_lines("registered_users", "example.net")
    assert server.ctl_status("check_account", name.upper(), "example.net")[0] == 0


def test_unregister(any_server):
    """The account is gone, and so are its sessions"""
    server = any_server
    juliet = server.stream().login(until="online")
    server.ctl("unregister", juliet.user, juliet.host)
    while juliet.next_event()[0] != "end":
        pass
    assert server.ctl_status("check_account", juliet.user, juliet.host)[0] == 1
    assert juliet.user not in server.ctl_lines("registered_users", juliet.host)
    again = server.stream(juliet.account).login(until="tls")
    with pytest.raises(SaslFailure):
        again.authenticate()


def test_change_password(any_server):
    server = any_server
    account = server.account("juliet")
    server.ctl("change_password", account.user, account.host, "another one")
    s = server.stream(account).login(until="tls")
    with pytest.raises(SaslFailure):
        s.authenticate()
    s.authenticate(password="another one").open()
    assert server.ctl_status("check_password", account.user, account.host, "another one")[0] == 0
    assert server.ctl_status("check_password", account.user, account.host, "pw")[0] == 1


def test_change_password_of_nobody(server):
    assert server.ctl_status("change_password", "nobody", "example.net", "x")[0] == 1


def test_check_account(server):
    account = server.account("juliet")
    assert server.ctl_status("check_account", account.user, account.host)[0] == 0
    assert server.ctl_status("check_account", "nobody", account.host)[0] == 1


def test_registered_vhosts(server):
    assert server.ctl_lines("registered_vhosts") == ["example.net"]


def test_connected_users(server):
    """One full address per line"""
    juliet, romeo = (server.stream(n).login(until="online") for n in ("juliet", "romeo"))
    found = server.ctl_lines("connected_users")
    assert juliet.full in found and romeo.full in found
    assert server.ctl_lines("connected_users_vhost", "example.net") == found
    assert int(server.ctl("connected_users_number")) == len(found)


def test_connected_users_info(server):
    """Fields by TAB, in ejabberd's order"""
    juliet = server.stream().login()
    juliet.presence(7)
    juliet.expect("<presence/>")
    line = next(li for li in server.ctl_lines("connected_users_info")
                if li.startswith(juliet.full + "\t"))
    fields = line.split("\t")
    assert len(fields) == 10
    assert fields[1] in ("c2s_tls", "c2s")
    assert fields[2] in ("127.0.0.1", "::FFFF:127.0.0.1", "::ffff:127.0.0.1")
    assert int(fields[3]) == juliet.sock.getsockname()[1]
    assert fields[4] == "7"
    assert fields[8] == juliet.resource


def test_user_resources(server):
    a, b = (server.stream("juliet", resource=r).login() for r in ("a", "b"))
    assert sorted(server.ctl_lines("user_resources", a.user, a.host)) == ["a", "b"]
    assert server.ctl("num_resources", a.user, a.host) == "2"
    assert server.ctl_lines("user_resources", "nobody", a.host) == []


def test_kick_user(server):
    """All sessions end, the account stays"""
    streams = [server.stream("juliet").login() for _ in range(3)]
    server.ctl("kick_user", streams[0].user, streams[0].host)
    for s in streams:
        kind, element = s.next_event()
        assert kind == "element" and element.tag == f"{{{xml.NS_STREAM}}}error"
        s.expect_closed()
    server.stream("juliet").login().ping()


def test_kick_session(server):
    a, b = (server.stream("juliet", resource=r).login() for r in ("a", "b"))
    server.ctl("kick_session", a.user, a.host, "a", "enough")
    while a.next_event()[0] != "end":
        pass
    b.ping()


def test_processes(server):
    """One entry per process, the master included"""
    found = json.loads(server.ctl("processes", "--json"))
    roles = [p["role"] for p in found]
    assert roles.count("master") == 1
    assert roles.count("worker") == roles.count("keeper") == 2
    for role in ("router", "auth", "sql", "admin"):
        assert role in roles
    for p in found:
        assert set(p) >= {"pid", "role", "slot", "uptime", "restarts", "connections",
                          "cpu_time", "memory"}, p
        assert p["restarts"] == 0
    assert len({p["pid"] for p in found}) == len(found)
    table = server.ctl("processes")
    for p in found:
        assert re.search(rf"\b{p['pid']}\b", table)


def test_stats(server):
    before = int(server.ctl("stats", "onlineusers"))
    juliet = server.stream().login(until="online")
    assert int(server.ctl("stats", "onlineusers")) == before + 1
    assert int(server.ctl("stats_host", "onlineusers", juliet.host)) == before + 1
    assert int(server.ctl("stats", "registeredusers")) == \
        len(server.ctl_lines("registered_users", juliet.host))
    assert int(server.ctl("stats", "uptimeseconds")) >= 0
    assert int(server.ctl("stats", "processes")) >= 8
    assert server.ctl_status("stats", "weather")[0] != 0


def test_unknown_command(server):
    """ejabberd: the nearest name, exit 1"""
    status, out, err = server.ctl_status("regster", "a", "b", "c")
    assert status == 1
    assert "unknown command 'regster'" in out + err
    assert "register" in out + err


@pytest.mark.parametrize("args", [["register"], ["register", "a", "b", "c", "d"], ["check_account", "a"]])
def test_wrong_number_of_arguments(server, args):
    status, out, err = server.ctl_status(*args)
    assert status in (1, 2)
    assert "argument" in out + err


def test_dashes_and_underscores(server):
    """ejabberdctl takes both"""
    assert server.ctl("registered-users", "example.net") == server.ctl("registered_users", "example.net")


def test_help(server):
    out = server.ctl("help")
    assert "register" in out + server.ctl("help", "commands")
    assert "user" in server.ctl("help", "register")
    status, out, err = server.ctl_status()
    assert status in (2, 3) and out + err


def test_log_level(make_server):
    server = make_server(workers=1)
    assert server.ctl("get_loglevel") == "debug"
    server.ctl("set_loglevel", "error")
    assert server.ctl("get_loglevel") == "error"
    assert server.ctl_status("set_loglevel", "loud")[0] == 1


def test_stop(make_server):
    """ejabberd: stop answers, then the service ends in order"""
    server = make_server(workers=1)
    juliet = server.stream().login(until="online")
    server.ctl("stop")
    juliet.expect_error("system-shutdown")
    assert server.process.wait(wait.PATIENCE) == 0
    assert server.ctl_status("status")[0] == 3
    assert server.ctl_status("stopped")[0] == 0


def test_restart(make_server):
    """The same data, other processes; the master stays to be found by its parent"""
    server = make_server(workers=1)
    account = server.account("juliet")
    before = {p["pid"] for p in server.processes() if p["role"] != "master"}
    server.ctl("restart")
    wait.until(lambda: server.ctl_status("status")[0] == 0 and
               not before & {p["pid"] for p in server.processes()}, "other processes")
    server.stream(account).login().ping()


def test_the_control_socket_is_private(server):
    """Only root and the service's own user may command it"""
    import os
    import stat
    mode = os.stat(f"{server.dir}/stanzad.sock").st_mode
    assert stat.S_ISSOCK(mode)
    assert not mode & stat.S_IROTH and not mode & stat.S_IWOTH


def test_garbage_on_the_control_socket(server):
    """A client that speaks nonsense is dropped; the admin process lives"""
    import os
    import socket
    pid = server.processes("admin")[0]["pid"]
    for data in (b"\0" * 10000, b"GET / HTTP/1.0\r\n\r\n", os.urandom(5000), b"\xff" * 8):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(1)
            s.connect(f"{server.dir}/stanzad.sock")
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    assert server.processes("admin")[0]["pid"] == pid
