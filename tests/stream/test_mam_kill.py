"""Message archives: kill -9 while messages are written and read

Every message that was taken is in both archives exactly once, under the id that its
recipient was told; a page that is being sent goes on where it was.
"""
import os
import random
import signal
import threading
import time

import pytest

from harness import mam, wait

CONFIG = {"loglevel": "info", "modules": {"mod_ping": {}, "mod_mam": {"default": "always"}}}


def kill(server, roles, rng):
    there = [p for p in server.processes() if p["role"] in roles and p["pid"]]
    if not there:
        return 0
    try:
        os.kill(rng.choice(there)["pid"], signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def chat(a, b, stop, seen, failed):
    """One message to and fro; what each got: id of the stanza -> id in the archive."""
    i = 0
    try:
        while not stop.is_set():
            for x, y in ((a, b), (b, a)):
                i += 1
                x.send(f"<message to='{y.bare}' type='chat' id='m{i}'><body>{i}</body></message>")
                got = y.expect(f"<message id='m{i}' from='{x.full}'/>")
                seen[y.bare][f"m{i}"] = mam.stanza_id(got, y.bare)
                seen[x.bare][f"m{i}"] = None
    except Exception as e:  # reported by the test
        failed.append(e)


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
@pytest.mark.parametrize("roles", [("worker",), ("sql",), ("worker", "sql", "router")], ids="+".join)
def test_nothing_is_lost_or_doubled(make_server, database, roles):
    server = make_server(config=CONFIG, database=database)
    rng = random.Random(1)
    slots = sorted(server.worker_connections())
    pairs = []
    for n in range(3):
        a, b = (server.stream(f"{who}{n}", worker=slots[(n + k) % 2]).login(until="online")
                for k, who in enumerate(("juliet", "romeo")))
        pairs.append((a, b))
    for s in (s for p in pairs for s in p):
        s.patience = 3 * wait.PATIENCE
    seen, failed, stop = {s.bare: {} for p in pairs for s in p}, [], threading.Event()
    threads = [threading.Thread(target=chat, args=(a, b, stop, seen, failed)) for a, b in pairs]
    for t in threads:
        t.start()
    hits, end = 0, time.monotonic() + 3 * wait.PATIENCE
    while hits < 8 and not failed and time.monotonic() < end:
        time.sleep(0.3)  # the rhythm of the attack, not a wait for something
        hits += kill(server, roles, rng)
    stop.set()
    for t in threads:
        t.join(4 * wait.PATIENCE)
    assert not failed and hits >= 6
    for stream in (s for p in pairs for s in p):
        told = seen[stream.bare]
        assert len(told) > 5
        rows = mam.wait_rows(server, stream, len(told), "timestamp, origin_id")
        assert sorted(r[1] for r in rows) == sorted(told)
        for stamp, name in rows:
            assert told[name] in (None, str(stamp)), name
        assert len({r[0] for r in rows}) == len(rows)


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
def test_a_page_goes_on_where_it_was(make_server, database):
    server = make_server(config=CONFIG, database=database)
    juliet = server.stream("juliet").login(until="online")
    juliet.patience = 3 * wait.PATIENCE
    n = 240
    ids = [str(i) for i in mam.fill(server, juliet.user, n, body=lambda i: "x" * 20_000)]
    rng = random.Random(2)
    for roles in (("worker",), ("sql",), ("worker", "sql")):
        i = juliet.next_id()
        juliet.send(f"<iq type='set' id='{i}'>{mam.query_text({'max': n})}</iq>")
        found, hits = [], 0
        while True:
            juliet.received = b""
            got = juliet.next()
            if got.tag != f"{mam.CLIENT}message":
                break
            found.append(got.find(f"{{{mam.NS}}}result").get("id"))
            if len(found) % 40 == 20:
                hits += kill(server, roles, rng)
        assert found == ids and hits > 0
        assert got.get("id") == i and got.find(f"{{{mam.NS}}}fin").get("complete") == "true"


def test_rows_wait_for_a_dead_sql_process_in_the_slot(make_server):
    """A worker that dies while its rows wait hands them to its successor"""
    server = make_server(config=CONFIG, database="pgsql")
    juliet, romeo = server.pair(until="online")
    juliet.patience = romeo.patience = 3 * wait.PATIENCE
    told = {}
    server.cluster.stop()
    try:
        for i in range(10):
            juliet.send(f"<message to='{romeo.bare}' type='chat' id='m{i}'><body>{i}</body></message>")
            told[f"m{i}"] = mam.stanza_id(romeo.expect(f"<message id='m{i}'/>"), romeo.bare)
        for _ in range(2):
            before = [p["pid"] for p in server.processes("worker")]
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait.until(lambda: len([p for p in server.processes("worker")
                                    if p["pid"] and p["pid"] not in before]) == 2, "new workers")
    finally:
        server.cluster.start()
    rows = wait.until(lambda: (lambda r: len(r) >= 10 and r)(
        mam.rows(server, romeo, "timestamp, origin_id")), "the rows", 6 * wait.PATIENCE)
    assert {name: str(stamp) for stamp, name in rows} == told and len(rows) == 10
    assert len(mam.wait_rows(server, juliet, 10)) == 10
