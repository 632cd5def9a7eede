"""stream.py -- a client that says exactly what the test says

    juliet = server.stream("juliet").login()
    juliet.send(f"<message to='{romeo.bare}'><body>Wherefore?</body></message>")
    romeo.expect(f"<message from='{juliet.full}'><body>Wherefore?</body></message>")

expect() is strict: the very next element must match, so nothing unexpected goes unseen.
"""
import base64
import socket
import ssl
import time

from . import sasl, tls, wait, xml

STEPS = ("connected", "open", "tls", "features", "bound", "online")


class Closed(AssertionError):
    """The connection ended although something was still expected."""


class SaslFailure(Exception):
    def __init__(self, element):
        conditions = [c.tag.rpartition("}")[2] for c in element]
        self.condition = next((c for c in conditions if c != "text"), None)
        self.element = element
        super().__init__(self.condition)


class Stream:
    def __init__(self, server, account, resource=None, mode="starttls", family=socket.AF_INET,
                 mechanism=None, tls_options=None, tls_class=tls.Tls, chunk=None, sni=None,
                 worker=None, lang=None):
        self.server, self.account = server, account
        self.user, self.host, self.password = account.user, account.host, account.password
        self.bare = f"{account.user}@{account.host}"
        self.wanted_resource = resource
        self.mode, self.family, self.chunk = mode, family, chunk
        self.mechanism = mechanism
        self.tls_options, self.tls_class = dict(tls_options or {}), tls_class
        self.sni = sni or account.host
        self.worker = worker
        self.lang = lang
        self.full = self.resource = None
        self.sock = self.tls = self.reader = None
        self.header = self.features = None
        self.events = []
        self.unread = b""
        self.alert = ""
        self.closed = self.close_notify_seen = self.footer_sent = False
        self.ids = 0
        self.received = b""  # everything since the last stream header was sent
        self.patience = wait.PATIENCE

    # The connection

    def connect(self):
        port = self.server.port_tls if self.mode == "direct" else self.server.port
        address = "127.0.0.1" if self.family == socket.AF_INET else "::1"
        if self.worker is None:
            self.sock = socket.create_connection((address, port), self.patience)
        else:
            self.sock = self.server.connect_to_worker(self.worker, (address, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.mode == "direct":
            self.start_tls(alpn=self.tls_options.pop("alpn", ["xmpp-client"]))
        return self

    def start_tls(self, **options):
        self.tls = self.tls_class(
            self.server.cafile, self.sni, **{**options, **self.tls_options})
        end = time.monotonic() + self.patience
        while True:
            done = self.tls.handshake()
            self._flush()
            if done:
                return self
            data = self._recv(end)
            self.tls.feed(data)
            if not data:
                self.closed = True
                raise Closed("the connection ended within the TLS handshake")

    def _flush(self):
        data = self.tls.pending()
        if data:
            self.send_raw(data)

    def send_raw(self, data):
        """Bytes as they go over the wire, in pieces of self.chunk."""
        self.sock.settimeout(self.patience)
        if not self.chunk:
            self.sock.sendall(data)
            return
        for i in range(0, len(data), self.chunk):
            self.sock.sendall(data[i:i + self.chunk])

    def send(self, text):
        """Text or bytes of the stream, encrypted when the stream is."""
        data = text.encode() if isinstance(text, str) else text
        if self.tls:
            if self.chunk:
                for i in range(0, len(data), self.chunk):
                    self.tls.write(data[i:i + self.chunk])
                    self._flush()
                return self
            self.tls.write(data)
            self._flush()
        else:
            self.send_raw(data)
        return self

    def send_unless_cut(self, text):
        """Like send(), for input that the server may refuse before it has read all of it."""
        try:
            self.send(text)
        except OSError:  # ssl.SSLError and socket.timeout among them
            pass
        return self

    def _recv(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise AssertionError(f"{self.name()}: nothing came within {self.patience:.0f} s")
        self.sock.settimeout(left)
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:
            return b""
        except socket.timeout:
            raise AssertionError(f"{self.name()}: nothing came within {self.patience:.0f} s") from None

    def read_some(self, end):
        """The next bytes of the stream; b"" at its end."""
        while True:
            if self.tls:
                try:
                    data = self.tls.read()
                except ssl.SSLError as e:
                    self.alert = str(e).upper().replace(" ", "_")
                    self.closed = True
                    return b""
                if data is not None:
                    if data == b"":
                        self.close_notify_seen = True
                        self.closed = True
                    return data
            data = self._recv(end)
            if not data:
                self.closed = True
                return b""
            if not self.tls:
                return data
            self.tls.feed(data)

    def name(self):
        return self.full or self.bare

    # Elements

    def next_event(self, timeout=None):
        """("open"|"element"|"close"|"end", element)"""
        end = time.monotonic() + (timeout or self.patience)
        while not self.events:
            if self.unread:
                # No further than one tag: what follows may belong to a new document.
                piece, tag, self.unread = self.unread.partition(b">")
                self.received += piece + tag
                self.reader.feed(piece + tag)
                self.events += self.reader.events
                self.reader.events = []
            elif self.closed:
                return ("end", None)
            else:
                self.unread = self.read_some(end)
        return self.events.pop(0)

    def next(self, timeout=None):
        """The next element of the stream."""
        kind, element = self.next_event(timeout)
        if kind != "element":
            raise Closed(f"{self.name()}: the stream ended ({kind})")
        return element

    def expect(self, text, timeout=None):
        wanted = xml.pattern(text)
        got = self.next(timeout)
        assert xml.matches(wanted, got), \
            f"{self.name()}:\n  expected {text}\n  got      {xml.show(got)}"
        return got

    def expect_any_order(self, *texts):
        """As many elements as patterns, each matching one of them."""
        left = list(texts)
        found = {}
        while left:
            got = self.next()
            hit = next((t for t in left if xml.matches(xml.pattern(t), got)), None)
            assert hit, f"{self.name()}:\n  expected one of {left}\n  got {xml.show(got)}"
            left.remove(hit)
            found[hit] = got
        return [found[t] for t in texts]

    def expect_header(self):
        kind, element = self.next_event()
        assert kind == "open", f"{self.name()}: a stream header, not {kind} {element}"
        self.header = element
        return element

    def expect_features(self):
        self.features = self.expect("<stream:features/>")
        return self.features

    def expect_error(self, condition):
        """A stream error and the end of the stream (RFC 6120, 4.9.1.1)."""
        error = self.expect(f"<stream:error><{condition}/></stream:error>")
        self.expect_closed()
        return error

    def expect_closed(self, footer=True):
        """The closing tag, then the end of the connection."""
        event = self.next_event()
        if footer or event[0] == "close":
            assert event[0] == "close", f"{self.name()}: </stream:stream>, not {event}"
            if not self.footer_sent:
                self.footer_sent = True
                self.send_unless_cut("</stream:stream>")
            event = self.next_event()
        assert event[0] == "end", \
            f"{self.name()}: the end, not {event[0]} {event[1] is not None and xml.show(event[1])}"

    def expect_nothing(self):
        """Nothing has been sent to us up to now, as far as this worker knows."""
        return self.ping()

    def ping(self):
        """A round trip to the server (XEP-0199)."""
        i = self.next_id()
        self.send(f"<iq type='get' id='{i}' to='{self.host}'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.expect(f"<iq type='result' id='{i}' from='{self.host}'/>")
        return self

    def next_id(self):
        self.ids += 1
        return f"i{self.ids}"

    def request(self, text, kind="get", to=None):
        """An IQ; returns the answer, whatever its type."""
        i = self.next_id()
        to = f" to='{to}'" if to else ""
        self.send(f"<iq type='{kind}' id='{i}'{to}>{text}</iq>")
        answer = self.next()
        assert answer.tag == f"{{{xml.NS_CLIENT}}}iq" and answer.get("id") == i, xml.show(answer)
        return answer

    # Negotiation

    def header_text(self, **attributes):
        a = {"to": self.host, "version": "1.0", "xmlns": xml.NS_CLIENT,
             "xmlns:stream": xml.NS_STREAM, **attributes}
        if self.lang:
            a.setdefault("xml:lang", self.lang)
        text = "".join(f" {k.replace('_', ':')}='{xml.escape(v)}'" for k, v in a.items()
                       if v is not None)
        return f"<?xml version='1.0'?><stream:stream{text}>"

    def restart(self):
        """Forgets the old stream: the next bytes are a new document."""
        assert not self.unread, f"left from the old stream: {self.unread}"
        self.restart_reading()

    def restart_reading(self):
        """Likewise, for a test that has sent its new header before."""
        assert not self.events, f"left from the old stream: {self.events}"
        self.reader = xml.Reader()
        self.received = b""

    def open(self, **attributes):
        """Sends a header; takes the server's header and features."""
        self.restart()
        self.send(self.header_text(**attributes))
        self.expect_header()
        self.expect_features()
        return self

    def starttls(self):
        self.send(f"<starttls xmlns='{xml.NS_TLS}'/>")
        self.expect(f"<proceed xmlns='{xml.NS_TLS}'/>")
        return self.start_tls()

    def mechanisms(self):
        found = self.features.find(f"{{{xml.NS_SASL}}}mechanisms")
        return [] if found is None else [m.text for m in found]

    def binding_types(self):
        found = self.features.find("{urn:xmpp:sasl-cb:0}sasl-channel-binding")
        return [] if found is None else [c.get("type") for c in found]

    def sasl_send(self, name, data=None, mechanism=None):
        m = f" mechanism='{mechanism}'" if mechanism else ""
        text = "" if data is None else "=" if data == b"" else base64.b64encode(data).decode()
        return self.send(f"<{name} xmlns='{xml.NS_SASL}'{m}>{text}</{name}>")

    def sasl_next(self, wanted):
        got = self.next()
        if got.tag == f"{{{xml.NS_SASL}}}failure":
            raise SaslFailure(got)
        assert got.tag == f"{{{xml.NS_SASL}}}{wanted}", xml.show(got)
        text = (got.text or "").strip()
        return b"" if text in ("", "=") else base64.b64decode(text)

    def best_mechanism(self):
        offered = self.mechanisms()
        for name in ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            if name in offered:
                return name
        raise AssertionError(f"no mechanism that we know: {offered}")

    def authenticate(self, mechanism=None, user=None, password=None, authzid="",
                     binding=None, flag=None):
        """The whole SASL dialogue; SaslFailure when the server says no."""
        mechanism = mechanism or self.mechanism or self.best_mechanism()
        user = self.user if user is None else user
        password = self.password if password is None else password
        if mechanism == "PLAIN":
            self.sasl_send("auth", sasl.plain(user, password, authzid), mechanism)
            self.sasl_next("success")
            return self
        if mechanism.endswith("-PLUS") and isinstance(binding, str):
            binding = (binding, self.tls.binding(binding))
        self.scram = dialogue = sasl.Scram(mechanism, user, password, binding, flag, authzid)
        self.sasl_send("auth", dialogue.first(), mechanism)
        self.sasl_send("response", dialogue.final(self.sasl_next("challenge")))
        dialogue.verify(self.sasl_next("success"))
        return self

    def bind(self, resource=None):
        resource = resource or self.wanted_resource
        inner = f"<resource>{xml.escape(resource)}</resource>" if resource else ""
        answer = self.request(f"<bind xmlns='{xml.NS_BIND}'>{inner}</bind>", "set")
        assert answer.get("type") == "result", xml.show(answer)
        self.full = answer.find(f"{{{xml.NS_BIND}}}bind/{{{xml.NS_BIND}}}jid").text
        self.bare, _, self.resource = self.full.partition("/")
        return self

    def presence(self, priority=None, inner=""):
        """Initial or changed presence; back when the server has committed it."""
        if priority is not None:
            inner += f"<priority>{priority}</priority>"
        self.send(f"<presence>{inner}</presence>")
        return self

    def login(self, until="bound", **authenticate):
        """
        Up to a step: connected, open (features before TLS), tls (features over TLS),
        features (those after authentication), bound, online (presence sent).
        """
        assert until in STEPS
        goal = STEPS.index(until)
        self.connect()
        if goal >= STEPS.index("open"):
            self.open()
        if goal >= STEPS.index("tls") and self.mode == "starttls":
            self.starttls().open()
        if goal >= STEPS.index("features"):
            self.authenticate(**authenticate).open()
        if goal >= STEPS.index("bound"):
            self.bind()
        if goal >= STEPS.index("online"):
            self.presence()
            # RFC 6121, 4.2.2: the server sends it to all of our resources, us included
            self.expect(f"<presence from='{self.full}'/>")
        return self

    def close(self):
        """The closing handshake (RFC 6120, 4.4); skips what is still under way."""
        if self.sock is None:
            return
        try:
            if not self.closed and self.reader:
                if not self.footer_sent:
                    self.footer_sent = True
                    self.send_unless_cut("</stream:stream>")
                self._drain()
        finally:
            self.abort()

    def _drain(self):
        """Up to the server's closing tag. Bytes, as this may be the middle of a restart."""
        seen, end = self.unread, time.monotonic() + self.patience
        while not self.closed and b"</stream:stream>" not in seen:
            seen = seen[-20:] + self.read_some(end)

    def abort(self):
        """Ends the TCP connection without a word."""
        self.closed = True
        if self.sock is not None:
            self.sock.close()

    def reset(self):
        """Ends the TCP connection with RST."""
        import struct
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()
