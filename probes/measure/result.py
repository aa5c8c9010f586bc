"""What a run measured: the data that every report, check and test reads. Frozen, integer ns, None for what is not known."""

from __future__ import annotations

import enum
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from probes.context import Context, TraceRun
from probes.measure.rows import CallSum, Descriptor, Others, SleepSum
from probes.measure.sockets import SocketEnd, SocketName
from probes.measure.wakers import Waker
from probes.recording import Machine, Probe, Quality

PHASES = ("total", "wait", "sched_delay", "preempted", "copy", "kernel")  # fields of Call and CallRow; the first is the sum


@dataclass(frozen=True, slots=True)
class Sleep:
    """One sleep: switched out at `off`, woken at `woken`, on a CPU again at `on`. `stack` leads to the wait queue."""

    off: int
    woken: int
    on: int
    queue: str
    stack: tuple[str, ...]
    waker: Waker | None
    probed: int = 0  # ns of the probe's own work in the waker, which prolonged the sleep
    walked: bool = True  # False: the stack is that of the sleep before in the same call
    waker_walked: bool = True  # False: the waker's stack is that of the same waker's wake-up before
    object: int | None = None  # an ordinal for the file behind the call's descriptor (socket, eventpoll, pipe); None: none

    @property
    def wait(self) -> int:
        """Asleep, ns."""
        return self.woken - self.off

    @property
    def delay(self) -> int:
        """Woken, but not yet on a CPU, ns."""
        return self.on - self.woken


class AnsweredBy(enum.StrEnum):
    """What answered a call before it began (include/linux/entry-common.h, syscall_trace_enter). The names are keys in JSON."""

    FILTER = "seccomp filter"
    SUPERVISOR = "seccomp supervisor"
    TRACER = "tracer"
    SIGNAL = "fatal signal"


@dataclass(slots=True)  # not frozen, though no code changes it: a frozen dataclass takes twice as long to make
class Call:
    """One system call, or a burst of `count` identical calls without result. The times of a burst are sums.

    `result` is the kernel's return value, None for a call that never returned; `fd` is None for calls without a descriptor.
    The phases add up to `total` exactly. For a burst, `exit - enter` spans all its calls, with the user code in between.
    """

    thread: int
    name: str
    fd: int | None
    args: tuple[int, ...]
    enter: int
    exit: int
    result: int | None
    errno: str | None
    bytes: int
    total: int
    wait: int
    sched_delay: int
    preempted: int
    copy: int
    kernel: int
    copied: int | None = None  # when the last copy ended; None: no copy was seen
    sleeps: tuple[Sleep, ...] = ()
    preemptions: int = 0
    count: int = 1
    histogram: tuple[int, ...] | None = None  # of a burst: records.bucket_floor has the bounds
    longest: int = 1 << 63  # of a burst: its longest call, ns
    open: bool = False  # under way when the recording ended
    refused: bool = False  # the call never began, as `answered_by` answered it: `enter` and `exit` are the time of the answer
    socket: int | None = None
    ready: int | None = None  # when the oldest of the data that it read had arrived
    latest: int | None = None  # when the newest of it had arrived; None: not recorded
    arrivals: int = 0
    drained: bool = False
    unread: int = 0  # bytes that the socket still had when a reading call returned
    copies: int = 0  # buffers that were copied
    late: bool = False  # no probe reported the end of a copy: `copy` and `copied` are upper bounds
    linear: bool = False  # the copy was a datagram's in one piece: the probe "datagram copy" bracketed it
    polled: int | None = None  # calls of the poll methods of its descriptors; None: no probe counts them here
    queued: int | None = None  # entries that it made in wait queues of descriptors
    unqueued: int | None = None  # entries that it removed from them
    # upper bounds of the time in which a multiplexer copied in its descriptors and copied out its results, ns; None: not known
    copy_in_max: int | None = None
    copy_out_max: int | None = None
    answered_by: AnsweredBy | None = None  # None: the kernel
    descriptor: Descriptor | None = None  # what kind of file `fd` was; None: no descriptor, or not known


@dataclass(frozen=True, slots=True)
class ReadyListEvent:
    """Epoll's callback (ep_poll_callback) put a descriptor that the thread had added on the ready list, at `at`.

    `ready`: when the data that was the reason had become ready in its socket; None if the reason was another event.
    """

    thread: int
    ready: int | None
    at: int


@dataclass(frozen=True, slots=True)
class SocketCopy:
    """Data copied from a socket without read, recvfrom or recvmsg: by recvmmsg, io_uring, AIO, or a worker of the kernel."""

    thread: int
    socket: int
    ready: int | None
    started: int
    copied: int
    bytes: int
    arrivals: int
    drained: bool
    latest: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """Data that arrived at one socket, until all of it was returned to the program.

    ready: its first byte is in the socket's receive queue; all_ready: its last byte is. notified: the thread, on a CPU in the
    call that reports it (`notified_by`), can know: messages.py has the definition. read: the call that takes it starts;
    copied: its last byte is copied; returned: that call returns.
    """

    socket: int
    thread: int
    fd: int
    ready: int
    notified: int
    notified_by: str
    read: int
    copied: int
    returned: int
    bytes: int
    reads: int
    arrivals: int
    probed: int = 0  # between ready and notified: ns of the probe's own work in the waker
    all_ready: int | None = None  # None: several segments came, and the recording has the time of the first only

    @property
    def ready_to_notified(self) -> int:
        """The end of phase 1: how long the data was unread before the thread could know, ns, without the probe's own work."""
        return self.notified - self.ready - self.probed

    @property
    def notified_to_copied(self) -> int:
        """Phase 2 and what the thread does before it, ns: from the notice to the end of the copy; 0 if the copy came first."""
        return max(self.copied - self.notified, 0)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a thread or a process ended: by a fatal signal, or with an exit status."""

    status: int = 0
    signal: int = 0  # 0: no signal
    core: bool = False  # the kernel dumped its memory


@dataclass(frozen=True, slots=True)
class Details:
    """How many calls were reported one by one, of all. The rest is known by its sums."""

    recorded: int
    of: int
    windows: tuple[tuple[int, int], ...] = ()  # when details were wanted, monotonic ns; empty: all the time
    left_out: int = 0  # calls that the file has one by one, and this result does not (recording.load)

    @property
    def complete(self) -> bool:
        """Was each call reported?"""
        return self.recorded == self.of


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread's whole life while it was followed; user + the phases == wall exactly."""

    serial: int
    tid: int  # as the thread itself sees it (gettid)
    pid: int  # as the thread itself sees it (getpid)
    host_tid: int
    name: str
    parent: int
    start: int
    end: int
    user: int
    wait: int
    sched_delay: int
    preempted: int
    copy: int
    kernel: int
    calls: int
    voluntary_switches: int
    involuntary_switches: int
    ended: bool = True  # False: it was alive when the recording ended
    kernel_worker: bool = False  # a thread of the kernel, made by io_uring: without calls and user code
    slept_on: tuple[SleptOn, ...] = ()  # its sleeps outside of calls: in page faults, and all sleeps of a kernel_worker
    ended_by: Ending | None = None  # None: it had not ended, or the recording is of an older iolab

    @property
    def awake(self) -> int:
        """Time (ns) on a CPU or preempted: neither asleep nor, after a wake-up, waiting for a CPU."""
        return self.wall - self.wait - self.sched_delay

    @property
    def wall(self) -> int:
        """Ns from the first followed moment to the last."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class SleptOn:
    """All sleeps of a call on one wait queue."""

    queue: str
    count: int
    ns: int
    woken_by: tuple[tuple[str, int], ...]  # (chain in words, how often), most frequent first
    queues: int | None = None  # how many queues of that kind, one for each object; None: the call has no descriptor
    longest: int = 0  # ns
    walked: int | None = None  # of how many sleeps the stacks were walked; None: of all


@dataclass(frozen=True, slots=True)
class CallRow:
    """All calls of one name: the phase table's row."""

    name: str
    count: int
    errors: dict[str, int]
    bytes: int
    total: int
    wait: int
    sched_delay: int
    preempted: int
    copy: int
    kernel: int
    p50: int
    p99: int
    slept_on: tuple[SleptOn, ...]
    copy_quality: Quality
    copy_reason: str
    p_quality: Quality = Quality.MEASURED
    polled: int | None = None  # sums over the calls; None: not counted here
    queued: int | None = None
    unqueued: int | None = None
    copy_in_max: int | None = None  # medians, ns; None: not known
    copy_out_max: int | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """How many events the kernel side handled, how many were lost, and how many had no partner."""

    seen: int
    lost: int
    unmatched: int
    reasons: dict[str, int] = field(default_factory=dict)
    needs_room: bool = False  # only tables of the probes were full: another run of the same program loses the same events

    @property
    def sound(self) -> bool:
        """Nothing is missing: verdicts may be given."""
        return not self.lost and not self.unmatched

    @property
    def full(self) -> bool:
        """The recording was full before the end of the run: what came later is missing."""
        return "full" in self.reasons


class Verdict(enum.StrEnum):
    """Whether the statement of a check (its name) holds. reports/words.py (VERDICTS) defines each word."""

    CONFIRMED = "confirmed"
    REFINED = "refined"
    REFUTED = "refuted"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    UNAVAILABLE = "unavailable"  # the key in JSON; people read "not shown here"


@dataclass(frozen=True, slots=True)
class Check:
    """A statement held against the evidence."""

    name: str
    claims: tuple[str, ...]
    verdict: Verdict
    evidence: str


def worst(verdicts: Iterable[str]) -> str:
    """The worst of several: fail before inconclusive, inconclusive before pass. A failed check stays failed.

    >>> worst(["pass", "inconclusive", "fail"])
    'fail'
    """
    present = set(verdicts)
    return "fail" if "fail" in present else "inconclusive" if "inconclusive" in present else "pass"


@dataclass(frozen=True)
class Result:
    """A whole run, ready to be shown. `context` is what the probes do not report: the lab, its traffic, witnesses, cost."""

    machine: Machine
    probes: tuple[Probe, ...]
    events: Events
    calls: tuple[Call, ...]
    rows: tuple[CallRow, ...]
    messages: tuple[Message, ...]
    threads: tuple[Thread, ...]
    context: Context
    checks: tuple[Check, ...] = ()
    listed: tuple[ReadyListEvent, ...] | None = None  # None: no probe reports epoll's callback here
    sums: tuple[CallSum, ...] = ()  # of all calls; empty in a recording of iolab 0.1.0
    sleep_sums: tuple[SleepSum, ...] = ()  # of all sleeps
    others: Others | None = None  # threads without an account of their own
    details: Details = Details(0, 0)
    socket_names: tuple[SocketName, ...] = ()  # in the order of their times
    socket_ends: tuple[SocketEnd, ...] = ()

    @property
    def verdict(self) -> str:
        """pass, fail or inconclusive."""
        full = self.events.full and not isinstance(self.context, TraceRun)  # the sums of a trace are complete all the same
        if not self.events.sound or full or any(check.verdict is Verdict.INCONCLUSIVE for check in self.checks):
            return "inconclusive"
        return "fail" if any(check.verdict is Verdict.FAILED for check in self.checks) else "pass"

    def with_checks(self, checks: Iterable[Check]) -> Result:
        """The same result with a lab's verdicts."""
        return replace(self, checks=tuple(checks))

    def named(self, *names: str) -> list[Call]:
        """The calls of these names, in order of their start."""
        if len(names) == 1:
            return [call for _, call in self._by_name.get(names[0], ())]
        found = [pair for name in set(names) for pair in self._by_name.get(name, ())]
        return [call for _, call in sorted(found, key=operator.itemgetter(0))]

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[int, Call]]]:
        """The calls of each name, with their places among all calls."""
        calls: dict[str, list[tuple[int, Call]]] = {}
        for pair in enumerate(self.calls):
            calls.setdefault(pair[1].name, []).append(pair)
        return calls

    @cached_property
    def calls_of(self) -> dict[int, list[Call]]:
        """The calls of each thread that made any, in order, by the thread's serial number."""
        calls: dict[int, list[Call]] = {}
        for call in self.calls:
            calls.setdefault(call.thread, []).append(call)
        return calls

    @cached_property
    def found(self) -> dict[object, Any]:
        """What the findings keep about this result (findings/once.py)."""
        return {}
