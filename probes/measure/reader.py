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
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
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
_CARRIED = int(SleepFlag.QUEUE_CARRIED | SleepFlag.WAKER_CARRIED)
_MOST_ARGUMENTS = 65536
CopyTimes = tuple[int | None, int | None]  # of descriptors in and of results out, ns
_FLAGS = {"recvfrom": 3, "recvmsg": 2}  # which argument holds them


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
        self._queues: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._arguments: dict[tuple[int, ...], tuple[int, ...]] = {}
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
        if record.flags & (SleepFlag.OPEN | SleepFlag.UNSEEN):
            return None
        key = (record.waker_stack, record.waker_comm, record.waker_tid)
        if key not in self._wakers:
            stack = of_waker(self._recording.stack(record.waker_stack))
            self._wakers[key] = Waker(record.waker_comm, record.waker_tid, wake_chain(stack), stack)
        return self._wakers[key]

    def _on_sleep(self, record: Any, life: Life) -> None:
        queue, stack = self.queue(record.stack)
        sleep = Sleep(record.off, record.woken, record.on, queue, stack, self._waker(record), record.probed)
        if record.flags & _CARRIED:
            walked, waker_walked = not record.flags & SleepFlag.QUEUE_CARRIED, not record.flags & SleepFlag.WAKER_CARRIED
            sleep = replace(sleep, walked=walked, waker_walked=waker_walked)
        if queue in OF_THE_OBJECT and (ordinal := getattr(record, "object", 0)):
            sleep = replace(sleep, object=ordinal)
        (life.outside if record.flags & SleepFlag.OUTSIDE else life.sleeps).append(sleep)

    def _on_call(self, record: Any, life: Life) -> None:
        name = syscalls.name_of(record.nr, self._arch)
        fd = _descriptor(name, record.args[0])
        if record.exit - record.enter < record.wait + record.delay + record.preempted + record.copy:
            self.unmatched["a call's phases exceed it"] += 1
        call = self._call(record, name, fd, self._sleeps(record, life, fd), self._copy_times(record, name))
        if call.refused:
            call.answered_by = _answered_by(record, life)
        life.add(call)

    def _call(self, record: Any, name: str, fd: int | None, sleeps: tuple[Sleep, ...], copies: CopyTimes) -> Call:
        result = None if record.flags & _UNFINISHED else record.ret
        total = record.exit - record.enter
        return Call(
            thread=record.thread,
            name=name,
            fd=fd,
            args=self._shared(record.args),
            enter=record.enter,
            exit=record.exit,
            result=result,
            errno=None if result is None else _errno(name, result),
            bytes=result if result and result > 0 and name in syscalls.MOVES_BYTES and not _peeks(record, name) else 0,
            total=total,
            wait=record.wait,
            sched_delay=record.delay,
            preempted=record.preempted,
            copy=record.copy,
            kernel=total - record.wait - record.delay - record.preempted - record.copy,
            copied=record.copied or None,
            sleeps=sleeps,
            preemptions=record.preemptions,
            open=bool(record.flags & _OPEN),
            refused=bool(record.flags & _REFUSED),
            socket=record.socket or None,
            ready=record.ready or None,
            latest=getattr(record, "latest", 0) or None,
            arrivals=record.arrivals,
            drained=bool(record.flags & _DRAINED),
            unread=record.unread,
            linear=bool(record.flags & _LINEAR),
            late=bool(record.flags & _LATE),
            copies=record.copies,
            polled=record.polled if self._polls else None,
            queued=record.queued if self._counts_queues else None,
            unqueued=record.unqueued if self._counts_queues else None,
            copy_in_max=copies[0],
            copy_out_max=copies[1],
            descriptor=self._file(getattr(record, "release", 0), getattr(record, "socket_kind", 0)),
        )

    def _shared(self, args: tuple[int, ...]) -> tuple[int, ...]:
        """Equal arguments as one tuple, which saves a fifth of the memory where many calls have the same."""
        if len(self._arguments) < _MOST_ARGUMENTS:
            return self._arguments.setdefault(args, args)
        return self._arguments.get(args, args)

    def _file(self, release: int, kind: int) -> Descriptor | None:
        """What kind of file a descriptor was; None: not known."""
        if (release, kind) not in self._files:
            self._files[release, kind] = descriptor_of(self._recording.stack(release), kind) if release else None
        return self._files[release, kind]

    def _sleeps(self, record: Any, life: Life, fd: int | None) -> tuple[Sleep, ...]:
        """The sleeps of a call, whose records came before the record of the call."""
        if not record.sleeps and not life.sleeps:
            return ()
        sleeps = tuple(life.sleeps if fd is not None else map(_of_nothing, life.sleeps))
        life.sleeps = []
        asleep = sum(sleep.wait for sleep in sleeps), sum(sleep.delay for sleep in sleeps)
        if len(sleeps) != record.sleeps or asleep != (record.wait, record.delay):
            self.unmatched["a call's sleeps don't add up"] += 1
        return sleeps

    def _copy_times(self, record: Any, name: str) -> CopyTimes:
        """Upper bounds (ns) for copying in a multiplexer's descriptors and for copying out its results; None: not known.

        epoll_wait copies in no descriptors. It polls the descriptors on its ready list one by one and copies out each result at
        once (fs/eventpoll.c: ep_send_events). The probes count the polls of sockets, pipes and eventfds: if epoll_wait returned
        more results than that, it may have copied out some before the first poll that was counted.
        """
        if not self._times_copies or not record.polled or record.flags & _UNFINISHED or name not in syscalls.MULTIPLEXERS:
            return None, None
        if name not in syscalls.EPOLL_WAITS:
            return record.copy_in_max, record.copy_out_max
        return None, record.copy_out_max if record.ret <= record.polled else None

    def _on_burst(self, record: Any, life: Life) -> None:
        name = syscalls.name_of(record.nr, self._arch)
        kernel = record.total - record.delay - record.preempted
        if kernel < 0 or sum(record.buckets) != record.count:
            self.unmatched["a burst of calls doesn't add up"] += 1
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
            **{phase: life.inside[phase] for phase in ("total", "wait", "sched_delay", "preempted", "copy")},
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


def _peeks(record: Any, name: str) -> bool:
    """Does the call read with MSG_PEEK? Then the data stays in the socket, and a later call reads it."""
    return name in _FLAGS and bool(record.args[_FLAGS[name]] & socket.MSG_PEEK)


def _errno(name: str, result: int) -> str | None:
    # the result of rt_sigreturn is the interrupted code's value of that register
    return syscalls.errno_name(result) if result < 0 and name != "rt_sigreturn" else None


def _of_nothing(sleep: Sleep) -> Sleep:
    """The sleep without its object: the call has no descriptor, so the kernel side read the object from another argument."""
    return replace(sleep, object=None) if sleep.object else sleep


def _descriptor(name: str, argument: int) -> int | None:
    if name not in syscalls.ON_DESCRIPTOR:
        return None
    fd = argument & 0xFFFFFFFF
    return fd - (1 << 32) if fd >> 31 else fd
