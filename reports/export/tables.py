"""A run as tables: what --csv and --sqlite write. Units stand in the names of the columns; what is not known is None.

Times that end in _ns and are no durations are CLOCK_MONOTONIC of the machine that was traced. docs/sql.md describes each table.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

from findings.descriptors.sockets import SocketLife, sockets
from findings.diagnosis import ProgramFinding
from findings.properties.property import Cost, Place
from findings.view import Run
from probes.context import LabRun, TraceRun
from probes.kernel.records import OTHERS
from probes.measure.result import Call, CallRow, Check, Message, Sleep, Thread
from probes.measure.rows import CallSum, SleepSum
from probes.measure.sums import percentiles_of
from probes.recording import Quality
from reports import wakers
from reports.export.columns import Column, Table, number, text
from runs.report import Report

_BURST_UNKNOWN = 1 << 63  # Call.longest of a call that is no burst


def tables(report: Report) -> tuple[Table, ...]:
    """All tables of a run, or of the part that the user asked for."""
    makers = (
        _run, _threads, _phases, _calls, _sleeps, _messages, _findings, _places, _checks, _call_sums, _sleep_sums, _sockets,
    )  # fmt: skip
    return tuple(make(report) for make in makers)


def _run(report: Report) -> Table:
    result, context = report.result, report.result.context
    columns: tuple[Column[Report], ...] = (
        text("iolab", lambda _: context.iolab),
        text("lab", lambda _: context.lab if isinstance(context, LabRun) else None),
        text("command", lambda _: " ".join(context.command) if isinstance(context, TraceRun) else None),
        text("part", lambda report: report.part.words),
        text("kernel", lambda _: result.machine.kernel),
        text("arch", lambda _: result.machine.arch),
        text("verdict", lambda _: result.verdict),
        number("begin_ns", lambda report: report.begin or None),
        number("events_seen", lambda _: result.events.seen),
        number("events_lost", lambda _: result.events.lost),
        number("details_recorded", lambda _: result.details.recorded),
        number("details_of", lambda _: result.details.of),
    )
    return Table("run", columns, [report])


def _threads(report: Report) -> Table:
    roles = report.identity.roles
    columns: tuple[Column[Thread], ...] = (
        number("thread", lambda thread: thread.serial),
        number("tid", lambda thread: thread.tid),
        number("pid", lambda thread: thread.pid),
        number("host_tid", lambda thread: thread.host_tid),
        text("name", lambda thread: thread.name),
        text("role", lambda thread: roles.role_of.get(thread.serial)),
        number("parent_thread", lambda thread: thread.parent or None),
        number("start_ns", lambda thread: thread.start),
        number("end_ns", lambda thread: thread.end),
        number("wall_ns", lambda thread: thread.wall),
        number("user_ns", lambda thread: thread.user),
        *_phase_columns(_copies_seen(report)),
        number("calls", lambda thread: thread.calls),
        number("voluntary_switches", lambda thread: thread.voluntary_switches),
        number("involuntary_switches", lambda thread: thread.involuntary_switches),
        number("ended", lambda thread: thread.ended),
        number("exit_status", _exit_status),
        number("fatal_signal", lambda thread: thread.ended_by.signal or None if thread.ended_by else None),
        number("kernel_worker", lambda thread: thread.kernel_worker),
    )  # fmt: skip
    return Table("threads", columns, report.result.threads)


def _exit_status(thread: Thread) -> int | None:
    """None for a thread that a signal ended, that was alive at the end, or of which the recording does not say it."""
    return thread.ended_by.status if thread.ended_by and not thread.ended_by.signal else None


def _copies_seen(report: Report) -> Callable[[Any], bool]:
    """Did a probe measure or bound copies? Then a sum of 0 is a figure."""
    seen = any(row.copy_quality is not Quality.UNAVAILABLE for row in report.result.rows)
    return lambda _: seen


def _phase_columns(copy_known: Callable[[Any], bool]) -> tuple[Column[Any], ...]:
    """The phases of a row. Copy time that no probe measured is None; it is a part of kernel_ns."""
    return (
        number("wait_ns", lambda row: row.wait),
        number("sched_delay_ns", lambda row: row.sched_delay),
        number("preempted_ns", lambda row: row.preempted),
        number("copy_ns", lambda row: row.copy if row.copy or copy_known(row) else None),
        number("kernel_ns", lambda row: row.kernel),
    )


def _copy_known(report: Report) -> Callable[[Call | CallRow | CallSum], bool]:
    known = {row.name for row in report.result.rows if row.copy_quality is not Quality.UNAVAILABLE}
    return lambda row: row.name in known


def _phases(report: Report) -> Table:
    columns: tuple[Column[CallRow], ...] = (
        text("name", lambda row: row.name),
        number("count", lambda row: row.count),
        number("failed", lambda row: sum(row.errors.values())),
        number("bytes", lambda row: row.bytes),
        number("total_ns", lambda row: row.total),
        *_phase_columns(_copy_known(report)),
        number("p50_ns", lambda row: row.p50),
        number("p99_ns", lambda row: row.p99),
        text("percentile_quality", lambda row: row.p_quality),
        text("copy_quality", lambda row: row.copy_quality),
        number("polled", lambda row: row.polled),
        number("queued", lambda row: row.queued),
        number("unqueued", lambda row: row.unqueued),
    )
    return Table("phases", columns, report.result.rows)


class _Numbered(NamedTuple):
    id: int
    call: Call


def _of_call(column: Column[Call]) -> Column[_Numbered]:
    return Column(column.name, column.type, lambda row: column.value(row.call))


def _argument(index: int) -> Column[_Numbered]:
    return number(f"arg{index}", lambda row: row.call.args[index] if index < len(row.call.args) else None)


def _calls(report: Report) -> Table:
    descriptors = Run(report.whole).descriptors
    columns: tuple[Column[_Numbered], ...] = (
        number("call", lambda row: row.id),
        number("thread", lambda row: row.call.thread),
        text("name", lambda row: row.call.name),
        number("fd", lambda row: row.call.fd),
        text("descriptor", lambda row: descriptors.of(row.call)),
        *map(_argument, range(4)),
        number("enter_ns", lambda row: row.call.enter),
        number("exit_ns", lambda row: row.call.exit),
        number("result", lambda row: row.call.result),
        text("errno", lambda row: row.call.errno),
        number("bytes", lambda row: row.call.bytes),
        number("count", lambda row: row.call.count),
        number("total_ns", lambda row: row.call.total),
        *map(_of_call, _phase_columns(_copy_known(report))),
        number("longest_ns", lambda row: _longest(row.call)),
        number("preemptions", lambda row: row.call.preemptions),
        number("socket", lambda row: row.call.socket),
        number("ready_ns", lambda row: row.call.ready),
        number("copied_ns", lambda row: row.call.copied),
        number("unread_bytes", lambda row: row.call.unread if row.call.socket else None),
        number("polled", lambda row: row.call.polled),
        number("queued", lambda row: row.call.queued),
        number("unqueued", lambda row: row.call.unqueued),
        number("open", lambda row: row.call.open),
        number("refused", lambda row: row.call.refused),
    )
    return Table("calls", columns, [_Numbered(*row) for row in zip(count(1), report.result.calls, strict=False)])


def _longest(call: Call) -> int | None:
    """The longest call of a burst; of another call its duration."""
    if call.count == 1:
        return call.total
    return call.longest if call.longest < _BURST_UNKNOWN else None


class _Slept(NamedTuple):
    id: int
    call_id: int
    call: Call
    sleep: Sleep


def _sleeps(report: Report) -> Table:
    causes, parts = report.where.causes, report.idleness.of_sleep
    columns: tuple[Column[_Slept], ...] = (
        number("sleep", lambda row: row.id),
        number("call", lambda row: row.call_id),
        number("thread", lambda row: row.call.thread),
        number("off_ns", lambda row: row.sleep.off),
        number("woken_ns", lambda row: row.sleep.woken),
        number("on_ns", lambda row: row.sleep.on),
        number("wait_ns", lambda row: row.sleep.wait),
        number("sched_delay_ns", lambda row: row.sleep.delay),
        text("queue", lambda row: row.sleep.queue),
        text("ended_by", lambda row: wakers.words(causes.of(row.sleep), report.labels.waker)),
        number("waker_thread", lambda row: causes.of(row.sleep).thread),
        text("waker_name", lambda row: row.sleep.waker.comm if row.sleep.waker else None),
        number("waker_tid", lambda row: row.sleep.waker.tid if row.sleep.waker else None),
        text("chain", lambda row: row.sleep.waker.words if row.sleep.waker else None),
        number("idle_ns", lambda row: parts(row.call, row.sleep).idle),
        number("held_up_ns", lambda row: parts(row.call, row.sleep).held_up),
        number("not_known_ns", lambda row: parts(row.call, row.sleep).not_known),
        text("held_up_cause", lambda row: parts(row.call, row.sleep).cause),
        number("probed_ns", lambda row: row.sleep.probed),
    )
    every = ((number, call, sleep) for number, call in enumerate(report.result.calls, 1) for sleep in call.sleeps)
    return Table("sleeps", columns, [_Slept(index, *row) for index, row in enumerate(every, 1)])


def _messages(report: Report) -> Table:
    columns: tuple[Column[Message], ...] = (
        number("socket", lambda row: row.socket),
        number("thread", lambda row: row.thread),
        number("fd", lambda row: row.fd),
        number("bytes", lambda row: row.bytes),
        number("reads", lambda row: row.reads),
        number("arrivals", lambda row: row.arrivals),
        number("ready_ns", lambda row: row.ready),
        number("all_ready_ns", lambda row: row.all_ready),
        number("notified_ns", lambda row: row.notified),
        text("notified_by", lambda row: row.notified_by),
        number("read_ns", lambda row: row.read),
        number("copied_ns", lambda row: row.copied),
        number("returned_ns", lambda row: row.returned),
        number("ready_to_notified_ns", lambda row: row.ready_to_notified),
        number("notified_to_copied_ns", lambda row: row.notified_to_copied),
        number("probed_ns", lambda row: row.probed),
    )
    return Table("messages", columns, report.result.messages)


def _cost_columns(cost: Callable[[Any], Cost]) -> tuple[Column[Any], ...]:
    """A cost of 0 does not apply, or is not known (findings/properties/property.py)."""
    return (
        number("cost_ns", lambda row: cost(row).ns or None),
        number("cost_calls", lambda row: cost(row).calls or None),
        number("cost_bytes", lambda row: cost(row).bytes or None),
    )


def _of_program(report: Report) -> tuple[ProgramFinding, ...]:
    """None for a lab with several servers, as in the document of --json."""
    return () if report.cases else report.diagnosis.findings


def _findings(report: Report) -> Table:
    columns: tuple[Column[ProgramFinding], ...] = (
        text("finding", lambda row: row.id),
        text("verdict", lambda row: row.verdict),
        text("gravity", lambda row: row.gravity.name.lower()),
        text("statement", lambda row: row.statement),
        text("fault", lambda row: row.fault),
        text("evidence", lambda row: row.evidence),
        *_cost_columns(lambda row: row.cost),
        text("remedy", lambda row: row.remedy),
        text("lab", lambda row: row.lab),
    )
    return Table("findings", columns, _of_program(report))


class _Placed(NamedTuple):
    finding: str
    place: Place


def _places(report: Report) -> Table:
    columns: tuple[Column[_Placed], ...] = (
        text("finding", lambda row: row.finding),
        number("thread", lambda row: row.place.thread),
        number("tid", lambda row: row.place.tid),
        number("pid", lambda row: row.place.pid),
        text("thread_name", lambda row: row.place.name),
        text("call_name", lambda row: row.place.call),
        number("fd", lambda row: row.place.fd),
        text("descriptor", lambda row: row.place.descriptor),
        number("since_ns", lambda row: row.place.since),
        *_cost_columns(lambda row: row.place.cost),
    )
    return Table("places", columns, [_Placed(found.id, place) for found in _of_program(report) for place in found.places])


def _checks(report: Report) -> Table:
    columns: tuple[Column[Check], ...] = (
        text("name", lambda row: row.name),
        text("verdict", lambda row: row.verdict),
        text("claims", lambda row: ", ".join(row.claims)),
        text("evidence", lambda row: row.evidence),
    )
    return Table("checks", columns, report.result.checks)


def _owner(serial: int) -> int | None:
    return None if serial == OTHERS else serial


def _call_sums(report: Report) -> Table:
    counted = {row.name: row.polled is not None for row in report.result.rows}
    columns: tuple[Column[CallSum], ...] = (
        number("thread", lambda row: _owner(row.thread)),
        text("name", lambda row: row.name),
        text("descriptor", lambda row: row.descriptor.release if row.descriptor else None),
        text("errno", lambda row: row.errno),
        number("count", lambda row: row.count),
        number("bytes", lambda row: row.bytes),
        number("total_ns", lambda row: row.total),
        *_phase_columns(_copy_known(report)),
        number("p50_at_most_ns", lambda row: percentiles_of(row.histogram, row.longest, 0.5)[0]),
        number("p99_at_most_ns", lambda row: percentiles_of(row.histogram, row.longest, 0.99)[0]),
        number("longest_ns", lambda row: row.longest),
        number("sleeps", lambda row: row.sleeps),
        number("preemptions", lambda row: row.preemptions),
        number("polled", lambda row: row.polled if counted.get(row.name) else None),
        number("queued", lambda row: row.queued if counted.get(row.name) else None),
        number("unqueued", lambda row: row.unqueued if counted.get(row.name) else None),
    )
    return Table("call_sums", columns, report.result.sums)


def _sleep_sums(report: Report) -> Table:
    causes = report.where.causes
    columns: tuple[Column[SleepSum], ...] = (
        number("thread", lambda row: _owner(row.thread)),
        text("call_name", lambda row: row.call),
        text("queue", lambda row: row.queue),
        text("ended_by", lambda row: wakers.words(causes.of_sum(row), report.labels.waker)),
        number("waker_thread", lambda row: causes.of_sum(row).thread),
        text("waker_name", lambda row: row.waker.comm if row.waker else None),
        text("chain", lambda row: row.waker.words if row.waker else None),
        number("count", lambda row: row.count),
        number("wait_ns", lambda row: row.wait),
        number("sched_delay_ns", lambda row: row.sched_delay),
        number("longest_ns", lambda row: row.longest),
        number("open", lambda row: row.open),
    )
    return Table("sleep_sums", columns, report.result.sleep_sums)


def _sockets(report: Report) -> Table:
    columns: tuple[Column[SocketLife], ...] = (
        number("socket", lambda row: row.name.socket),
        number("thread", lambda row: row.name.thread),
        number("pid", lambda row: row.pid),
        number("fd", lambda row: row.name.fd if row.name.fd >= 0 else None),
        text("words", lambda row: row.words),
        text("kind", lambda row: row.kind),
        text("role", lambda row: row.name.role.name.lower()),
        text("local_host", lambda row: row.name.local.host if row.name.local else None),
        number("local_port", lambda row: row.name.local.port if row.name.local else None),
        text("peer_host", lambda row: row.name.peer.host if row.name.peer else None),
        number("peer_port", lambda row: row.name.peer.port if row.name.peer else None),
        text("path", lambda row: row.name.path),
        number("since_ns", lambda row: row.since),
        number("end_ns", lambda row: row.end.at if row.end else None),
        number("open", lambda row: row.end.open if row.end else None),
        number("unread_bytes", lambda row: row.end.unread if row.end else None),
        number("not_accepted", lambda row: row.end.backlog if row.end else None),
        number("waiting_since_ns", lambda row: (row.end.first or row.end.latest) if row.end else None),
    )
    return Table("sockets", columns, sockets(Run(report.result)))
