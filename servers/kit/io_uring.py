"""io_uring (man 7 io_uring) by three system calls and two mappings.

Two rings in memory that process and kernel really share: the process puts requests (SQEs) into one and moves its tail, the
kernel puts completions (CQEs) into the other and moves its tail; each side moves the head of what it has taken. Positions
count on for ever, modulo 2**32, and are masked at use, so a ring that wraps needs no special case.

A position is read and written whole, as one aligned 32-bit word: that is what memoryview does, and what struct, which goes
byte by byte, does not. Who sees which store first is settled by `_barrier` alone.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
import threading
from dataclasses import dataclass
from types import TracebackType

from servers.kit.system import system_call

NOP, SENDMSG, RECVMSG, ACCEPT, CANCEL, SEND, RECV = 0, 9, 10, 13, 14, 26, 27  # IORING_OP_*
ASYNC = 1 << 4  # IOSQE_ASYNC: give it to a worker thread at once
BUFFER_SELECT = 1 << 5  # IOSQE_BUFFER_SELECT: the kernel picks a buffer of the request's group when data is there
ACCEPT_MULTISHOT, RECV_MULTISHOT = 1 << 0, 1 << 1  # in `priority`: one request, a completion for each connection or arrival
SQPOLL = 1 << 1  # IORING_SETUP_SQPOLL: a kernel thread looks for requests by itself
_SQ_RING, _SQES = 0, 0x10000000  # IORING_OFF_*
_GETEVENTS, _WAKEUP = 1, 2  # IORING_ENTER_*
_NEED_WAKEUP, _OVERFLOW = 1, 2  # IORING_SQ_*
_SINGLE_MMAP, _NODROP = 1, 2  # IORING_FEAT_*, since 5.4 and 5.5
_REGISTER_BUFFERS, _UNREGISTER_BUFFERS = 22, 23  # IORING_REGISTER_PBUF_RING and its opposite, since 5.19
_PARAMS = struct.Struct("<10I7IIQ7IIQ")
_SQE = struct.Struct("<BBHiQQIIQHHiQQ")
_CQE = struct.Struct("<QiI")
_BUFFER = struct.Struct("<QIH")  # struct io_uring_buf without its last 16 bits: in the first one they are the ring's tail
_BUFFER_SIZE, _BUFFERS_TAIL = 16, 7
_REGISTRATION = struct.Struct("<QIHHQQQ")
_WORD = 0xFFFFFFFF
_turnstile = threading.Lock()


def _barrier() -> None:
    """Every load and store before it comes before every one after it, for the kernel's threads on other CPUs, too.

    Python has no fence, but a lock has: letting it go is a store with release, taking it again a load with acquire of the same
    word, and neither x86 nor arm64 lets the second overtake the first. x86 alone would need it nowhere here.
    """
    for _ in range(2):
        with _turnstile:
            pass


@dataclass(frozen=True)
class Completion:
    """What ended: the request's own `data`, and its result (bytes, or minus an errno)."""

    data: int
    result: int
    flags: int

    @property
    def more(self) -> bool:
        """A multishot request goes on; without it, this was its last completion (IORING_CQE_F_MORE)."""
        return bool(self.flags & 2)

    @property
    def buffer(self) -> int | None:
        """The number of the provided buffer that the data is in (IORING_CQE_F_BUFFER)."""
        return self.flags >> 16 if self.flags & 1 else None


class Ring:
    """A pair of rings for `entries` requests (a power of two), and twice as many completions.

    With SQPOLL the kernel's thread goes to sleep when it has found nothing for `idle_ms` milliseconds. Raises OSError where
    io_uring is refused (seccomp, kernel.io_uring_disabled) or older than 5.5.
    """

    def __init__(self, entries: int = 256, flags: int = 0, idle_ms: int = 100) -> None:
        params = ctypes.create_string_buffer(_PARAMS.pack(0, 0, flags, 0, idle_ms, *[0] * 23), _PARAMS.size)
        self.fd = system_call("io_uring_setup", entries, params)
        values = _PARAMS.unpack(params.raw)
        self._polled = bool(flags & SQPOLL)
        self._entries, cq_entries, features = values[0], values[1], values[5]
        if features & (_SINGLE_MMAP | _NODROP) != _SINGLE_MMAP | _NODROP:
            os.close(self.fd)
            raise OSError(errno.ENOSYS, "this kernel's io_uring is older than 5.5 and loses completions")
        sq, cq = values[10:17], values[19:26]  # head, tail, mask, entries, ...; all offsets in bytes
        size = max(sq[6] + 4 * self._entries, cq[5] + _CQE.size * cq_entries)
        self._rings = mmap.mmap(self.fd, size, offset=_SQ_RING)
        self._sqes = mmap.mmap(self.fd, _SQE.size * self._entries, offset=_SQES)
        self._words = memoryview(self._rings)[: size & ~3].cast("I")
        self._sq_head, self._sq_tail, sq_mask, self._sq_flags = (sq[index] // 4 for index in (0, 1, 2, 4))
        self._cq_head, self._cq_tail, cq_mask, self._cqes = cq[0] // 4, cq[1] // 4, cq[2] // 4, cq[5]
        self._sq_mask, self._cq_mask = self._words[sq_mask], self._words[cq_mask]
        for index in range(self._entries):  # a level of indirection that nobody needs: place i holds request i, once for all
            self._words[sq[6] // 4 + index] = index
        self._ended: list[Completion] = []

    def __enter__(self) -> Ring:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Unmaps the rings and closes the descriptor. What is under way the kernel cancels, soon after."""
        if self.fd >= 0:
            self._words.release()
            self._rings.close()
            self._sqes.close()
            os.close(self.fd)
            self.fd = -1

    def request(
        self, operation: int, fd: int, address: int, size: int, data: int,
        *, flags: int = 0, priority: int = 0, group: int = 0, message_flags: int = 0,
    ) -> None:  # fmt: skip
        """Puts a request into the ring; the kernel sees it at the next `wait` (or at once with SQPOLL).

        What `address` points to must live until the completion with this `data` has come.
        """
        while self._unsubmitted() >= self._entries:
            self._enter(0)  # full: let the kernel take some
            if self._polled:
                os.sched_yield()  # its thread is awake now, and may want this very CPU
        tail = self._words[self._sq_tail]
        place = (tail & self._sq_mask) * _SQE.size
        _SQE.pack_into(
            self._sqes, place, operation, flags, priority, fd, 0, address, size, message_flags, data, group, 0, 0, 0, 0
        )
        if self._polled:  # otherwise it is this very thread that reads the request, inside io_uring_enter
            _barrier()
        self._words[self._sq_tail] = tail + 1 & _WORD  # last: from here on the kernel may take it

    def wait(self) -> list[Completion]:
        """Submits what was requested, sleeps until something has ended, and takes all that has.

        Nothing, if a signal came first. None is lost or doubled when more end than the ring has room for, but on older kernels
        (seen on 5.10) those that then find room come before those that waited for it.
        """
        self._take()
        if not self._ended or self._needs_the_kernel():
            self._enter(0 if self._ended else 1)
            self._take()
        ended, self._ended = self._ended, []
        return ended

    def register(self, operation: int, argument: ctypes.Array[ctypes.c_char], count: int) -> None:
        """Makes io_uring_register(2). Raises OSError: EINVAL where the kernel doesn't know the operation."""
        system_call("io_uring_register", self.fd, operation, argument, count)

    def _unsubmitted(self) -> int:
        unsubmitted: int = self._words[self._sq_tail] - self._words[self._sq_head] & _WORD
        return unsubmitted

    def _needs_the_kernel(self) -> bool:
        """Is there something to submit, a thread to wake, or are there completions that found no room in the ring?"""
        flags = self._words[self._sq_flags]
        idle = bool(flags & _NEED_WAKEUP) if self._polled else True
        return bool(flags & _OVERFLOW) or (idle and self._unsubmitted() > 0)

    def _enter(self, wanted: int) -> None:
        """Submits, wakes, fetches what found no room, and sleeps until `wanted` completions are in the ring.

        With SQPOLL it always wakes the thread and never trusts _NEED_WAKEUP before it sleeps: a CPU may read the flag before
        others see the tail that it has just stored. The kernel wakes under the lock of the queue on which the thread sleeps,
        and the thread looks at the tail once more when it has queued: one of the two sees the other.
        """
        flags, count = (_GETEVENTS | _WAKEUP, 0) if self._polled else (_GETEVENTS, self._unsubmitted())
        try:
            system_call("io_uring_enter", self.fd, count, wanted, flags, None, 0)
        except InterruptedError:
            pass
        except OSError as error:
            # EBUSY: older kernels take nothing while completions wait for room; EAGAIN: no memory before something has ended
            if error.errno not in (errno.EBUSY, errno.EAGAIN):
                raise
            self._take()
            if not self._ended:
                raise

    def _take(self) -> None:
        head, tail = self._words[self._cq_head], self._words[self._cq_tail]
        if head == tail:
            return
        _barrier()  # no completion is read before the tail that says it is there
        while head != tail:
            self._ended.append(Completion(*_CQE.unpack_from(self._rings, self._cqes + (head & self._cq_mask) * _CQE.size)))
            head = head + 1 & _WORD
        _barrier()  # all are read before the kernel may use their places again
        self._words[self._cq_head] = head


class Buffers:
    """A group of `count` (a power of two) buffers of `size` bytes, lent to the kernel: it takes one when data is there.

    They lie in a ring of their own, shared like the others, whose tail the process moves and whose head only the kernel knows
    (man 2 io_uring_register, IORING_REGISTER_PBUF_RING). Raises OSError, EINVAL where the kernel doesn't know such rings.
    """

    def __init__(self, ring: Ring, group: int, count: int, size: int) -> None:
        table = -(-count * _BUFFER_SIZE // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(-1, table + count * size)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._halves = memoryview(self._memory)[:table].cast("H")
        self._ring, self.group, self.count, self._table, self._size = ring, group, count, table, size
        self._register(_REGISTER_BUFFERS, self._start)
        for number in range(count):
            self.give(number)

    def _register(self, operation: int, address: int) -> None:
        packed = _REGISTRATION.pack(address, self.count if address else 0, self.group, 0, 0, 0, 0)
        self._ring.register(operation, ctypes.create_string_buffer(packed, _REGISTRATION.size), 1)

    def address(self, number: int) -> int:
        """Where buffer `number` is."""
        return self._start + self._table + number * self._size

    def give(self, number: int) -> None:
        """Lends the buffer to the kernel (again). Not while the process still needs what is in it, and not twice."""
        tail = self._halves[_BUFFERS_TAIL]
        _BUFFER.pack_into(self._memory, (tail & self.count - 1) * _BUFFER_SIZE, self.address(number), self._size, number)
        _barrier()  # a worker or the SQPOLL thread may be the one that takes it
        self._halves[_BUFFERS_TAIL] = tail + 1 & 0xFFFF

    def close(self) -> None:
        """Takes the group back. No request may still use it."""
        self._register(_UNREGISTER_BUFFERS, 0)
        self._halves.release()
        self._memory.close()
