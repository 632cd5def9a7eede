"""sasl.py -- the client's half of PLAIN and SCRAM (RFC 4616, 5802, 7677, XEP-0474)"""
import base64
import hashlib
import hmac
import secrets

HASHES = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


def b64(data):
    return base64.b64encode(data).decode()


def plain(user, password, authzid=""):
    return f"{authzid}\0{user}\0{password}".encode()


class ServerLied(AssertionError):
    """The server's signature, or its list of mechanisms, is not right."""


class Scram:
    """One SCRAM dialogue: first(), final(challenge), verify(success)

    binding is None, or (type, data) for a mechanism that ends in -PLUS; flag overrides the
    GS2 flag, for tests of downgrades.
    """

    def __init__(self, mechanism, user, password, binding=None, flag=None, authzid="",
                 nonce=None):
        self.plus = mechanism.endswith("-PLUS")
        name = mechanism[len("SCRAM-"):]
        self.hash = HASHES[name[:-len("-PLUS")] if self.plus else name]
        self.user, self.password = user, password
        self.nonce = nonce or b64(secrets.token_bytes(18))
        if flag is None:
            flag = f"p={binding[0]}" if self.plus else "n"
        self.gs2 = f"{flag},{'a=' + authzid if authzid else ''},".encode()
        self.binding_data = binding[1] if self.plus else b""
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}".encode()
        self.attributes = {}

    def first(self):
        return self.gs2 + self.bare

    def _hmac(self, key, data):
        return hmac.new(key, data, self.hash).digest()

    def final(self, challenge):
        a = dict(part.split("=", 1) for part in challenge.decode().split(","))
        self.attributes = a
        assert a["r"].startswith(self.nonce) and len(a["r"]) > len(self.nonce), a
        self.iterations = int(a["i"])
        salted = hashlib.pbkdf2_hmac(
            self.hash, self.password.encode(), base64.b64decode(a["s"]), self.iterations)
        client_key = self._hmac(salted, b"Client Key")
        stored_key = hashlib.new(self.hash, client_key).digest()
        without_proof = f"c={b64(self.gs2 + self.binding_data)},r={a['r']}".encode()
        auth = b",".join((self.bare, challenge, without_proof))
        proof = bytes(x ^ y for x, y in zip(client_key, self._hmac(stored_key, auth)))
        self.signature = self._hmac(self._hmac(salted, b"Server Key"), auth)
        return without_proof + b",p=" + b64(proof).encode()

    def verify(self, success):
        if success.decode().split(",")[0] != "v=" + b64(self.signature):
            raise ServerLied(success)

    def downgrade_hash(self, mechanisms, binding_types):
        """XEP-0474: what the server's `h` must be for these offers."""
        text = "\x1e".join(sorted(mechanisms))
        if binding_types:
            text += "\x1f" + "\x1e".join(sorted(binding_types))
        return b64(hashlib.new(self.hash, text.encode()).digest())
