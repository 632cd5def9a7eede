"""tls.py -- the client's half of TLS over bytes in memory

Bytes pass through our hands so that a test can split, merge or withhold them. Python's ssl
has no exporter (RFC 5705), so `Exporter` does the same through pyOpenSSL.
"""
import ssl

from . import certs


class Tls:
    def __init__(self, cafile, name, alpn=None, version=None, ciphers=None, verify=True,
                 session=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if verify:
            context.load_verify_locations(cafile)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if version:
            context.minimum_version = context.maximum_version = version
            if version < ssl.TLSVersion.TLSv1_2:
                context.set_ciphers("ALL:@SECLEVEL=0")
        if ciphers:
            context.set_ciphers(ciphers)
        if alpn:
            context.set_alpn_protocols(alpn)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def handshake(self):
        """True when done; False: send what pending() has, then feed() what comes."""
        try:
            self.ssl.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def feed(self, data):
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def pending(self):
        return self.outgoing.read()

    def write(self, data):
        self.ssl.write(data)

    def read(self):
        """Bytes; None: more must be fed; b"": the peer said close_notify."""
        try:
            return self.ssl.read(65536)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    def close_notify(self):
        try:
            self.ssl.unwrap()
        except ssl.SSLError:
            pass

    def version(self):
        return self.ssl.version()

    def alpn(self):
        return self.ssl.selected_alpn_protocol()

    def certificate(self):
        return self.ssl.getpeercert(binary_form=True)

    def binding(self, kind):
        if kind == "tls-server-end-point":
            return certs.end_point(self.certificate())
        if kind == "tls-unique":
            return self.ssl.get_channel_binding("tls-unique")
        raise AssertionError(f"{kind}: use tls=Exporter")


class Exporter:
    def __init__(self, cafile, name, alpn=None, version=None, verify=True):
        from OpenSSL import SSL
        self.lib = SSL
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.load_verify_locations(cafile)
        context.set_verify(SSL.VERIFY_PEER if verify else SSL.VERIFY_NONE, lambda *a: a[-1])
        if version:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if alpn:
            context.set_alpn_protos([a.encode() for a in alpn])
        self.ssl = SSL.Connection(context, None)
        self.ssl.set_tlsext_host_name(name.encode("idna"))
        self.ssl.set_connect_state()

    def handshake(self):
        try:
            self.ssl.do_handshake()
            return True
        except self.lib.WantReadError:
            return False

    def feed(self, data):
        if data:
            self.ssl.bio_write(data)
        else:
            self.ssl.bio_shutdown()

    def pending(self):
        out = b""
        while True:
            try:
                out += self.ssl.bio_read(65536)
            except self.lib.WantReadError:
                return out

    def write(self, data):
        self.ssl.sendall(data)

    def read(self):
        try:
            return self.ssl.recv(65536)
        except self.lib.WantReadError:
            return None
        except self.lib.ZeroReturnError:
            return b""

    def close_notify(self):
        self.ssl.shutdown()

    def version(self):
        return self.ssl.get_protocol_version_name()

    def alpn(self):
        return self.ssl.get_alpn_proto_negotiated().decode() or None

    def certificate(self):
        from cryptography.hazmat.primitives import serialization
        return self.ssl.get_peer_certificate().to_cryptography().public_bytes(
            serialization.Encoding.DER)

    def binding(self, kind):
        if kind == "tls-exporter":
            return self.ssl.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        assert kind == "tls-server-end-point"
        return certs.end_point(self.certificate())
