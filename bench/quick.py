#!/usr/bin/python3
"""
quick.py -- instructions per message, and whether they have become more

CPU time differs from run to run, the number of instructions hardly does. A worker runs under
valgrind's callgrind, built as always but without its sandbox (STANZAD_TRACED: valgrind lives
in the process and needs its files and system calls). Two clients chat, one message under way,
so that each run does the same. A `reload_config` before and after makes callgrind write and
clear its counters (--dump-before); what a reload costs is counted, too, and taken off.

    bench/quick.py [-w]        compares with bench/quick.json; -w: writes it

Fails when a figure is more than 10 % above the recorded one. Another compiler or OpenSSL makes
other figures: the file says with what they were made.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import compare
import servers

BUILD = servers.BUILD
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quick.json")
LIMIT = 1.1
SECONDS, SETTLE = 60, 4  # at most so long, and so long after the log-ins
# name: arguments of bench/load
CASES = {"chat": "-t none -n 2 -N 2000 chat", "chat_tls": "-t direct -D -n 2 -N 2000 chat",
         "chat_sm": "-t none -m -n 2 -N 2000 chat",
         "chat_tls_sm": "-t direct -D -m -n 2 -N 2000 chat", "presence": "-t none -n 21 -N 20000 presence"}


class Traced(servers.Stanzad):
    """All processes under valgrind, from the start without root: see as_user()."""

    user = "nobody"

    def run(self, *args, env=None):
        self.give()
        os.chmod(self.dir, 0o777)
        super().run("valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
                    "--dump-before=worker_reload*", f"--callgrind-out-file={self.dir}/cg.%p",
                    *args, env=env)

    def wait(self, ready):
        super().wait(ready)
        self.ctl("started")

    def count(self):
        """Instructions of the worker since the last count(); a reload is among them."""
        before = set(glob.glob(f"{self.dir}/cg.*.*"))
        self.ctl("reload_config")
        after = set()
        while not after:  # reload_config answers when all have reloaded
            after = set(glob.glob(f"{self.dir}/cg.*.*")) - before
        with open(after.pop()) as f:
            return int(re.search(r"^totals: (\d+)", f.read(), re.M)[1])


def measure(server, text):
    args = text.split()
    port = server.port_tls if "direct" in args else server.port
    load = subprocess.Popen([compare.LOAD, "-p", str(port), "-a", "21", "-s", str(SECONDS),
                             "-w", str(SETTLE), *args], stdout=subprocess.PIPE, text=True)
    while load.stdout.readline() not in ("ready\n", ""):
        pass
    server.count()  # the log-ins; now it is silent for SETTLE seconds
    out, _ = load.communicate()
    # The end of the sessions is counted, too: little beside thousands of messages.
    total = server.count()
    return total, json.loads(out.strip().splitlines()[-1])["ops"]


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-w", action="store_true", help="write the figures to bench/quick.json")
    args = p.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("quick: Debian's package valgrind is not installed")
    found = {}
    with tempfile.TemporaryDirectory(prefix="stanzad-quick-") as top:
        os.chmod(top, 0o755)
        compare.certificate(f"{top}/cert.pem")
        server = Traced(top, workers=1)
        try:
            server.fill(21, 20)
            server.start()
            server.count()
            reload = server.count()
            for name, text in CASES.items():
                total, ops = measure(server, text)
                found[name] = round((total - reload) / ops)
                print(f"{name:11} {found[name]:8} instructions, {ops} operations", flush=True)
        finally:
            server.stop()
    if args.w:
        with open(RECORDED, "w") as f:
            json.dump({"made_with": made_with(), **found}, f, indent=1)
            f.write("\n")
        return 0
    return judge(found)


def made_with():
    gcc = subprocess.run(["gcc", "--version"], capture_output=True, text=True).stdout
    ssl = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout
    return f"{gcc.splitlines()[0]}, {' '.join(ssl.split()[:2])}"


def judge(found):
    with open(RECORDED) as f:
        recorded = json.load(f)
    if recorded["made_with"] != made_with():
        print(f"note: recorded with {recorded['made_with']}, this is {made_with()}")
    bad = 0
    for name, n in found.items():
        ratio = n / recorded[name]
        bad += ratio > LIMIT
        print(f"{name:11} {n:8} now {recorded[name]:8} recorded {100 * (ratio - 1):+6.1f} %"
              f"{'  TOO MUCH' if ratio > LIMIT else ''}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
