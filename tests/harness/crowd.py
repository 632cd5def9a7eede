"""crowd.py -- clients that send and receive in threads of their own, while a test breaks something"""
import re
import socket
import threading
import time

from .sm import SM

FOUND = re.compile(rb"<body>(\d+)[ <]|<r xmlns=")


class Worker(threading.Thread):
    """run_() in a thread; join() raises what it has raised."""

    def __init__(self):
        super().__init__(daemon=True)
        self.error = None
        self.stopped = threading.Event()

    def run(self):
        try:
            self.run_()
        except BaseException as e:  # noqa: B902  for the test's own thread
            self.error = e

    def finish(self, timeout=60):
        self.join(timeout)
        assert not self.is_alive(), f"{self} goes on and on"
        if self.error:
            raise self.error


class Sender(Worker):
    """Sends n numbered messages as fast as it may."""

    def __init__(self, stream, to, n, size=1000, first=0):
        super().__init__()
        self.stream, self.to, self.n, self.first = stream, to, n, first
        self.filler = "x" * size
        self.sent = 0
        self.longest = 0.0

    def run_(self):
        self.stream.patience = 90
        for i in range(self.first, self.first + self.n):
            begin = time.monotonic()
            self.stream.send(f"<message to='{self.to}' type='chat' id='{i}'><body>{i} {self.filler}</body></message>")
            self.longest = max(self.longest, time.monotonic() - begin)
            self.sent += 1
            if self.stopped.is_set():
                return


class Receiver(Worker):
    """Notes the numbers of the messages that come, until there are n; acknowledges them if asked."""

    def __init__(self, stream, n):
        super().__init__()
        self.stream, self.n = stream, n
        self.got = []

    def run_(self):
        """Looks for known strings: the parser of the streams is too slow for this."""
        end, rest = time.monotonic() + 90, self.stream.unread
        while len(self.got) < self.n:
            rest += self.stream.read_some(end)
            assert not self.stream.closed, f"the stream ended after {len(self.got)} of {self.n}: {rest[-300:]}"
            at = 0
            for m in FOUND.finditer(rest):
                at = m.end()
                if m[1]:
                    self.got.append(int(m[1]))
                else:
                    self.stream.send(f"<a xmlns='{SM}' h='{len(self.got)}'/>")
            rest = rest[max(at, len(rest) - 64):]


class PingPong(Worker):
    """Two streams answer each other's messages: how many came, and how long the longest took."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = a, b
        self.n = 0
        self.longest = 0.0

    def run_(self):
        while not self.stopped.is_set():
            begin = time.monotonic()
            for x, y in ((self.a, self.b), (self.b, self.a)):
                x.send(f"<message to='{y.full}' type='chat'><body>{self.n}</body>"
                       "<no-store xmlns='urn:xmpp:hints'/></message>")
                assert y.next(timeout=60).find("{jabber:client}body").text == str(self.n)
            self.longest = max(self.longest, time.monotonic() - begin)
            self.n += 1

    def stop(self):
        self.stopped.set()
        self.finish()


class Memory(Worker):
    """The largest resident size of each process, in MiB, seen from time to time."""

    def __init__(self, pids):
        super().__init__()
        self.pids = list(pids)
        self.first = {pid: self.of(pid) for pid in self.pids}
        self.most = dict(self.first)

    @staticmethod
    def of(pid):
        try:
            with open(f"/proc/{pid}/status") as f:
                found = re.search(r"^VmRSS:\s+(\d+)", f.read(), re.M)
            return int(found[1]) / 1024 if found else 0
        except OSError:
            return 0

    def run_(self):
        while not self.stopped.wait(0.05):
            for pid in self.pids:
                self.most[pid] = max(self.most[pid], self.of(pid))

    def stop(self):
        """How much each of them grew."""
        self.stopped.set()
        self.finish()
        return {pid: self.most[pid] - self.first[pid] for pid in self.pids}


def small_buffers(stream):
    """So that the kernel does not hide for long that nobody reads."""
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    return stream
