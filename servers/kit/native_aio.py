"""Linux native AIO by system call numbers: io_setup, io_submit, io_getevents (man 2 io_submit).

Native AIO was made for files opened with O_DIRECT. On a socket, io_submit carries out a read or a write itself: it blocks, or
fails with EAGAIN if the socket is non-blocking. The only asynchronous request for a socket is IOCB_CMD_POLL (since Linux 4.18),
which reports once that the socket is ready.
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
    """A queue of completions, for at least `depth` requests at a time."""

    def __init__(self, depth: int = 1024) -> None:
        identity = ctypes.c_ulong(0)
        system_call("io_setup", depth, ctypes.byref(identity))
        self._context = identity.value
        self._events = ctypes.create_string_buffer(_EVENT.size * _BATCH)

    def submit(self, operation: int, fd: int, address: int, size: int = 0) -> None:
        """Submits one request. For POLL, `address` is the mask of events. Blocks if the kernel carries out the request here."""
        block = ctypes.create_string_buffer(_IOCB.pack(fd, 0, 0, operation, 0, fd, address, size, 0, 0, 0, 0), _IOCB.size)
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(block))
        system_call("io_submit", self._context, 1, pointers)

    def completions(self) -> list[tuple[int, int]]:
        """Sleeps until a request has completed. Returns (descriptor, result) of each; for POLL the result is the mask."""
        count = system_call("io_getevents", self._context, 1, _BATCH, self._events, None)
        events = (_EVENT.unpack_from(self._events, index * _EVENT.size) for index in range(count))
        return [(data, result) for data, _object, result, _ in events]

    def close(self) -> None:
        """Cancels unfinished requests."""
        system_call("io_destroy", self._context)
