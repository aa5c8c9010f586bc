"""Traces for Perfetto, decoded again with its own protos: tracks, nested slices, states, arrows."""

from __future__ import annotations

import collections
import dataclasses
import importlib.util
import io
import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from commands import extras
from probes.recording import load
from reports.export import ftrace, perfetto
from runs.lab import measure_and_check
from runs.report import Report, report
from tests.conftest import DATA, cannot

NAMES = ["threads", "lock_in_loop", "io_uring", "budget", "processes"]


@pytest.fixture(autouse=True)
def _protos() -> None:
    if importlib.util.find_spec("perfetto") is None:
        cannot("Perfetto's protos are missing", f"pip install --no-deps {' '.join(extras.PERFETTO.pins)}")


def loaded(name: str) -> Report:
    return report(measure_and_check(load(DATA / f"{name}.iolab")))


class Decoded:
    """A trace, read again."""

    def __init__(self, of: Report) -> None:
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

        file = io.BytesIO()
        perfetto.write(of, file)
        self.packets: list[Any] = list(Trace.FromString(file.getvalue()).packet)
        self.types = TrackEvent.Type
        self.tracks = {packet.track_descriptor.uuid: packet.track_descriptor for packet in self.packets
                       if packet.HasField("track_descriptor")}  # fmt: skip

    def events(self, kind: str) -> list[tuple[int, Any]]:
        return [(packet.timestamp, packet.track_event) for packet in self.packets
                if packet.HasField("track_event") and packet.track_event.type == self.types.Value(f"TYPE_{kind}")]  # fmt: skip

    def counters(self) -> dict[str, list[int]]:
        """The values of each counter, in order."""
        names = {track.uuid: track.name for track in self.tracks.values() if track.HasField("counter")}
        values: dict[str, list[int]] = {}
        for _, event in self.events("COUNTER"):
            values.setdefault(names[event.track_uuid], []).append(event.counter_value)
        return values

    def switches(self) -> dict[int, list[Any]]:
        """The events of the scheduler by lane."""
        lanes: dict[int, list[Any]] = {}
        for packet in self.packets:
            if packet.HasField("ftrace_events"):
                lanes.setdefault(packet.ftrace_events.cpu, []).extend(packet.ftrace_events.event)
        return lanes

    def slices(self) -> list[tuple[int, str, int, int, int]]:
        """Track, name, begin, end and depth of each slice. Fails where slices are not nested."""
        begin, end = self.types.Value("TYPE_SLICE_BEGIN"), self.types.Value("TYPE_SLICE_END")
        open_: dict[int, list[tuple[str, int]]] = collections.defaultdict(list)
        found = []
        for packet in self.packets:
            event = packet.track_event
            if event.type == begin:
                open_[event.track_uuid].append((event.name, packet.timestamp))
            elif event.type == end:
                name, at = open_[event.track_uuid].pop()
                found.append((event.track_uuid, name, at, packet.timestamp, len(open_[event.track_uuid])))
        assert not any(open_.values())  # a slice without an end would be drawn to the end of the trace
        return found


@pytest.mark.parametrize("name", NAMES)
def test_each_call_is_a_slice_with_its_sleeps_in_it(name: str) -> None:
    of = loaded(name)
    trace = Decoded(of)
    slices = trace.slices()
    assert sum(depth == 0 for *_, depth in slices) == len(of.result.calls)
    asleep = [end - at for _, name, at, end, depth in slices if name.startswith("asleep: ") and depth == 1]
    assert sum(asleep) == sum(sleep.wait for call in of.result.calls for sleep in call.sleeps)
    times = [packet.timestamp for packet in trace.packets if packet.HasField("track_event")]
    assert times == sorted(times)


@pytest.mark.parametrize("name", NAMES)
def test_each_thread_has_a_track_in_its_process_and_a_track_of_states(name: str) -> None:
    of = loaded(name)
    trace = Decoded(of)
    threads = [track for track in trace.tracks.values() if track.HasField("thread")]
    assert sorted(track.thread.tid for track in threads) == sorted(thread.host_tid for thread in of.result.threads)
    assert all(trace.tracks[track.parent_uuid].process.pid == track.thread.pid for track in threads)
    of_states = {track.uuid: track for track in trace.tracks.values() if track.HasField("state")}
    assert len(of_states) == sum(not thread.kernel_worker for thread in of.result.threads)
    last = {}
    for _, event in trace.events("STATE"):
        last[event.track_uuid] = event.name
    assert last == dict.fromkeys(of_states, "")  # each thread's states end with the thread


def test_the_states_are_the_phases_of_the_thread() -> None:
    of = loaded("threads")
    trace = Decoded(of)
    spent: collections.Counter[str] = collections.Counter()
    now: dict[int, tuple[int, str]] = {}
    for at, event in trace.events("STATE"):
        began, state = now.get(event.track_uuid, (at, ""))
        spent[state.partition(":")[0]] += at - began
        now[event.track_uuid] = at, event.name
    sleeps = [sleep for call in of.result.calls for sleep in call.sleeps]
    assert spent["asleep"] == sum(sleep.wait for sleep in sleeps)
    assert spent["run queue"] == sum(sleep.delay for sleep in sleeps)
    assert sum(spent.values()) == sum(thread.wall for thread in of.result.threads)


@pytest.mark.parametrize("name", NAMES)
def test_each_sleep_and_each_message_has_an_arrow_that_goes_forward(name: str) -> None:
    of = loaded(name)
    trace = Decoded(of)
    starts: dict[int, tuple[int, Any]] = {}
    ends: dict[int, tuple[int, Any]] = {}
    for place, packet in enumerate(trace.packets):
        starts |= dict.fromkeys(packet.track_event.flow_ids, (place, packet))
        ends |= dict.fromkeys(packet.track_event.terminating_flow_ids, (place, packet))
    assert starts.keys() == ends.keys()
    assert len(starts) == sum(len(call.sleeps) for call in of.result.calls) + len(of.result.messages)
    for flow, (place, packet) in starts.items():
        assert place < ends[flow][0] and packet.timestamp <= ends[flow][1].timestamp


def test_the_arrow_of_a_lock_leads_from_its_holder() -> None:
    of = loaded("lock_in_loop")
    trace = Decoded(of)
    tracks = {track.uuid: track.thread.tid for track in trace.tracks.values() if track.HasField("thread")}
    wakes = {flow: event.track_uuid for _, event in trace.events("INSTANT") for flow in event.flow_ids}
    pairs = {(tracks.get(wakes[flow]), tracks.get(event.track_uuid))
             for _, event in trace.events("SLICE_BEGIN") for flow in event.terminating_flow_ids}  # fmt: skip
    tids = {thread.serial: thread.host_tid for thread in of.result.threads}
    expected = {(tids.get(of.where.causes.of(sleep).thread or 0), tids[call.thread])
                for call in of.result.calls for sleep in call.sleeps}  # fmt: skip
    assert pairs == expected and any(waker for waker, _ in pairs)


def test_data_that_lay_unread_leads_to_the_call_that_read_it() -> None:
    trace = Decoded(loaded("epoll"))
    ready = {flow: event for _, event in trace.events("INSTANT") for flow in event.flow_ids if event.name.startswith("ready: ")}
    reads = [event.name for _, event in trace.events("SLICE_BEGIN") if set(event.terminating_flow_ids) & ready.keys()]
    assert len(reads) == len(ready) == 69 and set(reads) == {"recvfrom"}


def test_an_id_that_the_kernel_used_again_gets_a_track_of_its_own() -> None:
    of = loaded("threads").whole
    again = dataclasses.replace(of.threads[1], host_tid=of.threads[0].host_tid, name="again\x1b")
    trace = Decoded(report(dataclasses.replace(of, threads=(of.threads[0], again, *of.threads[2:]))))
    assert len({(track.thread.pid, track.thread.tid) for track in trace.tracks.values() if track.HasField("thread")}) == 6
    assert "again\\x1b" in {track.name for track in trace.tracks.values()}


@pytest.mark.parametrize("name", NAMES)
def test_the_counters_end_at_0(name: str) -> None:
    of = loaded(name)
    trace = Decoded(of)
    values = trace.counters()
    assert values.pop(perfetto.LOST) == [0, 0]
    said = [event.name for _, event in trace.events("INSTANT") if event.name.startswith("no counters")]
    if not of.result.details.complete:
        assert not values  # they would say 0 where nothing was recorded
        assert len(said) == 1 and "were recorded one by one" in said[0]
        return
    assert not said
    assert all(min(found) == 0 == found[-1] for found in values.values())
    assert perfetto.WITHOUT_CPU in values and (perfetto.UNREAD in values or not of.result.messages)


def test_the_counters_of_data_agree() -> None:
    of = loaded("epoll")
    values = Decoded(of).counters()
    messages = of.result.messages
    together = max(
        sum(other.bytes for other in messages if other.ready <= message.ready < other.copied) for message in messages
    )
    assert max(values[perfetto.UNREAD_BYTES]) == together >= 64
    assert 0 < max(values[perfetto.READY]) <= max(values[perfetto.UNREAD]) <= 3


@pytest.mark.parametrize("name", NAMES)
def test_the_switches_of_each_lane_follow_each_other_and_add_up_to_the_time_on_a_cpu(name: str) -> None:
    of = loaded(name)
    trace = Decoded(of)
    lanes = trace.switches()
    if not of.result.details.complete:
        assert not lanes
        return
    ran: collections.Counter[int] = collections.Counter()
    for events in lanes.values():
        times = [event.timestamp for event in events]
        assert times == sorted(times)
        switches = [event for event in events if event.HasField("sched_switch")]
        assert switches[0].sched_switch.prev_pid == 0 == switches[-1].sched_switch.next_pid
        for first, second in itertools.pairwise(switches):
            assert first.sched_switch.next_pid == second.sched_switch.prev_pid
            ran[first.sched_switch.next_pid] += second.timestamp - first.timestamp
    for thread in of.result.threads:
        if not thread.kernel_worker:
            slept = sum(
                sleep.on - sleep.off for call in of.result.calls if call.thread == thread.serial for sleep in call.sleeps
            )
            assert ran[thread.host_tid] == thread.wall - slept, thread.name


@pytest.mark.parametrize("name", NAMES)
def test_each_sleep_has_its_waker_before_its_switch(name: str) -> None:
    of = loaded(name)
    events = [event for events in Decoded(of).switches().values() for event in events]
    found = sorted((event.timestamp, event.sched_waking.pid, event.pid) for event in events if event.HasField("sched_waking"))
    tids = {thread.serial: thread.host_tid for thread in of.result.threads}
    sleeps = [(sleep, call.thread) for call in of.result.calls for sleep in call.sleeps] if of.result.details.complete else []
    expected = sorted(
        (sleep.woken, tids[thread], sleep.waker.tid if sleep.waker else 0)
        for sleep, thread in sleeps
        if sleep.woken > sleep.off
    )
    assert found == expected
    to = {(event.timestamp, event.sched_switch.next_pid) for event in events if event.HasField("sched_switch")}
    assert all((sleep.on, tids[thread]) in to for sleep, thread in sleeps)


def test_a_lock_is_passed_on_by_its_holder_and_a_packet_by_an_interrupt() -> None:
    of = loaded("lock_in_loop")
    events = [event for events in Decoded(of).switches().values() for event in events if event.HasField("sched_waking")]
    threads = {thread.host_tid for thread in of.result.threads}
    assert any(event.pid in threads and not event.common_flags for event in events)
    assert any(event.common_flags == ftrace.SOFTIRQ for event in events)
    assert {event.sched_waking.comm for event in events} <= {thread.name for thread in of.result.threads}


def test_lost_events_are_marked() -> None:
    whole = loaded("threads").whole
    events = dataclasses.replace(whole.events, lost=7, reasons={"ring": 7})
    trace = Decoded(report(dataclasses.replace(whole, events=events)))
    assert trace.packets[0].previous_packet_dropped
    bundles = [packet.ftrace_events for packet in trace.packets if packet.HasField("ftrace_events")]
    assert bundles and all(bundle.lost_events for bundle in bundles if bundle.cpu == 0)
    (marker,) = [event for _, event in trace.events("INSTANT") if event.name.startswith("7 events lost")]
    assert {note.name: note.int_value for note in marker.debug_annotations} == {"ring": 7}
    assert trace.counters()[perfetto.LOST] == [0, 7]
    sound = Decoded(report(whole))
    assert not any(packet.previous_packet_dropped or packet.ftrace_events.lost_events for packet in sound.packets)


def test_perfettos_own_trace_processor_finds_the_wakers(tmp_path: Path) -> None:
    shell = shutil.which("trace_processor_shell")
    if shell is None:
        pytest.skip("trace_processor_shell is missing; to make it run: get it from Perfetto's releases, and put it on PATH")
    with (tmp_path / "trace").open("wb") as file:
        perfetto.write(loaded("threads"), file)
    (tmp_path / "query").write_text(
        "select count(*) as n from thread_state where waker_utid is not null;"
        "select count(*) as n from slice where name = 'recvfrom';"
    )
    asked = [str(shell), "-q", str(tmp_path / "query"), str(tmp_path / "trace")]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    numbers = [int(line) for line in done.stdout.split() if line.isdigit()]
    assert len(numbers) == 2 and all(numbers), done.stdout


def test_where_calls_are_missing_the_time_between_two_calls_has_no_state() -> None:
    trace = Decoded(loaded("budget"))
    assert {event.name for _, event in trace.events("STATE")} <= {"", "kernel", "run queue"} | {
        event.name for _, event in trace.events("STATE") if event.name.startswith("asleep: ")
    }
    (facts,) = [event for _, event in trace.events("INSTANT") if event.name.startswith("recording: ")]
    notes = {note.name: note.int_value for note in facts.debug_annotations}
    assert notes["calls_recorded"] < notes["calls"]
