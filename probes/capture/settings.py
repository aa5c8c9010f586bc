"""The settings of the kernel side (instrument.c, struct settings): the only entry of a map.

The process that empties the ring (emptier.py) imports this file, so it imports little.
"""

from __future__ import annotations

import struct

from probes.capture.system import lookup, update

UNBOUNDED = 1 << 62
_VALUE = struct.Struct("=4IqQ")
_KEY = bytes(4)


class Settings:
    """`walk_every`: how often the stacks of sleeps that look alike are walked. `callbacks`: whether the probe of epoll's
    callback is attached.
    """

    def __init__(self, fd: int, walk_every: int, callbacks: bool) -> None:
        self._fd, self._walk_every, self._callbacks = fd, walk_every, callbacks

    def set(self, *, details: bool, most_bytes: int = UNBOUNDED) -> None:
        """Sets whether calls and sleeps are reported one by one from now on, and how many bytes of them at most."""
        update(self._fd, _KEY, _VALUE.pack(details, self._walk_every, self._callbacks, 0, most_bytes, 0))

    def closed(self) -> int:
        """When the kernel side ended the details since the latest `set` (ns); 0: it did not."""
        *_, closed = _VALUE.unpack(lookup(self._fd, _KEY, _VALUE.size))
        return int(closed)
