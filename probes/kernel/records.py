"""The records that the kernel side writes and the Python side reads. They are defined here, once, for both sides.

Each record starts with `kind` (u32) and `thread` (u32). `thread` is a number that the instrument gives to each followed
thread: the kernel uses a tid again after a thread has ended, the instrument never uses a number again. Times are ns of the
kernel's CLOCK_MONOTONIC (bpf_ktime_get_ns). Durations are ns.

`c_source()` prints the definitions as C. A recording has the layouts of its records in its header (descriptions.py).
"""

from __future__ import annotations

import enum
import functools
import operator
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

BURST_BUCKETS = 64  # four buckets to an octave from 64 ns on: a burst's durations are known to 25 %, up to 4 ms
SUM_BUCKETS = 128  # the same buckets, up to 4 minutes
OTHERS = 0xFFFFFFFF  # the account of the threads that have none of their own
STACK_FRAMES = 64
COMM = 16  # TASK_COMM_LEN


class Kind(enum.IntEnum):
    """What a record describes."""

    THREAD = 1  # a thread is followed from here on
    CALL = 2  # one system call
    BURST = 3  # a burst: identical calls without result in a row, folded into one record
    SLEEP = 4  # one sleep, from the switch-out to the switch-in
    STACK = 5  # the kernel stack behind a stack id
    EXEC = 6  # the thread executed another program
    EXIT = 7  # the thread ended, or the recording did; the thread's totals
    SOCKET_COPY = 8  # data was copied from a socket outside a reading call: by io_uring, AIO or a worker of the kernel
    NAME = 9  # the thread got another name (comm)
    READY_LIST = 10  # epoll's callback put a descriptor that this thread registered on the ready list
    SUM = 11  # all calls of a thread with one number, one kind of descriptor and one outcome
    SLEEP_SUM = 12  # all sleeps of a thread in one call, on one wait queue, ended by one waker
    OTHERS = 13  # all threads that have no account of their own
    SOCKET = 15  # the addresses of a socket, when it is used for the first time and when they change
    SOCKET_END = 16  # a socket is closed, or is open at the end of the recording: its unread data
    STATE = 14  # what a thread is in while the recording goes on, and its totals until then; no recording keeps it


class Loss(enum.IntEnum):
    """What the kernel side counts beside its records, one counter each.

    "No loss" marks what takes no event away: a figure is an upper bound, or a call never took place.
    """

    RING_FULL = 0  # a record found no room in the ring buffer and was dropped
    THREADS_FULL = 1  # a thread was not followed, because the table of threads was full
    UNMATCHED = 2  # a system call ended without a beginning, or began inside another call
    STACK_FAILED = 3  # bpf_get_stack returned no stack: a sleep or wake-up has no label
    UNSEEN = 4  # the kernel did not report a switch-in: a phase is an upper bound (no loss)
    COPY_END = 5  # the kernel did not report the end of a copy: the copy is an upper bound (no loss)
    REFUSED = 6  # a seccomp filter answered a system call before it began: the call has no duration (no loss)
    ARRIVAL = 7  # data was read whose first arrival is not known: the times of the message are missing or too late
    UNINVITED = 8  # a process asked to be followed with a cookie that is not open, and was refused (no loss)
    STACK_CUT = 9  # a kernel stack has more frames than are kept: its outermost frames are missing (no loss)
    GENERATIONS_FULL = 10  # the table that tells connections at one address apart was full
    WATCHERS_FULL = 11  # the table of epoll's entries in wait queues was full
    SERIALS_FULL = 12  # two threads may have one number
    EMULATED = 13  # a tracer emulated a system call (PTRACE_SYSEMU): the kernel did not make the call (no loss)
    KILLED = 14  # a thread was killed at the entry of a system call, which never began (no loss)
    SOCKETS_FULL = 16  # the addresses or the end of a socket were not reported, because a table was full (no loss)
    SUMS_FULL = 15  # a call or a sleep was added to no row: both tables of sums were full


class Hit(enum.IntEnum):
    """Events handled for followed threads, by probe."""

    ENTER = 0
    EXIT = 1
    SWITCH = 2
    WAKING = 3
    FORK = 4
    EXEC = 5
    GONE = 6
    READY = 7
    COPY = 8
    COPIED = 9
    START = 10
    NAME = 11
    RECEIVED = 12
    DATAGRAM = 13
    POLLED = 14
    QUEUED = 15
    READY_LIST = 16


class CallFlag(enum.IntFlag):
    """Facts about one call."""

    NO_RETURN = 1  # exit, exit_group, or the thread was killed inside the call
    OPEN = 2  # still under way when the recording ended
    DRAINED = 8  # the socket's receive queue was empty after this call's last copy
    LINEAR = 16  # the copy was of a datagram in one piece, which has its own probe
    REFUSED = 64  # a seccomp filter answered the call before it began: `enter` and `exit` are the time of the answer
    EMULATED = 128  # a tracer answered or skipped the call before it began: the same
    KILLED = 256  # a signal ended the thread before the call began: the same
    COPY_LATE = 32  # the kernel did not report the end of a copy: the time until the next event counts as copying


class Outcome(enum.IntEnum):
    """How a call ended, where its result does not say it: an error is its negative number, a result of 0 is 0."""

    DONE = 1  # a result above 0
    SHORT = 2  # fewer bytes written than the call asked for
    NO_RETURN = 3
    OPEN = 4  # still under way when the recording ended


class Fact(enum.IntFlag):
    """What the kernel side must know of a system call."""

    DESCRIPTOR = 1  # the first argument is a descriptor
    BYTES = 2  # the result is a number of bytes
    ASKED = 4  # the third argument says how many bytes to write
    FLAGS_IN_2 = 8  # the third argument has MSG_ flags
    FLAGS_IN_3 = 16  # the fourth has them
    ASKS = 64  # the third argument says how many bytes to read
    SOCKET = 32  # the call makes a socket, or gives it an address


class SocketEvent(enum.IntEnum):
    """Why the addresses of a socket are reported."""

    FOUND = 0  # it was open already when its process was joined
    USED = 1  # by a call that neither makes a socket nor names it, for the first time
    ACCEPTED = 2
    CONNECTED = 3
    BOUND = 4
    LISTENS = 5
    PAIRED = 6  # by socketpair


class SocketFlag(enum.IntFlag):
    """Facts about a socket and its end."""

    PEERS_PATH = 1  # `path` is that of its peer: the socket has none
    OPEN = 2  # the socket was open when the recording ended
    AT_LEAST = 4  # more is unread than the bytes say
    UNKNOWN = 8  # what is unread is not known for a socket of this kind


class SleepFlag(enum.IntFlag):
    """Facts about one sleep."""

    OUTSIDE = 1  # not inside a system call: a page fault, for example
    EARLY = 2  # the wake-up came before the switch-out was complete
    OPEN = 4  # still asleep when the recording ended
    UNSEEN = 8  # the kernel did not report the wake-up: all of the time counts as sleep
    BOUNDED = 16  # the kernel did not report the switch-in: `on` is an upper bound
    QUEUE_CARRIED = 32  # `stack` was not walked: it is that of the sleep before in the same call
    WAKER_CARRIED = 64  # `waker_stack` was not walked: it is that of the same waker's wake-up before


C_TYPES = {"u32": ("I", 4), "s32": ("i", 4), "u64": ("Q", 8), "s64": ("q", 8)}  # of numbers: for struct, and the bytes


@dataclass(frozen=True)
class Layout:
    """A record's fields in order: (name, C type, length or 0 for a scalar)."""

    kind: Kind
    fields: tuple[tuple[str, str, int], ...]
    codec: struct.Struct = field(init=False, repr=False, compare=False)
    record: type = field(init=False, repr=False, compare=False)
    _build: Callable[[tuple[Any, ...]], Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        offset = 0
        for name, ctype, length in self.fields:
            align = 1 if ctype == "char" else C_TYPES[ctype][1]
            if offset % align:
                raise ValueError(f"{self.kind.name}.{name} would make the C compiler pad: reorder the fields")
            offset += (length or 1) * align
        if offset % 8:
            raise ValueError(f"{self.kind.name} is {offset} bytes: make it a multiple of 8")
        object.__setattr__(self, "codec", struct.Struct("<" + "".join(self._format(*field) for field in self.fields)))
        names = [(name, tuple[int, ...] if length and ctype != "char" else Any) for name, ctype, length in self.fields]
        record = NamedTuple(self.kind.name.title(), names)  # type: ignore[misc]
        object.__setattr__(self, "record", record)
        object.__setattr__(self, "_build", self._builder(record))

    @staticmethod
    def _format(_name: str, ctype: str, length: int) -> str:
        if ctype == "char":
            return f"{length}s"
        return C_TYPES[ctype][0] * (length or 1)

    def c_struct(self) -> str:
        """The C definition, `struct call_record { ... };`"""
        lines = [f"  {ctype} {name}{f'[{length}]' if length else ''};" for name, ctype, length in self.fields]
        return "\n".join([f"struct {self.kind.name.lower()}_record {{", *lines, "};"])

    def offset(self, wanted: str) -> int:
        """Bytes from the start of the record to a field. Raises KeyError for a field it does not have."""
        offset = 0
        for name, ctype, length in self.fields:
            if name == wanted:
                return offset
            offset += (1 if ctype == "char" else C_TYPES[ctype][1]) * (length or 1)
        raise KeyError(wanted)

    def _builder(self, record: type) -> Callable[[tuple[Any, ...]], Any]:
        """The function from the unpacked values to the record, made once, as a recording may hold millions.

        itemgetter picks the scalars and slices the arrays, and tuple.__new__ makes the named tuple: both run in C.
        """
        places: list[int | slice] = []
        texts, at = [], 0
        for index, (_name, ctype, length) in enumerate(self.fields):
            step = length if length and ctype != "char" else 1
            places.append(slice(at, at + step) if length and ctype != "char" else at)
            if ctype == "char":
                texts.append(index)
            at += step
        pick, make = operator.itemgetter(*places), functools.partial(tuple.__new__, record)
        if not texts:
            return lambda values: make(pick(values))

        def build(values: tuple[Any, ...]) -> Any:
            fields = list(pick(values))
            for index in texts:
                fields[index] = _text(fields[index])
            return make(fields)

        return build

    def decode(self, data: bytes | memoryview, at: int = 0) -> Any:
        """The record that starts at byte `at`, as a named tuple; arrays become tuples, text becomes str."""
        return self._build(self.codec.unpack_from(data, at))


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode(errors="replace")


def _layout(kind: Kind, text: str) -> Layout:
    fields = [("kind", "u32", 0), ("thread", "u32", 0)]
    for item in text.split(","):
        ctype, name = item.split()
        name, _, length = name.rstrip("]").partition("[")
        fields.append((name, ctype, int(length or 0)))
    return Layout(kind, tuple(fields))


LAYOUTS: dict[Kind, Layout] = {
    layout.kind: layout
    for layout in (
        # tid: in the initial pid namespace. ns_tid, ns_tgid: in the thread's own pid namespace. worker: 1 for a thread that
        # the kernel made for its own work in this process
        _layout(Kind.THREAD, f"u32 tid, u32 ns_tid, u32 ns_tgid, u32 parent, u64 start, u64 worker, char comm[{COMM}]"),
        _layout(
            Kind.CALL,
            "s32 nr, u32 flags, u64 enter, u64 exit, s64 ret, u64 args[4],"
            "u64 wait, u64 delay, u64 preempted, u64 copy, u32 sleeps, u32 preemptions,"
            # socket: the socket that the call read from (0: unknown). ready: when its oldest unread data arrived (0: unknown).
            # copied: when the last copy of the call ended. arrivals: how many arrivals the call read. unread: bytes left
            "u64 socket, u64 ready, u64 copied, u32 arrivals, u32 unread,"
            # calls of poll methods, entries made in wait queues, entries removed from wait queues, buffers copied
            "u32 polled, u32 queued, u32 unqueued, u32 copies,"
            # a multiplexer's time on the CPU before it polled the first descriptor, and after it polled the last (0: it polled
            # no descriptor)
            "u64 copy_in_max, u64 copy_out_max,"
            # when the newest of the data that the call read had arrived (0: unknown). release, socket_kind: as release and
            # socket of a sum
            "u64 latest, u64 release, u32 socket_kind, u32 unused",
        ),
        _layout(
            Kind.BURST,
            "s32 nr, u32 fd, s64 ret, u64 count, u64 first, u64 last, u64 total, u64 delay, u64 preempted,"
            f"u64 preemptions, u64 longest, u64 polled, u64 queued, u64 unqueued, u32 buckets[{BURST_BUCKETS}],"
            # release, socket: as in a sum. detailed: not for the sums alone. closes: calls of close before it
            "u64 release, u32 socket, u32 detailed, u32 closes, u32 unused",
        ),
        _layout(
            Kind.SLEEP,
            "u32 flags, u32 waker_tid, u64 off, u64 woken, u64 on, u64 stack, u64 waker_stack, u64 probed,"
            "u64 object,"  # names the file behind the descriptor in the call's first argument (sched.c); 0: none
            f"char waker_comm[{COMM}]",
        ),
        _layout(Kind.STACK, f"u64 id, u64 depth, u64 frames[{STACK_FRAMES}]"),
        _layout(
            Kind.SOCKET_COPY,
            "u64 socket, u64 ready, u64 started, u64 copied, u64 bytes, u32 arrivals, u32 unread, u64 latest",
        ),
        _layout(
            # socket: as in a call. type: as in a sum. state: TCP_ESTABLISHED and so on (net/tcp_states.h). Addresses are
            # in the order of the network, an IPv4 address in the first word; ports are in the order of the machine
            Kind.SOCKET,
            "u64 at, u64 socket, u64 inode, s32 fd, u32 event, u32 type, u32 state, u32 flags, u32 unused, u32 local_port,"
            "u32 peer_port, u32 local[4], u32 peer[4], char path[128]",
        ),
        _layout(
            # unread: bytes in the receive queue. messages: datagrams there, or buffers. backlog: connections that wait for an
            # accept. first: when the oldest unread data arrived, latest: when the newest did (0: unknown)
            Kind.SOCKET_END,
            "u64 at, u64 socket, u64 inode, s32 fd, u32 type, u32 state, u32 flags, u64 unread, u32 messages, u32 backlog,"
            "u64 first, u64 latest",
        ),
        _layout(Kind.READY_LIST, "u64 ready, u64 at"),  # ready: when the data arrived; 0: the cause was not data for a socket
        _layout(Kind.NAME, f"u64 at, char comm[{COMM}]"),
        _layout(Kind.EXEC, f"u64 at, u32 ns_tid, u32 ns_tgid, char comm[{COMM}]"),
        _layout(
            Kind.EXIT,
            # wait, delay, preempted, sleeps, preemptions: outside calls. birth: on the CPU before its first return.
            # copy: copying in that time. calls, bursts: how many calls the kernel side reported and folded
            "u64 end, u64 calls, u64 bursts, u64 wait, u64 delay, u64 preempted, u64 birth, u64 copy,"
            f"u32 sleeps, u32 preemptions, char comm[{COMM}],"
            # sums over all its calls: how many, and their phases. slept, moved: sleeps and preemptions inside calls.
            # reported: sleeps outside calls that have a record. status: as wait4 gives it; alive: the thread had not ended
            "u64 made, u64 in_total, u64 in_wait, u64 in_delay, u64 in_preempted, u64 in_copy,"
            "u64 reported_wait, u32 in_sleeps, u32 in_preemptions, u32 reported, u32 status, u32 alive, u32 unused",
        ),
        _layout(
            # release: the function that closes files of the descriptor's kind (0: no descriptor), a stack of one frame.
            # socket: family, type << 8 and protocol << 16 of a socket. outcome: Outcome, 0 or a negative error number.
            Kind.SUM,
            "s32 nr, s32 outcome, u64 release, u32 socket, u32 unused, u64 count, u64 bytes, u64 total, u64 wait, u64 delay,"
            "u64 preempted, u64 copy, u64 sleeps, u64 preemptions, u64 polled, u64 queued, u64 unqueued, u64 longest,"
            f"u32 buckets[{SUM_BUCKETS}]",
        ),
        _layout(
            # nr: -1 outside of calls. waker: the number of the thread that ended the sleeps, 0 if it is not followed.
            # walked, waker_walked: of how many sleeps the stacks were walked
            Kind.SLEEP_SUM,
            "s32 nr, u32 flags, u32 waker, u32 unused, u64 stack, u64 waker_stack, u64 count, u64 wait, u64 delay, u64 longest,"
            f"u64 walked, u64 waker_walked, char waker_comm[{COMM}], u32 buckets[{SUM_BUCKETS}]",
        ),
        _layout(
            Kind.OTHERS,
            "u64 threads, u64 wall, u64 made, u64 wait, u64 delay, u64 preempted, u64 copy, u64 kernel, u64 sleeps,"
            "u64 preemptions",
        ),
        _layout(
            # nr: -1 outside of calls. off, off_at, woken_at, stack: struct thread of fold.h. wait, delay, preempted, made: all
            # until `at`, without the absence from the CPU that is under way
            Kind.STATE,
            "s32 nr, u32 off, u64 at, u64 born, u64 off_at, u64 woken_at, u64 stack, u64 wait, u64 delay, u64 preempted,"
            "u64 made",
        ),
    )
}


class Off(enum.IntEnum):
    """Whether a thread is off the CPU, and why (fold.h)."""

    ON_CPU = 0
    ASLEEP = 1
    PREEMPTED = 2
    NEWBORN = 3  # created, and not yet on a CPU


def c_source() -> str:
    """The kinds, losses, flags and record structs as C."""
    lines = []
    families = (
        ("KIND", Kind), ("LOSS", Loss), ("HIT", Hit), ("CALL", CallFlag), ("SLEEP", SleepFlag), ("OUTCOME", Outcome),
        ("FACT", Fact), ("EVENT", SocketEvent), ("SOCKET", SocketFlag),
    )  # fmt: skip
    for prefix, names in families:
        lines += [f"#define {prefix}_{member.name} {member.value}" for member in names]
    lines += [f"#define LOSSES {len(Loss)}", f"#define HITS {len(Hit)}", f"#define BURST_BUCKETS {BURST_BUCKETS}"]
    lines += [f"#define SUM_BUCKETS {SUM_BUCKETS}", f"#define OTHERS {OTHERS}U"]
    lines += [f"#define STACK_FRAMES {STACK_FRAMES}", f"#define COMM {COMM}"]
    return "\n".join([*lines, *(layout.c_struct() for layout in LAYOUTS.values())]) + "\n"


def decode(data: bytes, layouts: Mapping[Kind, Layout] | None = None) -> Iterator[Any]:
    """Every record of a packed stream, in order. Raises ValueError on a stream that is cut or not ours."""
    ways = {int(kind): (layout.decode, layout.codec.size) for kind, layout in (layouts or LAYOUTS).items()}
    at, end = 0, len(data)
    while at < end:
        try:
            decode, size = ways[data[at]]
            yield decode(data, at)
        except (KeyError, struct.error) as error:
            raise ValueError(f"damaged record at byte {at}: {error}") from error
        at += size


def encode(record: Any, layouts: Mapping[Kind, Layout] | None = None) -> bytes:
    """The packed form of a record made by `decode` with the same layouts, or by hand (tests, rewriting)."""
    layout = (layouts or LAYOUTS)[Kind(record.kind)]
    flat: list[Any] = []
    for (_name, ctype, length), value in zip(layout.fields, record, strict=True):
        if ctype == "char":
            flat.append(value.encode()[: length - 1])
        elif length:
            flat.extend(value)
        else:
            flat.append(value)
    return layout.codec.pack(*flat)


def bucket_floor(index: int) -> int:
    """The shortest duration (ns) that falls into a bucket of a burst or a sum; the first bucket starts at 0.

    >>> [bucket_floor(i) for i in (0, 1, 4, 8, 63)]
    [0, 80, 128, 256, 3670016]
    """
    return (4 + index % 4) << (4 + index // 4) if index else 0
