"""mam.py -- what message archives cost, through a whole server of its own

    STANZAD_BUILD=build /usr/bin/python3 -B bench/mam.py pages [ROWS]
    STANZAD_BUILD=build /usr/bin/python3 -B bench/mam.py cost [SECONDS [CLIENTS [MESSAGES A SECOND]]]

pages: milliseconds from a query to its answer, as a client on loopback under TLS sees
them, out of an archive of ROWS messages (a million) that lies in the table beside others'.
cost: microseconds of CPU time per message between two users, by process, without archives
and with: a message then makes two rows. Both once with SQLite and once with PostgreSQL;
DATABASES="pgsql" leaves one out.
"""
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from harness import database, mam, pgsql  # noqa: E402
from harness.server import BUILD, Server  # noqa: E402

START, STEP = 1_600_000_000_000_000, 60_000_000
TICK = os.sysconf("SC_CLK_TCK")

FILL = """
insert into archive (username, timestamp, peer, bare_peer, xml, txt, kind, nick, origin_id)
select '{user}', {start} + cast(i as bigint) * {step}, 'friend' || (i % 40) || '@example.net/phone',
 'friend' || (i % 40) || '@example.net',
 '<message xmlns=''jabber:client'' to=''{user}@example.net'' from=''friend' || (i % 40) ||
 '@example.net/phone'' type=''chat'' id=''' || i || '''><body>Message number ' || i ||
 ', neither very short nor very long, as people write them</body></message>',
 'Message number ' || i || ', neither very short nor very long, as people write them',
 'chat', '', '' || i from {series}"""
SERIES = {"pgsql": "generate_series(0, {n} - 1) as i",
          "sqlite": "(with recursive s(i) as (select 0 union all select i + 1 from s where i < {n} - 1)"
                    " select i from s)"}


def fill(server, user, n):
    series = SERIES[server.database].format(n=n)
    with database.cursor(server) as c:
        c.execute(FILL.format(user=user, start=START, step=STEP, series=series))


def ask(stream, text, kind="set"):
    """Milliseconds until the answer has come."""
    begin = time.perf_counter()
    stream.send(f"<iq type='{kind}' id='bench'>{text}</iq>")
    seen = b""
    while b"</iq>" not in seen:
        seen += stream.read_some(time.monotonic() + 600)
    assert b"type='result'" in seen, seen[-500:]
    return (time.perf_counter() - begin) * 1000


def questions(n, rng):
    def some():
        return START + rng.randrange(n) * STEP

    def when(us):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(us // 1_000_000))

    last = START + (n - 1) * STEP
    friend = {"with": "friend7@example.net"}
    return {
        "the last 50": lambda: mam.query_text({"max": 50, "before": None}),
        "the first 50": lambda: mam.query_text({"max": 50}),
        "50 behind an id": lambda: mam.query_text({"max": 50, "after": some()}),
        "50 before an id": lambda: mam.query_text({"max": 50, "before": some()}),
        "250 behind an id": lambda: mam.query_text({"max": 250, "after": some()}),
        "nothing new": lambda: mam.query_text({"max": 50, "after": last}),
        "50 from a time on": lambda: mam.query_text({"max": 50}, start=when(some())),
        "the last 50 with one": lambda: mam.query_text({"max": 50, "before": None}, **friend),
        "50 with one, before a time": lambda: mam.query_text(
            {"max": 50, "before": None}, end=when(some()), **friend),
        "one by its id": lambda: mam.query_text(ids=some()),
        "only the number": lambda: mam.query_text({"max": 0}),
        "metadata": lambda: f"<metadata xmlns='{mam.NS}'/>",
    }


def pages(server, n):
    rng = random.Random(1)
    account = server.register("juliet")
    for k in range(10):
        fill(server, f"other{k}", n // 100)
    fill(server, "juliet", n)
    if server.database == "pgsql":
        database.change(server, "analyze archive")
    stream = server.stream(account).login(until="online")
    for name, question in questions(n, rng).items():
        kind = "get" if name == "metadata" else "set"
        times = [ask(stream, question(), kind) for _ in range(105)][5:]
        print(f"  {name:28} median {statistics.median(times):7.2f} ms   "
              f"worst of a hundred {max(times):7.2f} ms", flush=True)


def cpu_seconds(server):
    used = {}
    for p in server.processes():
        with open(f"/proc/{p['pid']}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        used[p["role"]] = used.get(p["role"], 0) + (int(fields[11]) + int(fields[12])) / TICK
    return used


def cost(server, seconds, clients, rate):
    for i in range(clients):
        server.ctl("register", f"bench{i}", "example.net", "bench")
    load = subprocess.Popen(
        [f"{BUILD}/bench/load", "-p", str(server.port), "-t", "starttls", "-d", "example.net",
         "-n", str(clients), "-a", str(clients), "-s", str(seconds), "-r", str(rate), "chat"],
        stdout=subprocess.PIPE, text=True)
    for line in load.stdout:
        if line.startswith("start"):
            break
    before = cpu_seconds(server)
    result = json.loads(load.communicate()[0].strip().splitlines()[-1])
    after = cpu_seconds(server)
    n = result["messages"]
    return n / seconds, {role: (after[role] - before[role]) / n * 1e6 for role in ("worker", "sql")}


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "pages"
    numbers = [int(a) for a in sys.argv[2:]]
    with tempfile.TemporaryDirectory(prefix="stanzad-mam-") as top:
        os.chmod(top, 0o755)
        cluster = pgsql.Cluster(os.path.join(top, "pgsql"))
        cluster.create()
        try:
            for kind in os.environ.get("DATABASES", "sqlite pgsql").split():
                for default in ("always",) if what == "pages" else ("never", "always"):
                    server = Server(tempfile.mkdtemp(dir=top), database=kind, cluster=cluster, config={
                        "loglevel": "warning", "modules": {"mod_mam": {"default": default}}})
                    os.chmod(server.base, 0o755)
                    server.start()
                    try:
                        if what == "pages":
                            n = numbers[0] if numbers else 1_000_000
                            print(f"{kind}, {n} messages:", flush=True)
                            pages(server, n)
                        else:
                            usual = [10, 40, 2000]
                            rate, used = cost(server, *(numbers + usual[len(numbers):])[:3])
                            print(f"{kind}, default {default}: {rate:.0f} messages/s, per message "
                                  + ", ".join(f"{r} {us:.1f} µs" for r, us in used.items()), flush=True)
                    finally:
                        server.new_test()
                        server.stop()
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
