"""load.py -- clients that exchange numbered messages while a test does something (bench/load.c)

They count what is lost, comes twice or never comes back, and end with an error when a
connection is lost.
"""
import json
import os
import subprocess

from .server import BUILD

CLIENTS, ACCOUNTS = 60, 10


def prepare(server):
    for i in range(ACCOUNTS):
        server.ctl("register", f"bench{i}", server.hosts[0], "bench")


class Load:
    """The load generator, from its start to its line of JSON."""

    def __init__(self, server, tls, seconds):
        self.seconds = seconds
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "bench", "load"), "-p", str(server.port), "-t", tls, "-d", server.hosts[0],
             "-n", str(CLIENTS), "-a", str(ACCOUNTS), "-s", str(seconds), "chat"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if line.startswith("start"):
                return
        raise AssertionError("load did not begin")

    def result(self):
        out, _ = self.process.communicate(timeout=self.seconds + 60)
        assert self.process.returncode == 0, out
        return json.loads(out.strip().splitlines()[-1])
