"""dns.py -- a name server on loopback that knows where the servers of a test are

    names = dns.Server()
    names.add("example.org", xmpp_server=5271)

The SRV records (RFC 6120, 3.2.1; XEP-0368) of a name that was added say the ports, and that
the host is localhost: ejabberd asks the C library for the address, which does not know us.
Everything else does not exist.
"""
import socket
import struct
import threading

A, SRV = 1, 33
NXDOMAIN = 3


class Server:
    def __init__(self):
        self.records = {}  # (name, type): [data]
        self.names = set()
        self.asked = []
        self._put("localhost", A, socket.inet_aton("127.0.0.1"))
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.sock.close()

    def add(self, name, **services):
        """xmpp_server=PORT, xmpps_server=PORT, xmpp_client=PORT …"""
        self._put(name, A, socket.inet_aton("127.0.0.1"))
        for service, port in services.items():
            self._put(f"_{service.replace('_', '-')}._tcp.{name}", SRV,
                      struct.pack(">HHH", 0, 0, port) + wire("localhost"))

    def _put(self, name, kind, data):
        self.records.setdefault((name, kind), []).append(data)
        self.names.add(name)

    def _serve(self):
        while True:
            packet, client = self.sock.recvfrom(4096)
            if not packet:
                return
            answer = self.answer(packet)
            if answer:
                self.sock.sendto(answer, client)

    def answer(self, packet):
        """To one question; EDNS and whatever else comes with it is passed over."""
        number, flags, questions = struct.unpack(">HHH", packet[:6])
        if questions != 1 or flags & 0x8000:
            return None
        name, end = [], 12
        while packet[end]:
            name.append(packet[end + 1:end + 1 + packet[end]])
            end += 1 + packet[end]
        text = b".".join(name).decode().lower()
        kind, = struct.unpack(">H", packet[end + 1:end + 3])
        self.asked.append((text, kind))
        found = self.records.get((text, kind), [])
        status = 0 if text in self.names else NXDOMAIN
        # an authoritative answer, recursion available; the name is a pointer to the question's
        head = struct.pack(">HHHHHH", number, 0x8480 | flags & 0x0100 | status, 1, len(found), 0, 0)
        records = b"".join(struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(d)) + d for d in found)
        return head + packet[12:end + 5] + records


def wire(name):
    return b"".join(bytes([len(p)]) + p for p in name.encode("idna").split(b".")) + b"\0"
