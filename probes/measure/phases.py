"""From records to a Result: calls with their phases, messages, threads, and whether it all adds up. Pure Python, no BPF.

The laws, held against every recording; what breaks one is counted as unmatched, and a verdict on it is inconclusive:
  call     total == wait + sched_delay + preempted + copy + kernel, none negative
  sleeps   the sleeps of a call add up to its wait and its sched_delay, and are as many as the kernel side counted
  thread   wall == user + wait + sched_delay + preempted + copy + kernel, none negative
  records  as many calls came as the kernel side wrote
"""

from __future__ import annotations

import bisect
import collections
import gc
import operator
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from probes.kernel import records, syscalls
from probes.kernel.records import CallFlag, Kind, Loss, SleepFlag
from probes.measure.queues import OF_THE_OBJECT, own, queue_name, wake_chain
from probes.measure.result import (
    Call,
    CallRow,
    Events,
    Message,
    ReadyListEvent,
    Result,
    Sleep,
    SleptOn,
    SocketCopy,
    Thread,
    Waker,
)
from probes.recording import Probe, Quality, Recording

PHASES = ("total", "wait", "sched_delay", "preempted", "copy", "kernel")
_UNFINISHED, _OPEN = int(CallFlag.NO_RETURN | CallFlag.OPEN), int(CallFlag.OPEN)
_DRAINED, _LINEAR, _LATE = int(CallFlag.DRAINED), int(CallFlag.LINEAR), int(CallFlag.COPY_LATE)
_FLAGS = {"recvfrom": 3, "recvmsg": 2}  # which argument holds them
_MOVES = (syscalls.READS | syscalls.WRITES) - {"recvmmsg", "sendmmsg"}  # whose result counts messages
_REAL_LOSSES = (
    Loss.RING_FULL, Loss.THREADS_FULL, Loss.ARRIVAL, Loss.GENERATIONS_FULL, Loss.WATCHERS_FULL, Loss.SERIALS_FULL,
)  # fmt: skip


@dataclass
class _Life:
    """A thread while its records are read."""

    birth: Any
    name: str
    calls: list[Call] = field(default_factory=list)
    sleeps: list[Sleep] = field(default_factory=list)  # of the call that has not been reported yet
    outside: list[Sleep] = field(default_factory=list)
    taken: list[SocketCopy] = field(default_factory=list)
    listed: list[ReadyListEvent] = field(default_factory=list)
    end: Any = None
    bursts: int = 0
    inside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))  # sums over the calls

    def add(self, call: Call) -> None:
        """Takes a call into the thread's accounts."""
        self.calls.append(call)
        inside = self.inside
        inside["total"] += call.total
        inside["wait"] += call.wait
        inside["sched_delay"] += call.sched_delay
        inside["preempted"] += call.preempted
        inside["copy"] += call.copy
        inside["kernel"] += call.kernel


def measure(recording: Recording) -> Result:
    """Everything that a recording says. Checks are not its business: the lab adds them."""
    reader = _Reader(recording)
    collecting = gc.isenabled()
    gc.disable()  # a million calls, none in a cycle: looking for cycles among them takes longer than making them
    try:
        lives = reader.read()
    finally:
        if collecting:
            gc.enable()
    threads = tuple(reader.thread(life) for life in lives)
    calls = tuple(sorted((call for life in lives for call in life.calls), key=lambda one: (one.enter, one.thread)))
    taken = sorted((one for life in lives for one in life.taken), key=lambda one: one.copied)
    families = {
        one.birth.thread: (one.birth.parent if getattr(one.birth, "worker", 0) else 0, one.birth.ns_tgid) for one in lives
    }
    losses = recording.meta["losses"]
    lost = sum(losses.get(one.name, 0) for one in _REAL_LOSSES) + losses.get("MISSED", 0)
    if losses.get("PAIRED", 0) and (taken or _unreported(calls)):
        lost += losses["PAIRED"]
    if any(losses.get(name, 0) for name in ("REFUSED", "EMULATED", "KILLED")):  # an end alone, unless its begin was skipped
        lost += losses.get("SKIPPED", 0)
    reasons = {name.lower(): count for name, count in losses.items() if count} | dict(reader.unmatched)
    events = Events(recording.meta["seen"], lost, losses.get("UNMATCHED", 0) + sum(reader.unmatched.values()), reasons)
    return Result(
        machine=recording.meta["machine"],
        probes=recording.probes,
        events=events,
        calls=calls,
        rows=table(calls, recording.probes),
        messages=tuple(sorted([*messages(calls), *batches(calls, taken), *completions(calls, taken, families)], key=_returned)),
        threads=threads,
        context=recording.context,
        listed=tuple(sorted((one for life in lives for one in life.listed), key=lambda one: one.at)) if reader.lists else None,
    )


def _unreported(calls: Sequence[Call]) -> bool:
    """The kernel skipped events of a copy: were any of them ours? One probe tells of the copy, another of the socket, so a call
    that only one of them tells of is missing the other. (So is a copy from a unix socket, always: rather one too many.) A read
    that neither tells of, though it brought data, is missing both where its descriptor is known to be a connection. Of several
    copies in one call nobody can say.
    """
    connections = {call.result for call in calls if call.name in syscalls.ACCEPTS}
    connections |= {call.fd for call in calls if call.socket is not None or call.name == "connect"}
    for call in calls:
        if call.copies > 1 or (call.copied is None) != (call.socket is None):
            return True
        if call.bytes and call.copied is None and call.name in syscalls.READS and call.fd in connections:
            return True
    return False


class _Reader:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._arch = recording.meta["machine"]["arch"]
        self._layouts = records.from_description(recording.meta["layouts"])
        self._lives: dict[int, _Life] = {}
        attached = {one.name for one in recording.probes if one.attached}
        self._polls, self._counts_queues = "poll methods" in attached, "wait queues" in attached
        known = {name for name, _, _ in self._layouts[Kind.CALL].fields}
        self._hands = self._polls and self._counts_queues and "copy_in_max" in known
        self.lists = "epoll's callback" in attached
        self._wakers: dict[tuple[int, str, int], Waker] = {}
        self._queues: dict[int, tuple[str, tuple[str, ...]]] = {}
        self.unmatched: collections.Counter[str] = collections.Counter()

    def read(self) -> list[_Life]:
        handlers = {
            int(Kind.CALL): self._on_call,
            int(Kind.BURST): self._on_burst,
            int(Kind.SLEEP): self._on_sleep,
            int(Kind.SOCKET_COPY): self._on_socket_copy,
            int(Kind.READY_LIST): self._on_ready_list,
            int(Kind.EXEC): self._on_exec,
            int(Kind.NAME): self._on_name,
            int(Kind.EXIT): self._on_exit,
        }
        for record in records.decode(self._recording.data, self._layouts):
            life = self._lives.get(record.thread)
            if record.kind == Kind.THREAD:
                self._on_thread(record)
            elif life is None:
                self.unmatched["record of an unknown thread"] += 1
            else:
                handlers[record.kind](record, life)
        return list(self._lives.values())

    def _on_thread(self, record: Any) -> None:
        parent = self._lives.get(record.parent)
        self._lives[record.thread] = _Life(record, record.comm or (parent.name if parent else ""))

    def _on_socket_copy(self, record: Any, life: _Life) -> None:
        life.taken.append(
            SocketCopy(
                thread=record.thread,
                socket=record.socket,
                ready=record.ready or None,
                started=record.started,
                copied=record.copied,
                bytes=record.bytes,
                arrivals=record.arrivals,
                drained=not record.unread,
            )
        )

    def _on_ready_list(self, record: Any, life: _Life) -> None:
        life.listed.append(ReadyListEvent(record.thread, record.ready or None, record.at))

    def _on_exec(self, record: Any, life: _Life) -> None:
        life.name = record.comm
        if tid := getattr(record, "ns_tid", 0):  # an exec makes its thread the leader, with the leader's id
            life.birth = life.birth._replace(ns_tid=tid)

    def _on_name(self, record: Any, life: _Life) -> None:
        life.name = record.comm

    def _on_exit(self, record: Any, life: _Life) -> None:
        life.end = record
        life.name = record.comm or life.name

    def _queue(self, number: int) -> tuple[str, tuple[str, ...]]:
        if number not in self._queues:
            stack = own(self._recording.stack(number))
            self._queues[number] = (queue_name(stack), stack)
        return self._queues[number]

    def _waker(self, record: Any) -> Waker | None:
        if record.flags & (SleepFlag.OPEN | SleepFlag.UNSEEN):
            return None
        key = (record.waker_stack, record.waker_comm, record.waker_tid)
        if key not in self._wakers:
            stack = own(self._recording.stack(record.waker_stack))
            self._wakers[key] = Waker(record.waker_comm, record.waker_tid, wake_chain(stack), stack)
        return self._wakers[key]

    def _on_sleep(self, record: Any, life: _Life) -> None:
        queue, stack = self._queue(record.stack)
        sleep = Sleep(record.off, record.woken, record.on, queue, stack, self._waker(record), record.probed)
        if queue in OF_THE_OBJECT and (ordinal := getattr(record, "object", 0)):
            sleep = replace(sleep, object=ordinal)
        (life.outside if record.flags & SleepFlag.OUTSIDE else life.sleeps).append(sleep)

    def _on_call(self, record: Any, life: _Life) -> None:
        name = syscalls.name_of(record.nr, self._arch)
        sleeps: tuple[Sleep, ...] = ()
        fd = _descriptor(name, record.args[0])
        if record.sleeps or life.sleeps:
            sleeps, life.sleeps = tuple(life.sleeps if fd is not None else map(_of_nothing, life.sleeps)), []
            asleep = sum(one.wait for one in sleeps), sum(one.delay for one in sleeps)
            if len(sleeps) != record.sleeps or asleep != (record.wait, record.delay):
                self.unmatched["a call's sleeps don't add up"] += 1
        unfinished = record.flags & _UNFINISHED
        peeks = name in _FLAGS and record.args[_FLAGS[name]] & socket.MSG_PEEK  # moves nothing: the data is read later
        all_asked = record.ret <= record.polled  # of other kinds of file the probes don't tell: answers may be out before
        hands = self._hands and record.polled and not unfinished and name in syscalls.MULTIPLEXERS
        result = None if unfinished else record.ret
        total = record.exit - record.enter
        kernel = total - record.wait - record.delay - record.preempted - record.copy
        if kernel < 0:
            self.unmatched["a call's phases exceed it"] += 1
        life.add(
            Call(
                thread=record.thread,
                name=name,
                fd=fd,
                args=record.args,
                enter=record.enter,
                exit=record.exit,
                result=result,
                errno=None if unfinished else _errno(name, record.ret),
                bytes=result if result is not None and result > 0 and name in _MOVES and not peeks else 0,
                total=total,
                wait=record.wait,
                sched_delay=record.delay,
                preempted=record.preempted,
                copy=record.copy,
                kernel=kernel,
                copied=record.copied or None,
                sleeps=sleeps,
                preemptions=record.preemptions,
                open=bool(record.flags & _OPEN),
                socket=record.socket or None,
                ready=record.ready or None,
                arrivals=record.arrivals,
                drained=bool(record.flags & _DRAINED),
                linear=bool(record.flags & _LINEAR),
                late=bool(record.flags & _LATE),
                copies=record.copies,
                polled=record.polled if self._polls else None,
                queued=record.queued if self._counts_queues else None,
                unqueued=record.unqueued if self._counts_queues else None,
                copy_in_max=record.copy_in_max if hands and name not in syscalls.EPOLL_WAITS else None,
                copy_out_max=record.copy_out_max if hands and (name not in syscalls.EPOLL_WAITS or all_asked) else None,
            )
        )

    def _on_burst(self, record: Any, life: _Life) -> None:
        name = syscalls.name_of(record.nr, self._arch)
        kernel = record.total - record.delay - record.preempted
        if kernel < 0 or sum(record.buckets) != record.count:
            self.unmatched["a run of calls doesn't add up"] += 1
        life.bursts += record.count
        life.add(
            Call(
                thread=record.thread,
                name=name,
                fd=_descriptor(name, record.fd),
                args=(record.fd,),
                enter=record.first,
                exit=record.last,
                result=record.ret,
                errno=_errno(name, record.ret),
                bytes=0,
                total=record.total,
                wait=0,
                sched_delay=record.delay,
                preempted=record.preempted,
                copy=0,
                kernel=kernel,
                preemptions=record.preemptions,
                count=record.count,
                histogram=record.buckets,
                longest=getattr(record, "longest", 1 << 63),
                polled=record.polled if self._polls else None,
                queued=record.queued if self._counts_queues else None,
                unqueued=record.unqueued if self._counts_queues else None,
            )
        )

    def thread(self, life: _Life) -> Thread:
        """A life's accounts; what does not add up is counted."""
        birth, end = life.birth, life.end
        single = sum(1 for one in life.calls if one.histogram is None)
        calls = single + life.bursts
        if end is None:
            self.unmatched["a thread without an end"] += 1
            stop = max([one.exit for one in life.calls], default=birth.start)
            end = records.LAYOUTS[Kind.EXIT].record(Kind.EXIT, birth.thread, stop, single, life.bursts, *[0] * 7, "")
        elif (end.calls, end.bursts) != (single, life.bursts):
            self.unmatched["calls of a thread are missing"] += 1
        outside = sum(one.wait for one in life.outside), sum(one.delay for one in life.outside)
        if len(life.outside) != end.sleeps or outside[0] != end.wait:
            self.unmatched["sleeps outside calls don't add up"] += 1
        inside = life.inside
        copy = getattr(end, "copy", 0)
        user = end.end - birth.start - inside["total"] - end.wait - end.delay - end.preempted - end.birth - copy
        worker = bool(getattr(birth, "worker", 0))
        if worker and user:
            self.unmatched["a worker of the kernel in user code"] += 1
        if user < 0:
            self.unmatched["a thread's calls exceed its life"] += 1
        return Thread(
            serial=birth.thread,
            tid=birth.ns_tid,
            pid=birth.ns_tgid,
            host_tid=birth.tid,
            name=life.name,
            parent=birth.parent,
            start=birth.start,
            end=end.end,
            user=user,
            wait=inside["wait"] + end.wait,
            sched_delay=inside["sched_delay"] + end.delay,
            preempted=inside["preempted"] + end.preempted,
            copy=inside["copy"] + copy,
            kernel=inside["kernel"] + end.birth,
            calls=calls,
            voluntary_switches=sum(len(one.sleeps) for one in life.calls) + end.sleeps,
            involuntary_switches=sum(one.preemptions for one in life.calls) + end.preemptions,
            ended=bool(life.end is not None and life.end.end < self._recording.meta["end"]),
            kernel_worker=worker,
            slept_on=slept_on(life.outside),
        )


def _errno(name: str, result: int) -> str | None:
    # rt_sigreturn "returns" whatever the interrupted code had in that register
    return syscalls.errno_name(result) if result < 0 and name != "rt_sigreturn" else None


def _of_nothing(sleep: Sleep) -> Sleep:
    """The call's first argument is no descriptor: what the kernel side found behind it means nothing."""
    return replace(sleep, object=None) if sleep.object else sleep


def _descriptor(name: str, argument: int) -> int | None:
    if name not in syscalls.ON_DESCRIPTOR:
        return None
    fd = argument & 0xFFFFFFFF
    return fd - (1 << 32) if fd >> 31 else fd


# -- messages ---------------------------------------------------------------------------------------------------------


@dataclass
class _Arriving:
    first: Call
    notified: int
    notified_by: str
    probed: int
    bytes: int = 0
    reads: int = 0
    arrivals: int = 0


def messages(calls: Sequence[Call]) -> Iterable[Message]:
    """The messages in the calls, in the order in which they were in hand.

    A message opens with the first read after the data became ready, and closes with the read that leaves the socket empty.
    The reading thread was told by the latest multiplexer's return before that read, if the data was ready by then; else by
    the reading call itself: at its start if the data lay there already, else when it ran again after the wake-up.
    """
    multiplexed: dict[int, Call] = {}
    arriving: dict[int, _Arriving] = {}
    for call in calls:
        if call.name in syscalls.MULTIPLEXERS and (call.result or 0) > 0:  # not, if a signal ended it
            multiplexed[call.thread] = call
        if call.socket is None or call.name not in syscalls.READS or call.bytes <= 0:
            continue
        one = arriving.get(call.socket)
        if one is None:
            if call.ready is None:
                continue  # nothing told of its arrival: it can't be timed
            one = arriving[call.socket] = _Arriving(call, *_notified(call, call.ready, multiplexed.get(call.thread)))
        one.bytes += call.bytes
        one.reads += 1
        one.arrivals += call.arrivals
        if call.drained:
            del arriving[call.socket]
            assert one.first.ready is not None
            yield Message(
                socket=call.socket,
                thread=call.thread,
                fd=call.fd if call.fd is not None else -1,
                ready=one.first.ready,
                notified=one.notified,
                probed=one.probed,
                notified_by=one.notified_by,
                read=one.first.enter,
                copied=call.copied or call.exit,
                returned=call.exit,
                bytes=one.bytes,
                reads=one.reads,
                arrivals=one.arrivals,
            )


def _returned(message: Message) -> int:
    return message.returned


def _within(calls: Sequence[Call], taken: Sequence[SocketCopy]) -> Iterable[tuple[SocketCopy, Call | None, Call | None]]:
    """What was taken, each with the recvmmsg that took it, if one did, and the multiplexer that returned before that."""
    own: dict[int, list[Call]] = collections.defaultdict(list)
    for call in calls:
        if call.name == "recvmmsg" or (call.name in syscalls.MULTIPLEXERS and (call.result or 0) > 0):
            own[call.thread].append(call)
    for one in taken:
        candidates = own[one.thread]
        at = bisect.bisect_right(candidates, one.copied, key=lambda call: call.enter) - 1
        if at >= 0 and candidates[at].name == "recvmmsg" and one.copied <= candidates[at].exit:
            before = next((call for call in candidates[at::-1] if call.name != "recvmmsg"), None)
            yield one, candidates[at], before
        else:
            yield one, None, None


def batches(calls: Sequence[Call], taken: Sequence[SocketCopy]) -> Iterable[Message]:
    """The messages that recvmmsg took, many by one call: each is told of, and in hand, when the call is."""
    for one, call, multiplexer in _within(calls, taken):
        if call is None or one.ready is None or not one.drained or not one.bytes:
            continue
        notified, notified_by, probed = _notified(call, one.ready, multiplexer)
        yield Message(
            socket=one.socket,
            thread=one.thread,
            fd=call.fd if call.fd is not None else -1,
            ready=one.ready,
            notified=notified,
            notified_by=notified_by,
            probed=probed,
            read=call.enter,
            copied=one.copied,
            returned=call.exit,
            bytes=one.bytes,
            reads=1,
            arrivals=one.arrivals,
        )


_GETEVENTS = 1  # IORING_ENTER_GETEVENTS
_COMPLETES = {"io_uring_enter", "io_getevents", "io_pgetevents", "rt_sigtimedwait"}


def completions(
    calls: Sequence[Call], taken: Sequence[SocketCopy], families: Mapping[int, tuple[int, int]]
) -> Iterable[Message]:
    """The messages that no reading call took: told of is their completion, when the data is in the buffer already.

    Told by the next return, after the copy, of a call that hands out completions: of the thread that took it (a worker of the
    kernel takes for the thread that made it), or if that never waits for any, of any in its process. `families`: for each
    thread the one that it works for, or 0, and its process.
    """
    # io_uring_enter tells how many requests it took, which is 0 where it only waited; of the others 0 is no completion
    returns: dict[tuple[str, int], list[tuple[int, str]]] = collections.defaultdict(list)
    for call in calls:
        if call.name in _COMPLETES and call.result is not None and call.result >= (call.name != "io_uring_enter"):
            if call.name != "io_uring_enter" or call.args[3] & _GETEVENTS:  # else it only hands in requests
                returns["thread", call.thread].append((call.exit, call.name))
            returns["process", families[call.thread][1]].append((call.exit, call.name))
    for ends in returns.values():
        ends.sort()
    arriving: dict[int, list[SocketCopy]] = collections.defaultdict(list)
    for one, batch, _ in _within(calls, taken):
        if batch is not None:
            continue
        parts = arriving[one.socket]
        parts.append(one)
        if not one.drained:
            continue
        del arriving[one.socket]
        ready = next((part.ready for part in parts if part.ready), None)
        works_for, process = families[one.thread]
        ends = returns.get(("thread", works_for or one.thread)) or returns.get(("process", process), [])
        at = bisect.bisect_left(ends, (one.copied, ""))
        if ready is None or at == len(ends):
            continue
        notified, name = ends[at]
        yield Message(
            socket=one.socket,
            thread=one.thread,
            fd=-1,
            ready=ready,
            notified=notified,
            notified_by=name,
            read=parts[0].started,
            copied=one.copied,
            returned=notified,
            bytes=sum(part.bytes for part in parts),
            reads=len(parts),
            arrivals=sum(part.arrivals for part in parts),
        )


def _notified(read: Call, ready: int, multiplexer: Call | None) -> tuple[int, str, int]:
    """When the thread was told, by which call, and how much of the time since `ready` was our own probe's."""
    if multiplexer is not None and ready <= multiplexer.exit <= read.enter:
        return multiplexer.exit, multiplexer.name, _probed(multiplexer, ready)
    if ready <= read.enter:
        return read.enter, read.name, 0
    awake = [sleep.on for sleep in read.sleeps if sleep.on >= ready]
    return (awake[0] if awake else ready), read.name, _probed(read, ready)


def _probed(call: Call, ready: int) -> int:
    return sum(min(sleep.probed, sleep.woken - ready) for sleep in call.sleeps if sleep.off <= ready < sleep.woken)


# -- the phase table ----------------------------------------------------------------------------------------------------


def percentiles(calls: Sequence[Call], *shares: float) -> tuple[list[int], Quality]:
    """The durations (ns) that these shares of the calls stay below or at; bounded where runs are known by buckets only."""
    if all(call.count == 1 for call in calls):
        ordered = sorted(call.total for call in calls)
        return [percentile_of(ordered, share) or 0 for share in shares], Quality.MEASURED
    weighted: list[tuple[int, int]] = []
    for call in calls:
        if call.histogram is None or call.count == 1:
            weighted.append((call.total, 1))
        else:
            weighted += [(min(_bucket_end(i), call.longest), n) for i, n in enumerate(call.histogram) if n]
    weighted.sort()
    whole, seen = sum(n for _, n in weighted), 0
    found: list[int] = []
    for duration, n in weighted:
        seen += n
        while len(found) < len(shares) and seen > shares[len(found)] * whole:
            found.append(duration)
    return found, Quality.BOUNDED


def _bucket_end(index: int) -> int:
    return records.bucket_floor(index + 1) if index + 1 < records.BURST_BUCKETS else 1 << 63


def percentile_of(ordered: Sequence[int], share: float) -> int | None:
    """The value that `share` of the sorted values stay below or at; None of nothing."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


def slept_on(sleeps: Iterable[Sleep]) -> tuple[SleptOn, ...]:
    """These sleeps by wait queue, the longest first."""
    queues: dict[str, list[Sleep]] = collections.defaultdict(list)
    for sleep in sleeps:
        queues[sleep.queue].append(sleep)
    rows = []
    for queue, group in queues.items():
        chains = collections.Counter(one.waker.words for one in group if one.waker)
        objects = {one.object for one in group}
        several = None if None in objects else len(objects)
        rows.append(SleptOn(queue, len(group), sum(one.wait for one in group), tuple(chains.most_common()), several))
    return tuple(sorted(rows, key=lambda row: -row.ns))


def table(calls: Sequence[Call], attached: Iterable[Probe]) -> tuple[CallRow, ...]:
    """One row per system call, the longest first."""
    probes = {one.name: one for one in attached}
    by_name: dict[str, list[Call]] = collections.defaultdict(list)
    for call in calls:
        by_name[call.name].append(call)
    rows = []
    for name, group in by_name.items():
        errors: collections.Counter[str] = collections.Counter()
        for call in group:
            if call.errno:
                errors[call.errno] += call.count
        (p50, p99), quality = percentiles(group, 0.5, 0.99)
        copy_quality, copy_reason = _copy_quality(group, probes["copy"], probes.get("datagram copy"))
        rows.append(
            CallRow(
                name=name,
                count=sum(one.count for one in group),
                errors=dict(errors.most_common()),
                bytes=sum(one.bytes for one in group),
                **{phase: sum(map(operator.attrgetter(phase), group)) for phase in PHASES},
                p50=p50,
                p99=p99,
                slept_on=slept_on(sleep for call in group for sleep in call.sleeps),
                copy_quality=copy_quality,
                copy_reason=copy_reason,
                p_quality=quality,
                polled=_sum(group, "polled"),
                queued=_sum(group, "queued"),
                unqueued=_sum(group, "unqueued"),
                copy_in_max=_median(group, "copy_in_max"),
                copy_out_max=_median(group, "copy_out_max"),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.total, row.name)))


def _sum(calls: Sequence[Call], counted: str) -> int | None:
    known = [number for number in map(operator.attrgetter(counted), calls) if number is not None]
    return sum(known) if known else None


def _median(calls: Sequence[Call], timed: str) -> int | None:
    return percentile_of(sorted(ns for ns in map(operator.attrgetter(timed), calls) if ns is not None), 0.5)


def _copy_quality(calls: Sequence[Call], probe: Probe, datagrams: Probe | None) -> tuple[Quality, str]:
    """A copy of 0 ns is a figure only where the call moves no data, or where a probe watched the copy of all that it moved."""
    name = calls[0].name
    seen = {bool(datagrams and call.linear) for call in calls if call.copied}
    if seen:
        unseen = sum(1 for call in calls if call.bytes and not call.copied)
        if unseen:
            return Quality.UNAVAILABLE, f"the copy of {unseen} of these calls is not bracketed: there it is part of kernel"
        used = {datagrams.quality if datagrams and linear else probe.quality for linear in seen}
        if datagrams and Quality.UNAVAILABLE in used:
            return Quality.UNAVAILABLE, datagrams.reason
        bounded = Quality.BOUNDED in used or any(call.late for call in calls)
        return (Quality.BOUNDED if bounded else Quality.MEASURED), ""
    if probe.attached is None:
        return Quality.UNAVAILABLE, probe.reason
    if name in syscalls.COPIES_NOTHING or (name in _MOVES and not any(call.bytes for call in calls)):
        return Quality.MEASURED, ""
    if name in syscalls.WRITES:
        return Quality.UNAVAILABLE, "no probe brackets the copy into the kernel: it is part of kernel"
    if name in syscalls.READS:
        return Quality.UNAVAILABLE, "no probe brackets the copy of this kind of file: it is part of kernel"
    return Quality.UNAVAILABLE, "no probe brackets what this call copies, arguments and answers: it is part of kernel"


def with_checks(result: Result, checks: Sequence[Any]) -> Result:
    """The result with a lab's verdicts."""
    return replace(result, checks=tuple(checks))
