"""records.py -- the client's TLS 1.3 records by our own hands

OpenSSL does the handshake and tells the traffic secrets to its key log; from then on the
records are made here (RFC 8446, 5 and 7), so that a test can send what no library would: empty
records, padding, key updates without end, alerts of its own, a record that is too long.
"""
import os
import struct
import tempfile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from .tls import Tls

ALERT, HANDSHAKE, DATA = 21, 22, 23
SUITES = {
    "TLS_AES_128_GCM_SHA256": (AESGCM, 16, hashes.SHA256),
    "TLS_AES_256_GCM_SHA384": (AESGCM, 32, hashes.SHA384),
    "TLS_CHACHA20_POLY1305_SHA256": (ChaCha20Poly1305, 32, hashes.SHA256),
}


class Half:
    """The keys and the record number of one direction."""

    def __init__(self, suite, secret):
        self.aead, self.key_size, self.digest = SUITES[suite]
        self.use(secret)

    def expand(self, label, n):
        label = b"tls13 " + label
        info = struct.pack("!HB", n, len(label)) + label + b"\0"
        return HKDFExpand(self.digest(), n, info).derive(self.secret)

    def use(self, secret):
        self.secret, self.sequence = secret, 0
        self.cipher = self.aead(self.expand(b"key", self.key_size))
        self.iv = self.expand(b"iv", 12)

    def update(self):
        self.use(self.expand(b"traffic upd", self.digest.digest_size))

    def nonce(self):
        n = int.from_bytes(self.iv, "big") ^ self.sequence
        self.sequence += 1
        return n.to_bytes(12, "big")

    def seal(self, inner):
        header = struct.pack("!BHH", DATA, 0x303, len(inner) + 16)
        return header + self.cipher.encrypt(self.nonce(), inner, header)

    def open(self, record):
        inner = self.cipher.decrypt(self.nonce(), record[5:], record[:5]).rstrip(b"\0")
        return inner[-1], inner[:-1]


class Records(Tls):
    """Like Tls; seen: (type, content) of every record that the server has sent."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        fd, self.log = tempfile.mkstemp(prefix="keylog")
        os.close(fd)
        self.ssl.context.keylog_filename = self.log
        self.mine = None  # until the handshake is done
        self.seen, self.alert = [], None
        self.out, self.rest = b"", b""
        self.answer_updates = True

    def handshake(self):
        if not super().handshake():
            return False
        with open(self.log) as f:
            secrets = {words[0]: bytes.fromhex(words[2])
                       for words in (line.split() for line in f) if len(words) == 3}
        os.unlink(self.log)
        suite = self.ssl.cipher()[0]
        self.out = self.outgoing.read()
        self.mine = Half(suite, secrets["CLIENT_TRAFFIC_SECRET_0"])
        self.its = Half(suite, secrets["SERVER_TRAFFIC_SECRET_0"])
        self.rest = self.incoming.read()
        return True

    def feed(self, data):
        if self.mine is None:
            super().feed(data)
        else:
            self.rest += data

    def pending(self):
        if self.mine is None:
            return super().pending()
        out, self.out = self.out, b""
        return out

    def record(self, kind, content, padding=0):
        """The bytes of one record; the next one has the next number."""
        return self.mine.seal(content + bytes([kind]) + b"\0" * padding)

    def write(self, data):
        for at in range(0, len(data), 16384):
            self.out += self.record(DATA, data[at:at + 16384])

    def key_update(self, ask=False):
        """New keys for us; ask: the server shall have new ones, too."""
        self.out += self.record(HANDSHAKE, bytes([24, 0, 0, 1, int(ask)]))
        self.mine.update()

    def close_notify(self):
        self.out += self.record(ALERT, b"\1\0")

    def read(self):
        text = b""
        while len(self.rest) >= 5:
            size = 5 + int.from_bytes(self.rest[3:5], "big")
            if len(self.rest) < size:
                break
            record, self.rest = self.rest[:size], self.rest[size:]
            kind, content = self.its.open(record)
            self.seen.append((kind, content))
            if kind == DATA:
                text += content
            elif kind == ALERT:
                self.alert = tuple(content)
                break
            elif content[0] == 24:
                self.its.update()
                if content[4] == 1 and self.answer_updates:
                    self.key_update()
        if text or not self.alert:
            return text or None
        return b""

    def updates_seen(self):
        return sum(1 for kind, content in self.seen if kind == HANDSHAKE and content[0] == 24)

    def version(self):
        return self.ssl.version()
