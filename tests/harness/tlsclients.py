"""tlsclients.py -- other people's TLS clients, as programs that pass bytes through

Each connects to the server, over STARTTLS where it can, and then sends what it gets on its
standard input and writes what it receives to its standard output.
"""
import os
import select
import shutil
import signal
import subprocess
import time

from . import wait

CLIENTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients")
SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]


class Program:
    """What they have in common: a process that is talked to through pipes."""

    modes = ("direct", "starttls")
    can_update_keys = False

    def __init__(self, *command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0)
        self.seen = {self.process.stdout: b"", self.process.stderr: b""}

    @classmethod
    def missing(cls):
        return "" if shutil.which(cls.command) else f"{cls.command} is not installed"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for f in (self.process.stdin, self.process.stdout, self.process.stderr):
            if not f.closed:
                f.close()

    def _read(self, timeout):
        """Whatever has come on either pipe; false at the end of both."""
        pipes = [f for f in self.seen if not f.closed]
        for f in select.select(pipes, [], [], timeout)[0]:
            piece = os.read(f.fileno(), 1 << 20)
            if piece:
                self.seen[f] += piece
            else:
                f.close()
        return any(not f.closed for f in self.seen)

    def until(self, *words, pipes=None):
        """Waits for one of the words, on any of the pipes; forgets what came up to now."""
        words = [w.encode() for w in words]
        pipes = pipes or list(self.seen)
        end = time.monotonic() + wait.PATIENCE
        while not any(w in self.seen[f] for f in pipes for w in words):
            left = end - time.monotonic()
            on = left > 0 and self._read(left)
            assert on or any(w in self.seen[f] for f in pipes for w in words), \
                f"not {words}: {[s[-500:] for s in self.seen.values()]}"
        seen = b"".join(self.seen[f] for f in pipes)
        for f in pipes:
            self.seen[f] = b""
        return seen.decode(errors="replace")

    def write(self, text):
        self.process.stdin.write(text.encode())

    def say(self, text, *answers):
        """Sends a line, and waits until one of the answers has come."""
        data = memoryview(text.encode() + b"\n")
        while data:  # it may have to write before it reads on
            _, ready, _ = select.select([], [self.process.stdin], [], 0.05)
            if ready:
                data = data[os.write(self.process.stdin.fileno(), data[:4096]):]
            self._read(0)
        return self.until(*answers, pipes=[self.process.stdout])

    def end(self):
        """Waits for the end of the process; all that it has said since the last question."""
        end = time.monotonic() + wait.PATIENCE
        while self._read(max(0, end - time.monotonic())):
            assert time.monotonic() < end, "the client goes on"
        self.process.wait(wait.PATIENCE)
        return b"".join(self.seen.values()).decode(errors="replace")


class OpenSsl(Program):
    command = "openssl"
    can_update_keys = True

    def __init__(self, server, mode="direct", suite=None, options=()):
        port = server.port_tls if mode == "direct" else server.port
        host = server.hosts[0]
        super().__init__(
            "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", host,
            "-CAfile", server.cafile, "-verify_return_error", "-verify_hostname", host,
            *(("-starttls", "xmpp", "-name", host) if mode == "starttls" else ()),
            *(("-ciphersuites", suite) if suite else ()), *options)
        self.connected = self.until("Verify return code")

    def reused(self):
        return "Reused, TLSv1.3" in self.connected

    def key_update(self, both=True):
        self.write("K\n" if both else "k\n")
        self.until("KEYUPDATE", pipes=[self.process.stderr])

    def leave(self):
        """close_notify, then the end"""
        self.write("Q\n")
        return self.end()


class GnuTls(Program):
    command = "gnutls-cli"
    can_update_keys = True
    ciphers = dict(zip(SUITES, ("AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305")))

    def __init__(self, server, mode="direct", suite=None, options=()):
        port = server.port_tls if mode == "direct" else server.port
        host = server.hosts[0]
        priority = "NORMAL:-VERS-ALL:+VERS-TLS1.3"
        if suite:
            priority += f":-CIPHER-ALL:+{self.ciphers[suite]}"
        super().__init__(
            "gnutls-cli", "--port", str(port), "--x509cafile", server.cafile,
            "--priority", priority, "--inline-commands",
            *(("--starttls-proto", "xmpp") if mode == "starttls" else ()), *options, host)
        self.connected = self.until("Simple Client Mode")

    def reused(self):
        return "This is a resumed session" in self.connected

    def key_update(self, both=True):
        self.write("^rekey^\n" if both else "^rekey1^\n")
        self.until("Rekey was completed", pipes=[self.process.stdout])

    def leave(self):
        self.process.stdin.close()
        return self.end()


class Node(Program):
    command = "node"

    def __init__(self, server, mode="direct", suite=None, options=()):
        port = server.port_tls if mode == "direct" else server.port
        super().__init__("node", f"{CLIENTS}/tlspipe.mjs", mode, str(port), server.hosts[0],
                         server.cafile, suite or "", *options)
        self.connected = self.until("connected", pipes=[self.process.stderr])

    def wait_for_ticket(self):
        """It may have come with the handshake."""
        if "ticket" not in self.connected:
            self.until("ticket", pipes=[self.process.stderr])

    def reused(self):
        return "reused" in self.connected

    def leave(self):
        self.process.stdin.close()
        return self.end()


class Nss(Program):
    command = "tstclnt"
    modes = ("direct",)
    ciphers = dict(zip(SUITES, (":1301", ":1302", ":1303")))

    def __init__(self, server, mode="direct", suite=None, options=()):
        super().__init__(
            "tstclnt", "-h", server.hosts[0], "-p", str(server.port_tls), "-4", "-D", "-o",
            "-f", "-v", "-V", "tls1.3:tls1.3", *(("-c", self.ciphers[suite]) if suite else ()),
            *options)

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdin.close()
        return self.end()


ALL = [OpenSsl, GnuTls, Node, Nss]
