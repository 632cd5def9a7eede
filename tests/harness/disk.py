"""disk.py -- a disk that can be filled: a tmpfs, where we may mount one"""
import ctypes
import os

import pytest

LIBC = ctypes.CDLL(None, use_errno=True)


class SmallDisk:
    """Of so many bytes, at that path; it goes with the block."""

    def __init__(self, path, size, owner=None):
        self.path, self.size = path, size
        os.makedirs(path, exist_ok=True)
        self.owner = owner or os.stat(path)

    def __enter__(self):
        options = f"size={self.size},mode=700,uid={self.owner.st_uid},gid={self.owner.st_gid}"
        if os.geteuid() != 0 or LIBC.mount(b"tmpfs", os.fsencode(self.path), b"tmpfs", 0, options.encode()) < 0:
            pytest.skip("not here: a disk of its own cannot be mounted")
        return self

    def __exit__(self, *_):
        LIBC.umount2(os.fsencode(self.path), 2)  # MNT_DETACH

    def fill(self):
        """Nothing more fits."""
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self):
        os.unlink(os.path.join(self.path, "filler"))
