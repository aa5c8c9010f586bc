"""glibc's POSIX AIO (man 7 aio) by ctypes: requests whose end is reported by a queued signal.

The Linux kernel does not implement POSIX AIO. glibc starts helper threads (20 at most), which make ordinary blocking calls. The
structures are those of glibc on 64-bit machines.
"""

from __future__ import annotations

import ctypes
import errno
import os

_SIGEV_SIGNAL = 0


class _SigEvent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_int64),  # union sigval
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("unused", ctypes.c_char * 48),
    )


class _ControlBlock(ctypes.Structure):
    _fields_ = (
        ("fd", ctypes.c_int),
        ("opcode", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("event", _SigEvent),
        ("internal", ctypes.c_char * 32),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_char * 32),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.aio_return.restype = ctypes.c_ssize_t


class Request:
    """The buffer of a descriptor and its current request. At its end, glibc queues `signal` with the descriptor as value."""

    def __init__(self, fd: int, signal: int, size: int = 65536) -> None:
        self._buffer = ctypes.create_string_buffer(size)
        self._block = _ControlBlock(fd=fd)
        self._block.event = _SigEvent(value=fd, signal=signal, notify=_SIGEV_SIGNAL)
        self.writing = False
        self._left = 0  # bytes still to write, from `_start` on
        self._start = 0

    def read(self) -> None:
        """Starts a read into the buffer. Returns at once."""
        self.writing = False
        self._begin(_libc.aio_read, 0, len(self._buffer))

    def write(self, size: int) -> None:
        """Starts a write of the first `size` bytes of the buffer. Returns at once."""
        self.writing, self._start, self._left = True, 0, size
        self._begin(_libc.aio_write, 0, size)

    def _begin(self, function: object, start: int, size: int) -> None:
        self._block.buffer = ctypes.addressof(self._buffer) + start
        self._block.size = size
        if function(ctypes.byref(self._block)):  # type: ignore[operator]
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    @property
    def address(self) -> int:
        """The address of the control block, for aio_suspend."""
        return ctypes.addressof(self._block)

    def ended(self) -> bool:
        """Whether the request has ended (aio_error): `result` may be asked then."""
        return bool(_libc.aio_error(ctypes.byref(self._block)) != errno.EINPROGRESS)

    def result(self) -> int | None:
        """The number of bytes that the request moved; None if the request has not ended.

        After a partial write, this method starts a write of the rest and returns None. Raises OSError with the errno of the
        request.
        """
        number = _libc.aio_error(ctypes.byref(self._block))
        if number == errno.EINPROGRESS:
            return None
        moved = int(_libc.aio_return(ctypes.byref(self._block)))
        if number:
            raise OSError(number, os.strerror(number))
        if self.writing and moved < self._left:
            self._start, self._left = self._start + moved, self._left - moved
            self._begin(_libc.aio_write, self._start, self._left)
            return None
        return moved
