"""From records to lives: the calls, sleeps and accounts of each followed thread, and what in them does not add up.

The laws, held against every recording. Whatever breaks a law is counted as unmatched, and makes a verdict inconclusive:
  call     total == wait + sched_delay + preempted + copy + kernel, none negative
  sleeps   the sleeps of a call add up to its wait and its sched_delay, and are as many as the kernel side counted
  thread   wall == user + wait + sched_delay + preempted + copy + kernel, none negative
  records  as many calls came as the kernel side wrote
sums.py has the laws of the sums.
"""

from __future__ import annotations

import collections
import functools
import operator
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from probes.kernel import records, syscalls
from probes.kernel.records import CallFlag, Kind, SleepFlag
from probes.measure.cut import Inside, end_of, inside_of
from probes.measure.frames import of_waker, own
from probes.measure.life import Life
from probes.measure.queues import OF_THE_OBJECT, Queue, queue_name
from probes.measure.result import AnsweredBy, Call, Ending, ReadyListEvent, Sleep, SocketCopy, Thread
from probes.measure.rows import Descriptor
from probes.measure.sockets import SocketReader
from probes.measure.sums import SumReader, descriptor_of
from probes.measure.table import slept_on, slept_on_by_sums
from probes.measure.wakers import Waker, wake_chain
from probes.recording import Recording

_UNFINISHED, _OPEN = int(CallFlag.NO_RETURN | CallFlag.OPEN), int(CallFlag.OPEN)
_REFUSED = int(CallFlag.REFUSED | CallFlag.EMULATED | CallFlag.KILLED)
_DRAINED, _LINEAR, _LATE = int(CallFlag.DRAINED), int(CallFlag.LINEAR), int(CallFlag.COPY_LATE)
# As int: combining two flags of an enum takes longer than all other work for a sleep.
_QUEUE_CARRIED, _WAKER_CARRIED = int(SleepFlag.QUEUE_CARRIED), int(SleepFlag.WAKER_CARRIED)
_OUTSIDE, _NO_WAKER, _PEEK = int(SleepFlag.OUTSIDE), int(SleepFlag.OPEN | SleepFlag.UNSEEN), int(socket.MSG_PEEK)
_PHASES = {name: operator.attrgetter(name) for name in ("total", "wait", "sched_delay", "preempted", "copy")}
_MOST_ARGUMENTS = 65536
CopyTimes = tuple[int | None, int | None]  # of descriptors in and of results out, ns
_FLAGS = {"recvfrom": 3, "recvmsg": 2}  # which argument holds them


@dataclass(frozen=True, slots=True)
class _Facts:
    """What all calls with one system call number have in common. `polls`: it is a multiplexer."""

    name: str
    on_descriptor: bool
    moves_bytes: bool
    polls: bool
    flags_at: int | None  # which argument of a read has MSG_ flags

    @staticmethod
    def of(name: str) -> _Facts:
        """The facts of the call of this name."""
        return _Facts(
            name,
            on_descriptor=name in syscalls.ON_DESCRIPTOR,
            moves_bytes=name in syscalls.MOVES_BYTES,
            polls=name in syscalls.MULTIPLEXERS,
            flags_at=_FLAGS.get(name),
        )

    def errno(self, result: int) -> str | None:
        """The name of the error. The result of rt_sigreturn is the interrupted code's value of that register, so no error."""
        return None if self.name == "rt_sigreturn" else _errno_name(result)

    def peeks(self, args: tuple[int, ...]) -> bool:
        """Does the call read with MSG_PEEK? Then the data stays in the socket, and a later call reads it."""
        return self.flags_at is not None and bool(args[self.flags_at] & _PEEK)


_errno_name = functools.cache(syscalls.errno_name)


def _pass(_record: Any, _life: Life) -> None:
    """What is no call and no sleep."""


class Reader:
    """Reads the records of one recording. `unmatched` counts what breaks a law, by reason."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._arch = recording.machine.arch
        self._layouts = recording.layouts
        self._lives: dict[int, Life] = {}
        attached = {probe.name for probe in recording.probes if probe.attached}
        self._polls, self._counts_queues = "poll methods" in attached, "wait queues" in attached
        known = {name for name, _, _ in self._layouts[Kind.CALL].fields}
        self._times_copies = self._polls and self._counts_queues and "copy_in_max" in known
        self.lists = "epoll's callback" in attached
        self._wakers: dict[tuple[int, str, int], Waker] = {}
        self._chains: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._queues: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._arguments: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._facts: dict[int, _Facts] = {}
        self._files: dict[tuple[int, int], Descriptor | None] = {}
        self.unmatched: collections.Counter[str] = collections.Counter()
        self.sums = SumReader(self._arch, recording.stack)
        self.sockets = SocketReader()

    def read(self) -> list[Life]:
        """The life of each followed thread, in the order of their first records."""
        handlers = self._handlers()
        whole = {
            int(Kind.THREAD): self._on_thread,
            int(Kind.SUM): self.sums.on_sum,
            int(Kind.SLEEP_SUM): self.sums.on_sleep_sum,
            int(Kind.OTHERS): self.sums.on_others,
            int(Kind.SOCKET): self.sockets.on_socket,
            int(Kind.SOCKET_END): self.sockets.on_end,
        }
        for record in records.decode(self._recording.data, self._layouts):
            life = self._lives.get(record.thread)
            if record.kind in whole:
                whole[record.kind](record)
            elif life is None:
                self.unmatched["record of an unknown thread"] += 1
            else:
                handlers[record.kind](record, life)
        return list(self._lives.values())

    def follow(self, data: bytes) -> Iterator[tuple[Any, Life | None]]:
        """The same for records as they come, while the program runs: each with its thread's life. Calls and sleeps are not kept
        in the lives: a call has just been added (`Life.calls`) when its record comes out here.
        """
        handlers = self._handlers() | {int(Kind.SOCKET_COPY): _pass, int(Kind.READY_LIST): _pass}
        for record in records.decode(data, self._layouts):
            if record.kind == Kind.THREAD:
                self._on_thread(record)
            life = self._lives.get(record.thread)
            if life and (handle := handlers.get(record.kind)):
                handle(record, life)
            yield record, life
            self.sockets.names.clear()
            self.sockets.ends.clear()
            if life:
                if life.calls:  # the sleeps before a call may say what answered it
                    life.outside.clear()
                life.calls.clear()

    def follow_moment(self, data: bytes) -> Iterator[tuple[Any, Call | None]]:
        """The records of one moment; with each open burst, its calls so far."""
        for record in records.decode(data, self._layouts):
            life = Life(record, "")
            if record.kind == Kind.BURST:
                self._on_burst(record, life)
            yield record, life.calls[0] if life.calls else None

    def name(self, number: int) -> str:
        """The name of a call of the machine of the recording."""
        return syscalls.name_of(number, self._arch)

    def _handlers(self) -> dict[int, Callable[[Any, Life], None]]:
        return {
            int(Kind.CALL): self._on_call,
            int(Kind.BURST): self._on_burst,
            int(Kind.SLEEP): self._on_sleep,
            int(Kind.SOCKET_COPY): self._on_socket_copy,
            int(Kind.READY_LIST): self._on_ready_list,
            int(Kind.EXEC): self._on_exec,
            int(Kind.NAME): self._on_name,
            int(Kind.EXIT): self._on_exit,
            int(Kind.STATE): self._on_state,
        }

    def _on_thread(self, record: Any) -> None:
        parent = self._lives.get(record.parent)
        self._lives[record.thread] = Life(record, record.comm or (parent.name if parent else ""))

    def _on_socket_copy(self, record: Any, life: Life) -> None:
        life.socket_copies.append(
            SocketCopy(
                thread=record.thread,
                socket=record.socket,
                ready=record.ready or None,
                started=record.started,
                copied=record.copied,
                bytes=record.bytes,
                arrivals=record.arrivals,
                drained=not record.unread,
                latest=getattr(record, "latest", 0) or None,
            )
        )

    def _on_ready_list(self, record: Any, life: Life) -> None:
        life.listed.append(ReadyListEvent(record.thread, record.ready or None, record.at))

    def _on_exec(self, record: Any, life: Life) -> None:
        life.name = record.comm
        if tid := getattr(record, "ns_tid", 0):  # an exec by another thread gives it the leader's id (fs/exec.c: de_thread)
            life.birth = life.birth._replace(ns_tid=tid)

    def _on_name(self, record: Any, life: Life) -> None:
        life.name = record.comm

    def _on_exit(self, record: Any, life: Life) -> None:
        life.end = record
        life.name = record.comm or life.name

    def _on_state(self, record: Any, life: Life) -> None:
        life.state = record

    def queue(self, number: int) -> tuple[str, tuple[str, ...]]:
        """The name of the wait queue that a stack leads to, and the stack."""
        if number not in self._queues:
            stack = own(self._recording.stack(number))
            self._queues[number] = (queue_name(stack), stack)
        return self._queues[number]

    def _waker(self, record: Any) -> Waker | None:
        if record.flags & _NO_WAKER:
            return None
        key = (record.waker_stack, record.waker_comm, record.waker_tid)
        waker = self._wakers.get(key)
        if waker is None:
            chain, stack = self._chain(record.waker_stack)
            waker = self._wakers[key] = Waker(record.waker_comm, record.waker_tid, chain, stack)
        return waker

    def _chain(self, number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The way from the cause to the thread that a waker's stack shows, and the stack."""
        if number not in self._chains:
            stack = of_waker(self._recording.stack(number))
            self._chains[number] = (wake_chain(stack), stack)
        return self._chains[number]

    def _on_sleep(self, record: Any, life: Life) -> None:
        queue, stack = self.queue(record.stack)
        flags, ordinal = record.flags, getattr(record, "object", 0) if queue in OF_THE_OBJECT else 0
        walked, waker_walked = not flags & _QUEUE_CARRIED, not flags & _WAKER_CARRIED
        waker = self._waker(record)
        sleep = Sleep(
            record.off, record.woken, record.on, queue, stack, waker, record.probed, walked, waker_walked, ordinal or None
        )
        (life.outside if flags & _OUTSIDE else life.sleeps).append(sleep)

    def _on_call(self, record: Any, life: Life) -> None:
        facts = self._facts.get(record.nr) or self._facts_of(record.nr)
        fd = _descriptor(record.args[0]) if facts.on_descriptor else None
        call = self._call(record, facts, fd)
        if call.kernel < 0:
            self.unmatched["a call's phases exceed it"] += 1
        if record.sleeps or life.sleeps:
            call.sleeps = self._sleeps(record, life, fd)
        if facts.polls and record.polled and self._times_copies and call.result is not None:
            call.copy_in_max, call.copy_out_max = _copy_times(record, facts.name)
        if record.flags & _REFUSED:
            call.refused, call.answered_by = True, _answered_by(record, life)
        life.calls.append(call)

    def _facts_of(self, number: int) -> _Facts:
        facts = self._facts[number] = _Facts.of(syscalls.name_of(number, self._arch))
        return facts

    def _call(self, record: Any, facts: _Facts, fd: int | None) -> Call:
        """The call without its sleeps. The values that every call has are passed by position: building a call of 36 fields
        by their names takes 6 us, and this takes 2 us.
        """
        enter, leave, flags = record.enter, record.exit, record.flags
        wait, delay, preempted, copy = record.wait, record.delay, record.preempted, record.copy
        total, result = leave - enter, None if flags & _UNFINISHED else record.ret
        error, size = None, 0
        if result is not None:
            if result < 0:
                error = facts.errno(result)
            elif result and facts.moves_bytes and not facts.peeks(record.args):
                size = result
        kernel = total - wait - delay - preempted - copy
        call = Call(
            record.thread, facts.name, fd, self._shared(record.args), enter, leave, result, error, size,
            total, wait, delay, preempted, copy, kernel,
        )  # fmt: skip
        if flags:
            call.open, call.drained = bool(flags & _OPEN), bool(flags & _DRAINED)
            call.linear, call.late = bool(flags & _LINEAR), bool(flags & _LATE)
        if record.socket or record.copies or record.copied or record.ready or record.unread:
            self._add_copies(call, record)
        call.preemptions = record.preemptions
        call.descriptor = self._file(getattr(record, "release", 0), getattr(record, "socket_kind", 0))
        if self._polls:
            call.polled = record.polled
        if self._counts_queues:
            call.queued, call.unqueued = record.queued, record.unqueued
        return call

    @staticmethod
    def _add_copies(call: Call, record: Any) -> None:
        """What the call read, and what it left in the socket."""
        call.copied, call.copies = record.copied or None, record.copies
        call.socket, call.ready, call.arrivals = record.socket or None, record.ready or None, record.arrivals
        call.latest, call.unread = getattr(record, "latest", 0) or None, record.unread

    def _shared(self, args: tuple[int, ...]) -> tuple[int, ...]:
        """Equal arguments as one tuple, which saves a fifth of the memory where many calls have the same."""
        if len(self._arguments) < _MOST_ARGUMENTS:
            return self._arguments.setdefault(args, args)
        return self._arguments.get(args, args)

    def _file(self, release: int, kind: int) -> Descriptor | None:
        """What kind of file a descriptor was; None: not known."""
        if not release:
            return None
        key = (release, kind)
        if key not in self._files:
            self._files[key] = descriptor_of(self._recording.stack(release), kind)
        return self._files[key]

    def _sleeps(self, record: Any, life: Life, fd: int | None) -> tuple[Sleep, ...]:
        """The sleeps of a call, whose records came before the record of the call."""
        sleeps = tuple(life.sleeps if fd is not None else map(_of_nothing, life.sleeps))
        life.sleeps = []
        asleep = sum(sleep.wait for sleep in sleeps), sum(sleep.delay for sleep in sleeps)
        if len(sleeps) != record.sleeps or asleep != (record.wait, record.delay):
            self.unmatched["a call's sleeps don't add up"] += 1
        return sleeps

    def _on_burst(self, record: Any, life: Life) -> None:
        facts = self._facts.get(record.nr) or self._facts_of(record.nr)
        kernel = record.total - record.delay - record.preempted
        if kernel < 0 or sum(record.buckets) != record.count:
            self.unmatched["a burst of calls doesn't add up"] += 1
        life.bursts += record.count
        life.calls.append(
            Call(
                thread=record.thread,
                name=facts.name,
                fd=_descriptor(record.fd) if facts.on_descriptor else None,
                args=(record.fd,),
                enter=record.first,
                exit=record.last,
                result=record.ret,
                errno=facts.errno(record.ret),
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
                descriptor=self._file(getattr(record, "release", 0), getattr(record, "socket", 0)),
                polled=record.polled if self._polls else None,
                queued=record.queued if self._counts_queues else None,
                unqueued=record.unqueued if self._counts_queues else None,
            )
        )

    def thread(self, life: Life) -> Thread:
        """A life's accounts; what does not add up is counted."""
        birth, single = life.birth, sum(1 for call in life.calls if call.histogram is None)
        end = self._end(life, single)
        inside = self._inside(life, end, single)
        outside = self.sums.outside(birth.thread)
        copy = getattr(end, "copy", 0)
        user = end.end - birth.start - inside.total - end.wait - end.delay - end.preempted - end.birth - copy
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
            wait=inside.wait + end.wait,
            sched_delay=inside.sched_delay + end.delay,
            preempted=inside.preempted + end.preempted,
            copy=inside.copy + copy,
            kernel=inside.total - inside.wait - inside.sched_delay - inside.preempted - inside.copy + end.birth,
            calls=inside.calls,
            voluntary_switches=inside.sleeps + end.sleeps,
            involuntary_switches=inside.preemptions + end.preemptions,
            ended=bool(life.end is not None and life.end.end < self._recording.end),
            kernel_worker=worker,
            slept_on=slept_on_by_sums(outside) if outside and len(life.outside) < end.sleeps else slept_on(life.outside),
            ended_by=ending_of(end),
        )

    def _inside(self, life: Life, end: Any, single: int) -> Inside:
        """The thread's figures inside calls. Where each call was reported, the sums must be those of the calls."""
        read = Inside(
            calls=single + life.bursts,
            **{name: sum(map(phase, life.calls)) for name, phase in _PHASES.items()},
            sleeps=sum(len(call.sleeps) for call in life.calls),
            preemptions=sum(call.preemptions for call in life.calls),
        )
        if life.end is None:
            summed = inside_of(self.sums.of_thread(life.birth.thread))
            return max(read, summed, key=lambda figures: figures.calls)  # a recording that was cut off
        if not hasattr(end, "made"):
            return read
        summed = Inside(
            end.made, end.in_total, end.in_wait, end.in_delay, end.in_preempted, end.in_copy, end.in_sleeps, end.in_preemptions
        )
        if read.calls > summed.calls or (read.calls == summed.calls and read != summed):
            self.unmatched["a thread's calls don't add up to its sums"] += 1
        return summed

    def _end(self, life: Life, single: int) -> Any:
        """The record of the thread's end, held against its calls (`single` without bursts) and its sleeps outside of calls.

        If the record is missing, the thread ends with its last call, or with the last moment that sums are of (cut.py).
        """
        end = life.end
        if end is None:
            self.unmatched["a thread without an end"] += 1
            end = end_of(life.state, self.sums.of_thread(life.birth.thread), life)
        elif (end.calls, end.bursts) != (single, life.bursts):
            self.unmatched["calls of a thread are missing"] += 1
        reported = (end.reported, end.reported_wait) if hasattr(end, "reported") else (end.sleeps, end.wait)
        if life.end is not None and (len(life.outside), sum(sleep.wait for sleep in life.outside)) != reported:
            self.unmatched["sleeps outside calls don't add up"] += 1
        return end


def ending_of(end: Any) -> Ending | None:
    """How the thread ended, from the status that wait4 gives (wait(2)): the signal in 7 bits, the status above 8."""
    if getattr(end, "alive", 1):
        return None
    return Ending(end.status >> 8 & 255, end.status & 127, bool(end.status & 128))


def _answered_by(record: Any, life: Life) -> AnsweredBy:
    """What answered a call that never began.

    A thread sleeps until its supervisor has answered (kernel/seccomp.c, seccomp_do_user_notification).
    """
    if record.flags & CallFlag.KILLED:
        return AnsweredBy.SIGNAL
    if record.flags & CallFlag.EMULATED:
        return AnsweredBy.TRACER
    before = life.calls[-1].exit if life.calls else life.birth.start
    slept = life.outside[-1] if life.outside else None
    waited = slept is not None and slept.queue == Queue.SUPERVISOR and slept.off >= before
    return AnsweredBy.SUPERVISOR if waited else AnsweredBy.FILTER


def _copy_times(record: Any, name: str) -> CopyTimes:
    """Upper bounds (ns) for copying in a multiplexer's descriptors and for copying out its results; None: not known.

    epoll_wait copies in no descriptors. It polls the descriptors on its ready list one by one and copies out each result at
    once (fs/eventpoll.c: ep_send_events). The probes count the polls of sockets, pipes and eventfds: if epoll_wait returned
    more results than that, it may have copied out some before the first poll that was counted.
    """
    if name not in syscalls.EPOLL_WAITS:
        return record.copy_in_max, record.copy_out_max
    return None, record.copy_out_max if record.ret <= record.polled else None


def _of_nothing(sleep: Sleep) -> Sleep:
    """The sleep without its object: the call has no descriptor, so the kernel side read the object from another argument."""
    return replace(sleep, object=None) if sleep.object else sleep


def _descriptor(argument: int) -> int:
    fd = argument & 0xFFFFFFFF
    return fd - (1 << 32) if fd >> 31 else fd
