"""Clients that are gone without a word: nobody looks online for minutes (XEP-0198, 4; RFC 1122, 4.2.3)

A socket filter that lets nothing through makes the kernel deaf for one connection: for the
other end the machine is gone.
"""
import ctypes
import socket
import struct
import sys
import time

import pytest

from harness import wait
from harness.sm import SM, ask_h, body, enable, next_stanza, resume, say

SO_ATTACH_FILTER = 26
USER_TIMEOUT_S = 60


def go_deaf(stream):
    """No packet reaches this connection any more, nor is any acknowledged by its kernel."""
    if sys.platform != "linux":
        pytest.skip("not here: no socket filters")
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # ret #0
    program = struct.pack("HL", 1, ctypes.addressof(nothing))
    stream.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    stream.closed = True  # nothing is to be expected of it


def waits(server):
    return "waits for" in server.log()


@pytest.mark.parametrize("ack_timeout, within", [(2, 6), ("infinity", USER_TIMEOUT_S + 10)])
def test_packets_are_lost(make_server, ack_timeout, within):
    """By <r/>, within ack_timeout; where that is not set by TCP_USER_TIMEOUT"""
    server = make_server(config={"loglevel": "info", "modules": {
        "mod_ping": {}, "mod_stream_mgmt": {"ack_timeout": ack_timeout}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    ask_h(juliet)
    go_deaf(juliet)
    begin = time.monotonic()
    say(romeo, juliet, "1")
    wait.until(lambda: waits(server), "the session to wait", within)
    took = time.monotonic() - begin
    print(f"\ngone: found after {took:.1f} s")
    assert took >= (2 if ack_timeout == 2 else USER_TIMEOUT_S / 2)
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    assert body(next_stanza(again)) == "1"
    ask_h(again)


def test_it_reads_no_more(make_server):
    """Its buffers are full: send_timeout; all that it has not acknowledged waits for it, in order"""
    n = 300
    server = make_server(config={"loglevel": "info", "modules": {
        "mod_ping": {}, "mod_stream_mgmt": {"ack_timeout": "infinity"}}}, listen={"send_timeout": 2})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    previd = enable(juliet)
    begin = time.monotonic()
    say(romeo, juliet, *(f"{i} {'x' * 40000}" for i in range(n)))
    wait.until(lambda: waits(server), "the session to wait", 15)
    assert time.monotonic() - begin >= 2
    assert server.counter("slow_cut") == 1
    again, answer = resume(server, "juliet", previd, 0)
    assert answer.tag == f"{{{SM}}}resumed"
    assert [int(body(next_stanza(again)).split()[0]) for _ in range(n)] == list(range(n))


def test_without_stream_management(make_server):
    """It does not look online for longer than the timeout of TCP, either"""
    server = make_server(config={"loglevel": "info", "modules": {"mod_ping": {}}})
    romeo, juliet = server.pair("romeo", "juliet", until="online")
    go_deaf(juliet)
    say(romeo, juliet, "1")
    wait.until(lambda: juliet.full not in server.ctl("connected_users"), "the end of the session",
               USER_TIMEOUT_S + 10, pause=1)
