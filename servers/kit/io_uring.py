"""io_uring (man 7 io_uring) by three system calls and two mappings.

Two rings in memory that process and kernel really share: the process puts requests (SQEs) into one and moves its tail, the
kernel puts completions (CQEs) into the other and moves its tail; each side moves the head of what it has taken. Positions
count on for ever and are masked at use, so a ring that wraps needs no special case.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from servers.kit.system import system_call

ACCEPT, SEND, RECV = 13, 26, 27  # IORING_OP_*
ASYNC = 1 << 4  # IOSQE_ASYNC: give it to a worker thread at once
SQPOLL = 1 << 1  # IORING_SETUP_SQPOLL: a kernel thread looks for requests by itself
_SQ_RING, _SQES = 0, 0x10000000  # IORING_OFF_*
_GETEVENTS, _WAKEUP = 1, 2  # IORING_ENTER_*
_NEED_WAKEUP, _OVERFLOW = 1, 2  # IORING_SQ_*
_SINGLE_MMAP = 1  # IORING_FEAT_SINGLE_MMAP, since 5.4
_PARAMS = struct.Struct("<10I7IIQ7IIQ")
_SQE = struct.Struct("<BBHiQQIIQHHiQQ")
_CQE = struct.Struct("<QiI")


@dataclass(frozen=True)
class Completion:
    """What ended: the request's own `data`, and its result (bytes, or minus an errno)."""

    data: int
    result: int
    flags: int


class Ring:
    """A pair of rings for `entries` requests (a power of two). Raises OSError where io_uring is refused."""

    def __init__(self, entries: int = 256, flags: int = 0, idle_ms: int = 100) -> None:
        params = ctypes.create_string_buffer(_PARAMS.pack(0, 0, flags, 0, idle_ms, *[0] * 23), _PARAMS.size)
        self.fd = system_call("io_uring_setup", entries, params)
        values = _PARAMS.unpack(params.raw)
        self._polled = bool(flags & SQPOLL)
        sq_entries, cq_entries, features = values[0], values[1], values[5]
        if not features & _SINGLE_MMAP:
            raise OSError("this kernel's io_uring is older than 5.4")
        sq, cq = values[10:17], values[19:26]  # head, tail, mask, entries, ...
        self._rings = mmap.mmap(self.fd, max(sq[6] + 4 * sq_entries, cq[5] + _CQE.size * cq_entries), offset=_SQ_RING)
        self._sqes = mmap.mmap(self.fd, _SQE.size * sq_entries, offset=_SQES)
        self._sq_head, self._sq_tail, self._sq_flags = (self._word(sq[index]) for index in (0, 1, 4))
        self._cq_head, self._cq_tail = self._word(cq[0]), self._word(cq[1])
        self._sq_mask, self._sq_entries, self._sq_array = self._word(sq[2]).value, sq_entries, sq[6]
        self._cq_mask, self._cqes = self._word(cq[2]).value, cq[5]
        self._pending = 0

    def _word(self, offset: int) -> ctypes.c_uint32:
        return ctypes.c_uint32.from_buffer(self._rings, offset)

    def request(
        self, operation: int, fd: int, address: int, size: int, data: int, *, flags: int = 0, priority: int = 0
    ) -> None:
        """Puts a request into the ring; the kernel sees it at the next `wait` (or at once with SQPOLL).

        What `address` points to must live until the completion with this `data` has come.
        """
        while self._sq_tail.value - self._sq_head.value & 0xFFFFFFFF >= self._sq_entries:
            self._enter(0)  # full: let the kernel take some
        tail = self._sq_tail.value
        index = tail & self._sq_mask
        _SQE.pack_into(self._sqes, index * _SQE.size, operation, flags, priority, fd, 0, address, size, 0, data, 0, 0, 0, 0, 0)
        struct.pack_into("<I", self._rings, self._sq_array + 4 * index, index)
        self._sq_tail.value = tail + 1 & 0xFFFFFFFF  # last: from here on the kernel may take it
        self._pending += 1

    def wait(self) -> list[Completion]:
        """Submits what was requested, sleeps until something has ended, and takes all that has.

        Nothing, if a signal came first.
        """
        if self._cq_head.value == self._cq_tail.value:
            try:
                self._enter(1)
            except InterruptedError:
                return []
        elif self._pending or self._sq_flags.value & _OVERFLOW:
            self._enter(0)
        return list(self._take())

    def _enter(self, wanted: int) -> None:
        flags = _GETEVENTS
        if self._polled:
            # the kernel's thread takes requests by itself, unless it went to sleep
            flags |= _WAKEUP if self._sq_flags.value & _NEED_WAKEUP else 0
            submitted = self._pending
            system_call("io_uring_enter", self.fd, submitted, wanted, flags, None, 0)
        else:
            submitted = system_call("io_uring_enter", self.fd, self._pending, wanted, flags, None, 0)
        self._pending -= submitted

    def _take(self) -> Iterator[Completion]:
        head = self._cq_head.value
        while head != self._cq_tail.value:
            data, result, flags = _CQE.unpack_from(self._rings, self._cqes + (head & self._cq_mask) * _CQE.size)
            head = head + 1 & 0xFFFFFFFF
            self._cq_head.value = head  # after reading it: the kernel may use the place again
            yield Completion(data, result, flags)
