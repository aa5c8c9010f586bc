"""A run as a trace for ui.perfetto.dev, written with Perfetto's own protos, which are loaded only here.

Tracks: each process and thread with its calls, and in these the sleeps, the waits for a CPU and the copies; a track of states
for each thread; a track for each socket with the moments at which data was ready; counters of what waits. Arrows (flows)
lead from what ended a sleep to the sleeper, and from the data to the call that read it. The same sleeps are in the trace as
events of the scheduler (reports/export/ftrace.py). commands/extras.py installs the protos.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from findings import spans
from findings.pictures.states import Since, State, in_order, states
from findings.view import Run
from probes.measure.result import Call, Message, Sleep, Thread
from probes.words import count, visible
from reports import wakers
from reports.export import ftrace
from reports.export.bits import is_id, moment, signed
from reports.export.ftrace import PRIORITY, SOFTIRQ, Switch, Waking
from runs.report import Report

_SEQUENCE = 1  # the writer's id: Perfetto keeps the state of each writer apart
_CLEARED = 1  # SEQ_INCREMENTAL_STATE_CLEARED: nothing came before
NOT_FOLLOWED = "interrupts and tasks that were not followed"
UNREAD = "messages unread in their sockets"
UNREAD_BYTES = "bytes unread in their sockets"
READY = "sockets with unread data"
LOST = "events lost"
WITHOUT_CPU = "threads woken, without a CPU"
_BATCH = 1_000  # packets that are written together


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a track: `kind` is a name of TrackEvent.Type. `starts` and `ends` are ids of arrows."""

    at: int
    track: int
    kind: str
    name: str = ""
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    notes: Mapping[str, int | str] = field(default_factory=dict)
    number: int | None = None  # of a counter


@dataclass(frozen=True, slots=True)
class Track:
    """One track. `process` and `thread` are ids of the kernel, by which the user interface groups tracks."""

    uuid: int
    name: str
    parent: int = 0
    process: int | None = None
    thread: int | None = None
    states: bool = False
    counter: bool = False


def write(report: Report, file: IO[bytes]) -> None:
    """Writes the trace."""
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    trace = _Trace(report)
    events = sorted(trace.events(), key=lambda event: (event.at, not event.starts))  # an arrow's start comes before its end
    items: list[Track | Event] = [*trace.tracks, *events]  # the events have made the last tracks
    lost = bool(report.result.events.lost)
    for first in range(0, len(items), _BATCH):
        batch = Trace()  # several of these messages, one after the other, are one trace: fields of one message may be apart
        for item in items[first : first + _BATCH]:
            _pack(batch.packet.add(trusted_packet_sequence_id=_SEQUENCE), item)
        if not first:
            batch.packet[0].sequence_flags = _CLEARED
            batch.packet[0].previous_packet_dropped = int(lost)
        file.write(batch.SerializeToString())
    for lane, switches in enumerate(trace.lanes()):
        for first in range(0, len(switches), _BATCH):
            batch = Trace()
            bundle = batch.packet.add(trusted_packet_sequence_id=_SEQUENCE).ftrace_events
            bundle.cpu, bundle.lost_events = lane, lost and not first
            for event in switches[first : first + _BATCH]:
                _pack_switch(bundle.event.add(timestamp=moment(event.at)), event)
            file.write(batch.SerializeToString())


def _pack_switch(packed: Any, event: Switch | Waking) -> None:
    if isinstance(event, Switch):
        packed.pid, found = event.before.tid, packed.sched_switch
        found.prev_comm, found.prev_pid, found.prev_state = event.before.name, event.before.tid, event.state
        found.next_comm, found.next_pid = event.after.name, event.after.tid
        found.prev_prio = found.next_prio = PRIORITY
        return
    packed.pid, packed.common_flags, found = event.by, SOFTIRQ if event.interrupt else 0, packed.sched_waking
    found.comm, found.pid, found.prio = event.task.name, event.task.tid, PRIORITY
    found.success, found.target_cpu = 1, event.lane


def _pack(packet: Any, item: Track | Event) -> None:
    if isinstance(item, Track):
        _describe(packet.track_descriptor, item)
    else:
        packet.timestamp = moment(item.at)
        _fill(packet.track_event, item)


def _describe(descriptor: Any, track: Track) -> None:
    descriptor.uuid = track.uuid
    if track.parent:
        descriptor.parent_uuid = track.parent
    if track.thread is not None:
        descriptor.thread.pid, descriptor.thread.tid = track.process, track.thread
        descriptor.thread.thread_name = visible(track.name)
    elif track.process is not None:
        descriptor.process.pid, descriptor.process.process_name = track.process, visible(track.name)
    else:
        descriptor.name = visible(track.name)
    if track.states:
        descriptor.state.SetInParent()
    if track.counter:
        descriptor.counter.SetInParent()


def _fill(event: Any, item: Event) -> None:
    event.type = event.Type.Value(f"TYPE_{item.kind}")
    event.track_uuid = item.track
    if item.name:
        event.name = visible(item.name)
    if item.number is not None:
        event.counter_value = item.number
    event.flow_ids.extend(item.starts)
    event.terminating_flow_ids.extend(item.ends)
    for name, value in item.notes.items():
        if isinstance(value, str):
            event.debug_annotations.add(name=name, string_value=visible(value))
        elif (number := signed(value)) is not None:
            event.debug_annotations.add(name=name, int_value=number)


class _Trace:
    """The tracks of a run, and its events."""

    def __init__(self, report: Report) -> None:
        self._report, self._result = report, report.result
        self._calls = Run(report.result).calls_of
        self._uuids, self._flows = itertools.count(1), itertools.count(1)
        self.tracks: list[Track] = []
        self._processes: dict[int, Track] = {}
        self._threads: dict[int, Track] = {}
        self._reads: dict[tuple[int, int], list[int]] = {}  # arrows to the calls of a thread by their start
        self._ids: set[tuple[int, int | None]] = set()
        for thread in self._result.threads:
            self._add_thread(thread)
        self._run = self._track("iolab")
        self._others = self._track(NOT_FOLLOWED)

    def _track(
        self,
        name: str,
        parent: int = 0,
        process: int | None = None,
        thread: int | None = None,
        states: bool = False,
        counter: bool = False,
    ) -> Track:
        known = is_id(process) and (thread is None or is_id(thread))
        if process is None or not known or (process, thread) in self._ids:  # the kernel used the id again: a track by name
            process = thread = None
        else:
            self._ids.add((process, thread))
        track = Track(next(self._uuids), name, parent, process, thread, states, counter)
        self.tracks.append(track)
        return track

    def _add_thread(self, thread: Thread) -> None:
        leader = self._report.identity.roles.process_of.get(thread.serial, thread.serial)
        if leader not in self._processes:
            first = next((other for other in self._report.whole.threads if other.serial == leader), thread)
            pid = first.host_tid if first.tid == first.pid else first.pid
            self._processes[leader] = self._track(first.name, process=pid)
        process = self._processes[leader]
        self._threads[thread.serial] = self._track(thread.name, process.uuid, process.process, thread.host_tid)

    def events(self) -> Iterator[Event]:
        """All events, thread by thread."""
        whole = self._whole
        yield from self._facts()
        yield from self._messages()
        if whole:
            yield from self._counters()
        for thread in self._result.threads:
            track = self._threads[thread.serial]
            calls = in_order(self._calls.get(thread.serial, ()))
            for call, end in calls:
                yield from self._call(call, end, track)
            if not thread.kernel_worker:
                of_states = self._track(f"state of {thread.name} {thread.tid}", track.uuid, states=True)
                yield from _states(states(thread, calls, whole), thread.end, of_states)

    @property
    def _whole(self) -> bool:
        """Was each call recorded, and is each of them shown?"""
        return self._result.details.complete and not self._report.part

    def _facts(self) -> Iterator[Event]:
        """What the trace has, what it leaves out, and what was lost. When an event was lost is not known."""
        details, events, at = self._result.details, self._result.events, self._report.begin
        facts = {"calls_recorded": details.recorded, "calls": details.of, "events_lost": events.lost}
        yield Event(at, self._run.uuid, "INSTANT", f"recording: {self._result.verdict}", notes=facts)
        if not self._whole:
            why = "the trace is a part of the run" if self._report.part else (
                f"{details.recorded:,} of {count(details.of, 'call')} were recorded one by one"
            )  # fmt: skip
            yield Event(at, self._run.uuid, "INSTANT", f"no counters and no switches of the scheduler: {why}")
        if events.lost or events.unmatched:
            words = f"{count(events.lost, 'event')} lost, {events.unmatched:,} unmatched: parts of this trace are missing"
            yield Event(at, self._run.uuid, "INSTANT", words, notes=events.reasons)
        track = self._track(LOST, counter=True)
        yield Event(at, track.uuid, "COUNTER", number=0)
        yield Event(max((thread.end for thread in self._report.whole.threads), default=at), track.uuid, "COUNTER",
                    number=events.lost)  # fmt: skip

    def lanes(self) -> list[list[Switch | Waking]]:
        """The switches of the scheduler, where each sleep was recorded."""
        if not self._whole:
            return []
        calls = {serial: in_order(calls) for serial, calls in self._calls.items()}
        return ftrace.lanes(self._result.threads, calls, self._report.where.causes.of)

    def _call(self, call: Call, end: int, track: Track) -> Iterator[Event]:
        """A call as a slice, with its parts in it."""
        arrows = tuple(self._reads.pop((call.thread, call.enter), ()))
        yield Event(call.enter, track.uuid, "SLICE_BEGIN", _title(call), ends=arrows, notes=_notes(call))
        begin = call.enter
        for sleep in call.sleeps:
            if sleep.on > end:
                break
            yield from self._sleep(sleep, track)
            begin = sleep.on
        if call.copied and call.copies == 1 and call.copy and begin <= call.copied - call.copy and call.copied <= end:
            yield Event(call.copied - call.copy, track.uuid, "SLICE_BEGIN", "copy (at most)" if call.late else "copy")
            yield Event(call.copied, track.uuid, "SLICE_END")
        yield Event(end, track.uuid, "SLICE_END")

    def _sleep(self, sleep: Sleep, track: Track) -> Iterator[Event]:
        """A sleep and the wait for a CPU, with the arrow from what ended the sleep."""
        arrow = next(self._flows)
        cause = self._report.where.causes.of(sleep)
        ended = wakers.words(cause, self._report.labels.waker)
        by = self._threads.get(cause.thread or 0, self._others)
        title = f"wakes {track.name}" if by is not self._others else ended
        chain = {"chain": sleep.waker.words} if sleep.waker else {}
        yield Event(sleep.off, track.uuid, "SLICE_BEGIN", f"asleep: {sleep.queue}", notes={"ended_by": ended})
        yield Event(sleep.woken, track.uuid, "SLICE_END")
        yield Event(sleep.woken, by.uuid, "INSTANT", title, starts=(arrow,), notes=chain)
        yield Event(sleep.woken, track.uuid, "SLICE_BEGIN", "run queue", ends=(arrow,))
        yield Event(sleep.on, track.uuid, "SLICE_END")

    def _counters(self) -> Iterator[Event]:
        """What was unread, and how many threads waited for a CPU after a sleep, at each moment of a whole run."""
        unread = [message for message in self._result.messages if message.ready < message.copied]
        sockets: dict[int, list[tuple[int, int]]] = {}
        for message in unread:
            sockets.setdefault(message.socket, []).append((message.ready, message.copied))
        woken = [(sleep.woken, sleep.on) for call in self._result.calls for sleep in call.sleeps]
        counters = {
            UNREAD: spans.at_once((message.ready, message.copied) for message in unread),
            UNREAD_BYTES: spans.sums((message.ready, message.copied, message.bytes) for message in unread),
            READY: spans.at_once(span for each in sockets.values() for span in spans.united(each)),
            WITHOUT_CPU: spans.at_once(span for span in woken if span[0] < span[1]),
        }
        for name, moments in counters.items():
            track = self._track(name, counter=True)
            for at, number in moments:
                yield Event(at, track.uuid, "COUNTER", number=number)

    def _messages(self) -> Iterator[Event]:
        """The moments at which data was ready, with arrows to the reads."""
        sockets: dict[int, Track] = {}
        starts = {(call.thread, call.enter) for call in self._result.calls}
        for message in self._result.messages:
            reader = self._threads[message.thread]
            if message.socket not in sockets:
                sockets[message.socket] = self._track(f"socket {message.socket}: data ready", reader.parent)
            arrow, key = next(self._flows), (message.thread, message.read)
            name = f"ready: {message.bytes} B for fd {message.fd}"
            yield Event(message.ready, sockets[message.socket].uuid, "INSTANT", name, starts=(arrow,), notes=_times(message))
            if message.read > message.ready and key in starts:
                self._reads.setdefault(key, []).append(arrow)
            else:  # the call began before its data was ready: an arrow can't lead back in time
                at = max(message.copied, message.ready)
                yield Event(at, reader.uuid, "INSTANT", f"copied: {message.bytes} B of fd {message.fd}", ends=(arrow,))


def _times(message: Message) -> dict[str, int | str]:
    return {
        "ready_to_notified_ns": message.ready_to_notified,
        "notified_to_copied_ns": message.notified_to_copied,
        "notified_by": message.notified_by,
    }


def _title(call: Call) -> str:
    ended = f" {call.errno}" if call.errno else "" if call.result is not None or call.count > 1 else " (did not return)"
    return call.name + (f", {call.count:,} times" if call.count > 1 else "") + ended


def _notes(call: Call) -> dict[str, int | str]:
    """The figures of a call; what is not known is left out."""
    every = {
        "fd": call.fd,
        "result": call.result,
        "bytes": call.bytes,
        "wait_ns": call.wait,
        "sched_delay_ns": call.sched_delay,
        "preempted_ns": call.preempted,
        "copy_ns": call.copy or None,
        "kernel_ns": call.kernel,
        "socket": call.socket,
    }
    return {name: value for name, value in every.items() if value is not None}


def _states(found: Iterable[Since], end: int, track: Track) -> Iterator[Event]:
    """State events: the name is the state, and an event without a name ends it."""
    for since in found:
        words = "" if since.state is State.NOT_KNOWN else f"{since.state}: {since.queue}" if since.queue else str(since.state)
        yield Event(since.at, track.uuid, "STATE", words)
    yield Event(end, track.uuid, "STATE")
