"""Logs: structured, with connection and address, in three forms"""
import json
import os

from harness import wait


def test_text_lines_name_connection_and_address(make_server):
    server = make_server(workers=1)
    juliet = server.stream().login()
    server.wait_log(juliet.account.bare)


def test_json_lines(make_server):
    """log_format: json; one object per line"""
    server = make_server(workers=1, config={"log_format": "json", "log_target": "file"})
    juliet = server.stream().login()
    server.wait_log(juliet.account.bare)
    juliet.close()
    with open(f"{server.dir}/stanzad.log") as f:
        lines = f.read().splitlines()
    parsed = [json.loads(line) for line in lines]
    assert all(isinstance(p, dict) for p in parsed)
    assert any(juliet.account.bare in json.dumps(p) for p in parsed)


def test_a_log_file(make_server):
    """log_target: file; DIR/stanzad.log, opened again after logrotate(8)"""
    server = make_server(workers=1, config={"log_target": "file"})
    path = f"{server.dir}/stanzad.log"
    server.stream().login().ping()
    wait.until(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "a log")
    assert not os.stat(path).st_mode & 0o007
    os.rename(path, path + ".1")
    server.ctl("reopen_log")
    server.stream("romeo").login().ping()
    wait.until(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "a new log")


def test_nothing_from_outside_makes_a_line(make_server):
    """Control characters in what a client says are escaped"""
    server = make_server(workers=1)
    juliet = server.stream("juliet", resource="a").login()
    juliet.send("<message to='x&#10;FAKE line of the log@example.net'/>")
    juliet.expect("<message type='error'/>")
    romeo = server.stream("romeo").connect()
    romeo.open()
    romeo.sasl_send("auth", b"\0evil\nFAKE line of the log\0pw", "PLAIN")
    romeo.next()
    assert not [li for li in server.log().splitlines() if li.startswith("FAKE")]
