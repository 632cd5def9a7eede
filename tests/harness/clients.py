"""clients.py -- clients that people use, each behind the same four verbs

    start()               connects over STARTTLS, logs in by SCRAM, is available
    say(to, body)         sends a chat message
    heard(sender, body)   waits until that message has come
    stop()                logs out
"""
import asyncio
import json
import os
import queue
import re
import shlex
import ssl
import subprocess
import tempfile
import threading

from . import wait
from .server import ROOT


class Slixmpp:
    """
    In this process, on an event loop of its own.

    It binds to the channel by tls-unique whatever the version of TLS is, and says `y` when
    it is told to use no -PLUS (RFC 5802, 6): both must fail on TLS 1.3 with a server that
    offers -PLUS. So it speaks TLS 1.2 here, unless the server offers none.
    """

    def __init__(self, server, account, mechanism=None, tls=ssl.TLSVersion.TLSv1_2):
        self.server, self.account = server, account
        self.mechanism, self.tls = mechanism, tls
        self.messages = queue.Queue()
        self.online, self.offline = threading.Event(), threading.Event()
        self.problem = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _connect(self):
        import slixmpp
        c = self.client = slixmpp.ClientXMPP(
            f"{self.account.bare}/slixmpp", self.account.password, sasl_mech=self.mechanism)
        c.loop = self.loop
        c.ca_certs = self.server.cafile
        c.ssl_context.maximum_version = self.tls
        # It wants a certificate whose common name it knows, and no self-signed leaf.
        c.add_event_handler("ssl_invalid_cert", lambda pem: None)
        c.add_event_handler("session_start", self._started)
        c.add_event_handler("message", self.messages.put)
        c.add_event_handler("failed_all_auth", lambda _: self._failed("authentication failed"))
        c.add_event_handler("connection_failed", lambda e: self._failed(f"no connection: {e}"))
        c.add_event_handler("disconnected", lambda _: self.offline.set())
        c.dns_service = None
        # The base class has kept its arguments over the versions.
        slixmpp.xmlstream.XMLStream.connect(
            c, "127.0.0.1", self.server.port, force_starttls=True)

    def _failed(self, text):
        self.problem = text
        self.online.set()

    def _started(self, _):
        self.client.send_presence()
        self.full = self.client.boundjid.full
        self.mechanism = self.client["feature_mechanisms"].mech.name
        self.online.set()

    def start(self):
        self.thread.start()
        self.loop.call_soon_threadsafe(self._connect)
        assert self.online.wait(wait.PATIENCE), "slixmpp did not come online"
        assert self.problem is None, self.problem
        # Available, once the server has answered something sent after the presence
        self._ask(self._ping)
        return self

    async def _ping(self):
        self.client.register_plugin("xep_0199")
        await self.client["xep_0199"].send_ping(self.account.host, timeout=wait.PATIENCE)

    def _ask(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine(), self.loop).result(2 * wait.PATIENCE)

    def say(self, to, body):
        self.loop.call_soon_threadsafe(
            lambda: self.client.send_message(mto=to, mbody=body, mtype="chat"))

    def heard(self, sender, body):
        while True:
            m = self.messages.get(timeout=wait.PATIENCE)
            if m["from"].bare == sender and m["body"] == body:
                return m

    def stop(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(lambda: self.client.disconnect())
            assert self.offline.wait(wait.PATIENCE), "slixmpp did not disconnect"
            self._ask(self._cancel)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(wait.PATIENCE)
            self.loop.close()

    async def _cancel(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Xmppjs:
    """A node process; tests/clients/xmppjs.mjs is the script that drives xmpp.js."""

    def __init__(self, server, account, scheme="xmpp"):
        self.server, self.account, self.scheme = server, account, scheme
        self.events = queue.Queue()
        self.messages = []

    def start(self):
        port = self.server.port_tls if self.scheme == "xmpps" else self.server.port
        env = {**os.environ, "STANZAD_NODE": f"{ROOT}/build/node",
               "NODE_EXTRA_CA_CERTS": self.server.cafile}
        self.process = subprocess.Popen(
            ["node", f"{ROOT}/tests/clients/xmppjs.mjs",
             f"{self.scheme}://127.0.0.1:{port}", self.account.host,
             self.account.user, self.account.password, "xmppjs"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=env, cwd=ROOT)
        threading.Thread(target=self._read, daemon=True).start()
        mechanism = self._next("mechanism")
        assert mechanism["tls"], mechanism
        self.mechanism = mechanism["name"]
        self.full = self._next("online")["jid"]
        return self

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line) if line.startswith("{")
                            else {"event": "output", "text": line})
        self.events.put({"event": "end"})

    def _next(self, name):
        seen = []
        while True:
            try:
                e = self.events.get(timeout=wait.PATIENCE)
            except queue.Empty:
                raise AssertionError(f"xmpp.js: no {name}; but: {seen}") from None
            seen.append(e)
            assert e["event"] not in ("error", "end"), f"xmpp.js: {seen}"
            if e["event"] == name:
                return e

    def _order(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def say(self, to, body):
        self._order(to=to, body=body)

    def send(self, name, attributes, *children):
        self._order(tree=[name, attributes, *children])

    def stanza(self, fits):
        """The next one for which fits(name, attributes, text) holds."""
        while True:
            s = self._next("stanza")
            if fits(s["name"], s["attrs"], s["text"]):
                return s["text"]

    def heard(self, sender, body):
        while True:
            m = self._next("message")
            if m["from"].partition("/")[0] == sender and m["body"] == body:
                return m

    def stop(self):
        self._order(stop=True)
        assert self.process.wait(wait.PATIENCE) == 0


class Profanity:
    """In a terminal that tmux draws; we type into it and read its screen."""

    def __init__(self, server, account):
        self.server, self.account = server, account
        self.dir = tempfile.mkdtemp(dir=server.base, prefix="profanity")
        self.full = f"{account.bare}/profanity"

    def _tmux(self, *args):
        return subprocess.run(["tmux", "-S", f"{self.dir}/tmux", "-f", "/dev/null", *args],
                              text=True, capture_output=True, timeout=wait.PATIENCE)

    def start(self):
        config = f"{self.dir}/profanity"
        os.makedirs(config)
        with open(f"{config}/profrc", "w") as f:
            f.write("[ui]\nsplash=false\nwrap=false\n[notifications]\nmessage=off\n"
                    "[connection]\nautoping=0\n[logging]\nchlog=false\n")
        command = shlex.join([
            "env", f"HOME={self.dir}", f"XDG_CONFIG_HOME={self.dir}", f"XDG_DATA_HOME={self.dir}",
            "LANG=C.UTF-8", "TERM=screen", "profanity", "-l", "DEBUG", "-f", f"{self.dir}/log"])
        r = self._tmux("new-session", "-d", "-x", "160", "-y", "50", "-s", "p", command)
        assert r.returncode == 0, r.stderr
        self._see(r"Profanity|\[offline\]|status")
        self._type(f"/connect {self.full} server 127.0.0.1 port {self.server.port} tls trust")
        self._see(r"[Ee]nter password|password:")
        self._type(self.account.password)
        self._see(re.escape(self.full) + r".*(logged in|online)|logged in successfully")
        # Its presence has been handled when the server lists it with one.
        wait.until(lambda: self.full in self.server.ctl_lines("connected_users"),
                   "profanity to be connected")
        return self

    def _type(self, text):
        self._tmux("send-keys", "-t", "p", "-l", text)
        self._tmux("send-keys", "-t", "p", "Enter")

    def _screen(self):
        return self._tmux("capture-pane", "-p", "-J", "-t", "p").stdout

    def _see(self, pattern):
        try:
            return wait.until(lambda: re.search(pattern, self._screen()), pattern, pause=0.1)
        except AssertionError as e:
            raise AssertionError(f"{e}\nscreen:\n{self._screen()}\nlog:\n{self.log()[-3000:]}") from None

    def log(self):
        path = f"{self.dir}/log"
        return open(path, errors="replace").read() if os.path.exists(path) else ""

    def say(self, to, body):
        self._type(f"/msg {to} {body}")

    def heard(self, sender, body):
        # A message from somebody new opens a window; /win goes there.
        self._see(rf"win \d+|<<.*message.*|{re.escape(body)}")
        self._type(f"/win {sender}")
        return self._see(re.escape(body))

    def stop(self):
        self._type("/quit")
        wait.until(lambda: self._tmux("has-session", "-t", "p").returncode != 0,
                   "profanity to quit", pause=0.1)
