#!/usr/bin/python3
"""
compare.py -- servers side by side: stanzad, Debian's ejabberd and prosody, and floor

All of them in one run on one machine, several rounds in which they take turns at each run;
figures are medians of the rounds. What counts is the CPU time of the server's processes per operation and
their memory per session, as ratios: on a shared machine the clock on the wall is not worth
much. runs.py has the table of runs, servers.py how each server is set up.

    bench/compare.py [-s SERVERS] [-k RUNS] [-r ROUNDS] [-t SECONDS] [-o FOLDER]

-o also writes FOLDER/RESULTS.md, results.json and results.svg; report.py makes them.
"""
import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

import report
import servers
from runs import BESIDE, RUNS, SESSIONS, SESSIONS_PEERS

LOAD = os.path.abspath(f"{servers.BUILD}/bench/load")
ACCOUNTS, CONTACTS = 500, 20


def load(server, text, n_accounts):
    """The process of the generator with these arguments."""
    args = text.split()
    tls = "direct" in args
    port = server.port_tls if tls else server.port
    # Its own part is made as small as can be (-D), for it takes time from the server.
    return subprocess.Popen([LOAD, "-P", str(server.pid), "-p", str(port), "-a", str(n_accounts),
                             *(["-D"] if tls else []), *args],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process):
    out, err = process.communicate()
    if process.returncode != 0:
        return {"error": err.strip()[-300:]}
    return json.loads(out.strip().splitlines()[-1])


def one(server, key, seconds, n_accounts, more=""):
    beside = None
    if key in BESIDE:
        beside = load(server, BESIDE[key].format(long=seconds + 5), n_accounts)
        while beside.stdout.readline() not in ("start\n", ""):
            pass
    found = result(load(server, more + RUNS[key][2].format(s=seconds, double=2 * seconds), n_accounts))
    if beside:
        found["beside"] = result(beside)
    return found


def show(name, key, found):
    if "error" in found:
        print(f"{name:9} {key:11} failed: {found['error']}", flush=True)
        return
    print(f"{name:9} {key:11} {found['cpu_us_per_op']:10.2f} us CPU/op {found['ops']:8} ops "
          f"p50 {found['p50_us']:8} p99 {found['p99_us']:8} us  {found['pss_per_client']:8.0f} "
          f"bytes/client  lost {found['lost']} repeated {found['repeated']} open "
          f"{found['stalled_pairs']}", flush=True)


@contextlib.contextmanager
def running(name, top, n_accounts, n_contacts):
    """A server with so many accounts and contacts, as long as it is used; None: it failed."""
    directory = tempfile.mkdtemp(dir=top)
    os.chmod(directory, 0o755)
    shutil.copy(f"{top}/cert.pem", directory)
    server = servers.ALL[name](directory)
    try:
        try:
            server.fill(n_accounts, n_contacts)
            server.start()
        except servers.Failed as e:
            print(e, file=sys.stderr)
            server.stop()
            yield None
        else:
            yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def measure(name, server, key, seconds, n_accounts, more, results):
    found = one(server, key, seconds, n_accounts, more)
    results.setdefault(key, {}).setdefault(name, []).append(found)
    show(name, key, found)


def takes_part(name, key):
    return RUNS[key][3] is None or name in RUNS[key][3]


def main_round(names, keys, top, args, results):
    """All servers run, and each run is made with one after the other: what changes on the
    machine meanwhile changes for all. Memory is measured on a new server, alone."""
    mine = [k for k in keys if RUNS[k][1] == "main"]
    with contextlib.ExitStack() as stack:
        up = {n: stack.enter_context(running(n, top, ACCOUNTS, CONTACTS))
              for n in names if any(takes_part(n, k) for k in mine)}
        for server in up.values():
            if server:  # memory is warm, code has been read: what comes first is not worse
                one(server, "chat", 1, ACCOUNTS)
        for key in mine:
            for name, server in up.items():
                if server and takes_part(name, key):
                    measure(name, server, key, args.t, ACCOUNTS, "", results)
    for name in names:
        for key in keys:
            if RUNS[key][1] != "idle" or not takes_part(name, key):
                continue
            n = args.n or (SESSIONS if name == "stanzad" else SESSIONS_PEERS)
            with running(name, top, n, 0) as server:
                if server:
                    measure(name, server, key, args.t, n, f"-n {n} -j {n // 15000 + 1} ", results)


def certificate(path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out",
                    f"{path}.crt"], check=True, stderr=subprocess.DEVNULL)
    with open(f"{path}.crt") as crt, open(path, "a") as pem:
        pem.write(crt.read())
    os.chmod(path, 0o644)


def words(text, known, what):
    chosen = text.split(",") if text else list(known)
    for w in chosen:
        if w not in known:
            sys.exit(f"compare: no {what} {w}; there are {', '.join(known)}")
    return chosen


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-s", metavar="SERVERS", help="of " + ",".join(servers.ALL))
    p.add_argument("-k", metavar="RUNS", help="of " + ",".join(RUNS))
    p.add_argument("-r", metavar="ROUNDS", type=int, default=3)
    p.add_argument("-t", metavar="SECONDS", type=int, default=3, help="of each run (3)")
    p.add_argument("-n", metavar="SESSIONS", type=int, help="of idle runs")
    p.add_argument("-o", metavar="FOLDER")
    args = p.parse_args()
    if args.o:
        os.makedirs(args.o, exist_ok=True)  # now, not after all has been measured
    names = words(args.s, servers.ALL, "server")
    keys = words(args.k, RUNS, "run")
    for name in list(names):
        why = servers.ALL[name].missing()
        if why:
            print(f"without {name}: {why}", file=sys.stderr)
            names.remove(name)
    results, versions = {}, {n: servers.ALL[n].version() for n in names}
    with tempfile.TemporaryDirectory(prefix="stanzad-bench-") as top:
        os.chmod(top, 0o755)
        certificate(f"{top}/cert.pem")
        for n in range(args.r):
            print(f"round {n + 1} of {args.r}", flush=True)
            main_round(names, keys, top, args, results)
            found = report.collect(versions, results, n + 1, args.t, sys.argv)
            if args.o:
                report.write(found, args.o)
    print(report.text(found))


if __name__ == "__main__":
    main()
