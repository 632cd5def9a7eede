"""Overload and outage: DESIGN, promises 2 and 4

A process that stands still for a while (SIGSTOP, as on a machine that swaps), a database that
is away, a full disk: who causes the work has to wait, others do not; memory stays bounded; and
afterwards all that was acknowledged is there, once and in order.
"""
import os
import signal
import time

import pytest

from harness import wait
from harness.crowd import Memory, PingPong, Receiver, Sender, small_buffers

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
    assert during > 100 and others.longest < 1
    assert max(growth.values()) < 48
