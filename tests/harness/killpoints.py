"""killpoints.py -- the points at which a process can be made to die (base/killpoint.def)

Page is the file that a server of a build with kill points shares with us: which point is
armed for whom, and who passed it how often, the dead included.
"""
import mmap
import os
import re
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAGIC, ROLES = 0x6b696c6c, 16
HEAD, POINT = struct.Struct("II"), struct.Struct("IIIi16I")


def rows(path, macro):
    with open(os.path.join(ROOT, path)) as f:
        return re.findall(rf"^{macro}\((\w+),\s*(.*)\)$", f.read(), re.M)


ROLE = {re.match(r'"(\w+)"', rest)[1]: i for i, (_, rest) in enumerate(rows("ipc/proc.def", "PROC"))}


class Point:
    def __init__(self, index, rest):
        self.index = index
        self.name, roles, self.when, self.sentence = re.fullmatch(
            r'"([\w:]+)",\s*"([\w ]+)",\s*(\w+),\s*"([^"]*)"', rest).groups()
        self.roles = roles.split()


POINTS = [Point(i, rest) for i, (_, rest) in enumerate(rows("base/killpoint.def", "KILLPOINT"))]
BY_NAME = {p.name: p for p in POINTS}
assert POINTS and len(BY_NAME) == len(POINTS)


class Page:
    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(HEAD.pack(MAGIC, len(POINTS)) + bytes(POINT.size * len(POINTS)))
        os.chmod(path, 0o666)  # a server that runs as another user opens it, too
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def environment(self):
        return {"STANZAD_KILLPOINTS": self.path}

    def at(self, name):
        return HEAD.size + POINT.size * BY_NAME[name].index

    def arm(self, name, role, n=1):
        """The nth process of this role that passes the point from now on dies there."""
        struct.pack_into("I", self.map, self.at(name) + 4, 1 << ROLE[role])
        struct.pack_into("I", self.map, self.at(name), n)

    def disarm(self, name):
        struct.pack_into("I", self.map, self.at(name), 0)

    def killed(self, name):
        """How many have died there, and the last one's pid."""
        return struct.unpack_from("Ii", self.map, self.at(name) + 8)

    def passed(self, name, role):
        return struct.unpack_from("I", self.map, self.at(name) + 16 + 4 * ROLE[role])[0]
