"""io_uring (man 7 io_uring), by three system calls and two mappings.

The process and the kernel share two rings in memory. The process puts requests (SQEs) into one ring and moves the tail of this
ring. The kernel puts completions (CQEs) into the other ring and moves its tail. The side that takes entries moves the head.
Positions count modulo 2**32 and are masked when they are used, so a ring that wraps needs no special case.

Each position must be read and written whole, as one aligned 32-bit word. A memoryview does that; struct reads and writes single
bytes. `_barrier` alone decides the order in which the other side sees stores.
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
ASYNC = 1 << 4  # IOSQE_ASYNC: a worker thread carries out the request from the start
BUFFER_SELECT = 1 << 5  # IOSQE_BUFFER_SELECT: the kernel picks a buffer of the request's group when data is there
ACCEPT_MULTISHOT, RECV_MULTISHOT = (
    1 << 0,
    1 << 1,
)  # in `priority`: one request gives a completion for each connection or arrival
SQPOLL = 1 << 1  # IORING_SETUP_SQPOLL: a kernel thread polls the ring for requests
_SQ_RING, _SQES = 0, 0x10000000  # IORING_OFF_*
_GETEVENTS, _WAKEUP = 1, 2  # IORING_ENTER_*
_NEED_WAKEUP, _OVERFLOW = 1, 2  # IORING_SQ_*
_SINGLE_MMAP, _NODROP = 1, 2  # IORING_FEAT_*, since 5.4 and 5.5
_REGISTER_BUFFERS, _UNREGISTER_BUFFERS = 22, 23  # IORING_REGISTER_PBUF_RING and its opposite, since 5.19
_PARAMS = struct.Struct("<10I7IIQ7IIQ")
_SQE = struct.Struct("<BBHiQQIIQHHiQQ")
_CQE = struct.Struct("<QiI")
_BUFFER = struct.Struct(
    "<QIH"
)  # struct io_uring_buf without its last 16 bits; in the first entry these bits are the ring's tail
_BUFFER_SIZE, _BUFFERS_TAIL = 16, 7
_REGISTRATION = struct.Struct("<QIHHQQQ")
_WORD = 0xFFFFFFFF
_barrier_lock = threading.Lock()


def _barrier() -> None:
    """A memory barrier: all loads and stores before it happen before all loads and stores after it, also for other CPUs.

    Python has no fence instruction, but its locks have the effect. Releasing a lock is a store with release semantics. Taking
    the lock again is a load of the same word with acquire semantics. Neither x86 nor arm64 reorders the two. On x86 alone, this
    module would need no barrier.
    """
    for _ in range(2):
        with _barrier_lock:
            pass


@dataclass(frozen=True)
class Completion:
    """The end of a request: the `data` of the request, and its result (a number of bytes, or a negative errno)."""

    data: int
    result: int
    flags: int

    @property
    def more(self) -> bool:
        """IORING_CQE_F_MORE: the multishot request will give more completions. Without it, this is the last one."""
        return bool(self.flags & 2)

    @property
    def buffer(self) -> int | None:
        """IORING_CQE_F_BUFFER: the number of the provided buffer with the data."""
        return self.flags >> 16 if self.flags & 1 else None


class Ring:
    """A pair of rings for `entries` requests (a power of two) and twice as many completions.

    With SQPOLL, the kernel's thread goes to sleep if it has found no request for `idle_ms` milliseconds. Raises OSError if the
    machine refuses io_uring (seccomp, kernel.io_uring_disabled), or if the kernel is older than 5.5.
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
        for index in range(
            self._entries
        ):  # the index array is an indirection that this class does not use: place i is request i
            self._words[sq[6] // 4 + index] = index
        self._ended: list[Completion] = []

    def __enter__(self) -> Ring:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Unmaps the rings and closes the descriptor. The kernel cancels unfinished requests soon after."""
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
        """Puts a request into the ring. The kernel sees the request at the next `wait` (with SQPOLL at once).

        The memory at `address` must stay valid until the completion with this `data` arrives.
        """
        while self._unsubmitted() >= self._entries:
            self._enter(0)  # the ring is full: the kernel takes some requests
            if self._polled:
                os.sched_yield()  # the kernel's thread is awake now, and may need this CPU
        tail = self._words[self._sq_tail]
        place = (tail & self._sq_mask) * _SQE.size
        _SQE.pack_into(
            self._sqes, place, operation, flags, priority, fd, 0, address, size, message_flags, data, group, 0, 0, 0, 0
        )
        if self._polled:  # without SQPOLL this thread itself reads the request, inside io_uring_enter
            _barrier()
        self._words[self._sq_tail] = tail + 1 & _WORD  # the last store: from now on the kernel may take the request

    def wait(self) -> list[Completion]:
        """Submits the requests, sleeps until a request has completed, and returns all completions.

        Returns an empty list if a signal interrupted the sleep. If more requests complete than the ring has room for, no
        completion is lost or doubled. But on older kernels (seen on 5.10), completions that find room then come before earlier
        completions that waited for room.
        """
        self._take()
        if not self._ended or self._needs_the_kernel():
            self._enter(0 if self._ended else 1)
            self._take()
        ended, self._ended = self._ended, []
        return ended

    def register(self, operation: int, argument: ctypes.Array[ctypes.c_char], count: int) -> None:
        """Calls io_uring_register(2). Raises OSError with EINVAL if the kernel does not know the operation."""
        system_call("io_uring_register", self.fd, operation, argument, count)

    def _unsubmitted(self) -> int:
        unsubmitted: int = self._words[self._sq_tail] - self._words[self._sq_head] & _WORD
        return unsubmitted

    def _needs_the_kernel(self) -> bool:
        """Whether there are requests to submit, a thread to wake, or completions that found no room in the ring."""
        flags = self._words[self._sq_flags]
        idle = bool(flags & _NEED_WAKEUP) if self._polled else True
        return bool(flags & _OVERFLOW) or (idle and self._unsubmitted() > 0)

    def _enter(self, wanted: int) -> None:
        """Submits requests, fetches completions that found no room, and sleeps until `wanted` completions are in the ring.

        With SQPOLL it always wakes the kernel's thread, and does not rely on _NEED_WAKEUP: this CPU may read the flag before
        other CPUs see the tail that it has just stored. The kernel makes the wake-up under the lock of the wait queue. The
        thread checks the tail again after it has put itself on that queue. So either the wake-up finds the thread on the queue,
        or the thread finds the new tail.
        """
        flags, count = (_GETEVENTS | _WAKEUP, 0) if self._polled else (_GETEVENTS, self._unsubmitted())
        try:
            system_call("io_uring_enter", self.fd, count, wanted, flags, None, 0)
        except InterruptedError:
            pass
        except OSError as error:
            # EBUSY: older kernels take no request while completions wait for room; EAGAIN: no memory until a request has ended
            if error.errno not in (errno.EBUSY, errno.EAGAIN):
                raise
            self._take()
            if not self._ended:
                raise

    def _take(self) -> None:
        head, tail = self._words[self._cq_head], self._words[self._cq_tail]
        if head == tail:
            return
        _barrier()  # read the completions after the tail that announces them
        while head != tail:
            self._ended.append(Completion(*_CQE.unpack_from(self._rings, self._cqes + (head & self._cq_mask) * _CQE.size)))
            head = head + 1 & _WORD
        _barrier()  # read all completions before the kernel may reuse their places
        self._words[self._cq_head] = head


class Buffers:
    """A group of `count` (a power of two) buffers of `size` bytes, lent to the kernel, which takes one when data is there.

    The buffers are in another shared ring. The process moves its tail; only the kernel knows its head (man 2 io_uring_register,
    IORING_REGISTER_PBUF_RING). Raises OSError, with EINVAL if the kernel has no such rings.
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
        """The address of buffer `number`."""
        return self._start + self._table + number * self._size

    def give(self, number: int) -> None:
        """Lends the buffer to the kernel (again). The process must not need its contents any more, nor lend it twice."""
        tail = self._halves[_BUFFERS_TAIL]
        _BUFFER.pack_into(self._memory, (tail & self.count - 1) * _BUFFER_SIZE, self.address(number), self._size, number)
        _barrier()  # a worker or the SQPOLL thread may take the buffer
        self._halves[_BUFFERS_TAIL] = tail + 1 & 0xFFFF

    def close(self) -> None:
        """Takes the group back. No unfinished request may use it."""
        self._register(_UNREGISTER_BUFFERS, 0)
        self._halves.release()
        self._memory.close()
