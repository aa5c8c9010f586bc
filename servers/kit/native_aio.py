"""Linux's own AIO: io_setup, io_submit, io_getevents (man 2 io_submit), by number.

Made for files opened with O_DIRECT. A read or write of a socket is carried out inside io_submit itself, which then blocks
(or, of a non-blocking socket, fails with EAGAIN); what is asynchronous for a socket is only IOCB_CMD_POLL (since 4.18): told
once that it is ready.
"""

from __future__ import annotations

import ctypes
import struct

from servers.kit.system import system_call

READ, WRITE, POLL = 0, 1, 5  # IOCB_CMD_PREAD, PWRITE, POLL
_IOCB = struct.Struct("<QIIHhIQQqQII")
_EVENT = struct.Struct("<QQqq")
_BATCH = 64


class Context:
    """A queue of completions, of at least `depth` requests at a time."""

    def __init__(self, depth: int = 1024) -> None:
        identity = ctypes.c_ulong(0)
        system_call("io_setup", depth, ctypes.byref(identity))
        self._context = identity.value
        self._events = ctypes.create_string_buffer(_EVENT.size * _BATCH)

    def submit(self, operation: int, fd: int, address: int, size: int = 0) -> None:
        """One request; for POLL `address` is the mask of events. Blocks where the kernel carries it out at once."""
        block = ctypes.create_string_buffer(_IOCB.pack(fd, 0, 0, operation, 0, fd, address, size, 0, 0, 0, 0), _IOCB.size)
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(block))
        system_call("io_submit", self._context, 1, pointers)

    def completions(self) -> list[tuple[int, int]]:
        """Sleeps until something has ended; (descriptor, result) of each. For POLL the result is the mask."""
        count = system_call("io_getevents", self._context, 1, _BATCH, self._events, None)
        events = (_EVENT.unpack_from(self._events, index * _EVENT.size) for index in range(count))
        return [(data, result) for data, _object, result, _ in events]

    def close(self) -> None:
        """Cancels what is under way."""
        system_call("io_destroy", self._context)
