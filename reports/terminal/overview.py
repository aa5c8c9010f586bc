"""The first screen of a trace: what the program is, where it waits, what is wrong with it. `--brief` prints nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from findings.diagnosis import ProgramFinding
from findings.properties.property import Place
from findings.sleeps.where import Slept
from findings.threads import labels
from findings.threads.groups import Group
from probes.context import TraceRun
from probes.words import count, visible
from reports import losses, wakers
from reports.terminal import slowest
from reports.terminal.screen import Screen, indented, note, section
from reports.terminal.states import STATES
from reports.words import duration, share, with_command_name
from runs.report import Report

_COMMAND = 200  # characters of a traced program's command line
_REASONS, _GROUPS, _FAULTS = 2, 3, 3  # that the first screen lists
_TITLES = ("asleep", "held up", "no CPU", "on CPU", "messages")  # no CPU: in the run queue, or preempted
_CELL, _WIDE_CELL = 8, 10  # columns: of a share, and of the messages
_LEAST = 0.01, 0.1  # of the life of a group: a place with less is not listed; the second place is that of the first group


def show(report: Report, out: Screen) -> None:
    """The first screen."""
    heading(report, out)
    if report.part and not report.result.threads:
        return
    if not report.part:
        section(out, "what the program is", gap=False)
        _identity(report, out)
    section(out, "where its threads wait", gap=False)
    _groups(report, out)
    if not report.part:
        section(out, "what is wrong", gap=False)
        _faults(report, out)
    if report.slowest:
        slowest.show(report.slowest, report.begin, out)


def heading(report: Report, out: Screen) -> None:
    """What was traced, how it ended, and what is missing."""
    context = report.result.context
    assert isinstance(context, TraceRun)
    line = Text.assemble(("trace ", "bold"), visible(" ".join(context.command or "?"))[:_COMMAND])
    if context.status is not None:
        line.append(f": {_ending(report, context.status)}", style="bold" if context.status else "")
    out.print(line)
    threads = report.result.threads
    wall = max((thread.end for thread in threads), default=0) - min((thread.start for thread in threads), default=0)
    tasks = count(len(report.processes), "process")
    tasks += f", {count(len(threads), 'thread')}" if len(threads) > len(report.processes) else ""
    words = f"{tasks}, {duration(wall)}"
    if report.start:
        words += f"; start-up: {duration(report.start.ns)}, {count(report.start.count, 'call')}"
        words += f", {count(report.start.processes, 'process')}" if report.start.processes else ""
    note(out, words)
    events = report.whole.events
    if not events.sound or events.full:
        missing = f"{events.lost:,} events lost{losses.in_per_cent(events)}, {events.unmatched:,} unmatched"
        note(out, f"calls are missing: {missing}{', the recording was full' if events.full else ''}", "bold yellow")
    details = report.whole.details
    if not details.complete and not events.full:
        part = share(details.recorded, details.of)
        words = f"details: {part} of {details.of:,} calls. The findings and the figures with ~ and + are from this part"
        note(out, words)
    if report.part:
        nothing = "" if report.result.threads else ": nothing in this run matches"
        note(out, f"only {visible(report.part.words)}{nothing}", "yellow")


def _ending(report: Report, status: int) -> str:
    """How the program ended; `status` as a shell reports it."""
    first = report.whole.threads[0].serial if report.whole.threads else None
    for ended in report.endings:
        if ended.by_signal and ended.process.first.serial == first:
            core = ", core dumped" if ended.core else ""
            return f"exit status {status} ({visible(ended.signal) or 'a signal'}{core})"
    return f"exit status {status}"


def _identity(report: Report, out: Screen) -> None:
    """Model and architecture with the reasons, then the processes with the roles of their threads."""
    found = report.identity.classification
    sure = f" ({found.confidence})" if found.serves else ""
    out.print(Text.assemble((visible(found.summary), "bold"), sure))
    if found.serves and found.because:
        note(out, f"because {visible('; '.join(found.because[:_REASONS]))}", "")
    for other in found.beside:
        note(out, f"another server, with a listener of its own: {visible(other.summary)} ({other.confidence})", "")
    processes: dict[str, list[str]] = {}
    for group in report.groups:
        if not group.short_lived:
            name = f"{group.process} {labels.ids(group.pids)}"
            processes.setdefault(name, []).append(group.words)
    lines = [f"{name}: {', '.join(words)}" for name, words in list(processes.items())[:_GROUPS]]
    if len(processes) > 1 or len(report.whole.threads) > 1:
        out.print(Text(visible("; ".join(lines))))


def _faults(report: Report, out: Screen) -> None:
    """The findings that are broken, the worst first; where nothing is wrong, what was looked for."""
    diagnosis = report.diagnosis
    for finding in diagnosis.broken[:_FAULTS]:
        _fault(finding, report.begin, out)
    if rest := diagnosis.broken[_FAULTS:]:
        note(out, f"and {count(len(rest), 'other finding')}: {_ids(rest)} (all in --json)")
    if diagnosis.broken:
        held, unseen = len(diagnosis.held), len(diagnosis.not_shown)
        words = f"{count(held, 'other property')} {'holds' if held == 1 else 'hold'}"
        note(out, f"{words}, {unseen} {'is' if unseen == 1 else 'are'} not shown by this run")
        return
    others = count(len(diagnosis.not_shown), "other property")
    not_shown = f"; this run does not show {others}" if diagnosis.not_shown else ""
    out.print(Text.assemble(("nothing found. ", "green"), f"These properties hold: {_ids(diagnosis.held)}{not_shown}"))


def _ids(findings: Sequence[ProgramFinding]) -> str:
    return ", ".join(finding.id for finding in findings) or "no property"


def _fault(finding: ProgramFinding, begin: int, out: Screen) -> None:
    line = Text(visible(finding.fault), style="bold red")
    if finding.cost.ns:
        line.append(f" ({duration(finding.cost.ns)})")
    lab = with_command_name(f" (invoke lab {finding.lab})") if finding.lab else ""
    if finding.place:
        more = len(finding.places) - 1
        line.append(f", {where(finding.place, begin)}" + (f", and {count(more, 'other place')}" if more else ""))
    out.print(line)
    out.print(indented(Text(visible(finding.evidence))))
    out.print(indented(Text.assemble(("remedy: ", "bold"), visible(finding.remedy), lab)))


def where(place: Place, begin: int) -> str:
    """A place in words; `begin` is the start of the run."""
    words = visible(f"{place.name} {place.tid}") if place.tid is not None else ""
    words += f" in {place.call}" if place.call else ""
    words += f", descriptor {place.fd}" if place.fd is not None else ""
    words += f" ({place.descriptor})" if place.descriptor else ""
    if place.since is None:
        return words
    return f"{words}, {duration(place.since - begin)} after the start" if place.since > begin else f"{words}, from the start on"


def _groups(report: Report, out: Screen) -> None:
    shown = [group for group in report.groups if not group.short_lived][:_GROUPS]
    widths = [_CELL] * (len(_TITLES) - 1) + [_WIDE_CELL]
    titles = [Text(title.rjust(width), style="bold") for title, width in zip(_TITLES, widths, strict=True)]
    _row(Text("share of the time", style="dim"), titles, out)
    for group in shown or report.groups[:1]:
        _group(group, report, out, group is report.groups[0])
    if rest := [group for group in report.groups if group not in shown]:
        named = ", ".join(visible(report.labels.group(group)) for group in rest[:_GROUPS])
        note(out, f"and {named}" + (f", and {count(len(rest) - _GROUPS, 'other kind')}" if len(rest) > _GROUPS else ""))


def _group(group: Group, report: Report, out: Screen, first: bool) -> None:
    """One kind of threads: its shares of time, and where it was asleep longest."""
    line = Text(visible(report.labels.group(group)), style="bold")
    wall = group.life["wall"]
    if not wall:
        line.append(": ended before the service began", style="dim")
        out.print(line)
        return
    waiting = group.life["sched_delay"] + group.life["preempted"]
    about, part = ("~" if group.estimated else ""), ("" if report.whole.details.complete else "+")
    cells = [
        Text(share(group.life["wait"], wall).rjust(_CELL), style=STATES["asleep"].style),
        Text((about + share(group.held_up, wall)).rjust(_CELL), style="bold red" if 20 * group.held_up > wall else ""),
        Text(share(waiting, wall).rjust(_CELL), style=STATES["run queue"].style),
        Text(share(group.busy, wall).rjust(_CELL)),
        Text((f"{group.messages:,}{part}" if group.messages else "-").rjust(_WIDE_CELL)),
    ]
    _row(line, cells, out)
    for slept, least in zip(group.slept, _LEAST if first or report.part else _LEAST[:1], strict=False):
        if report.part or slept.ns > least * wall:
            _place(slept, group, report, out)


def _row(name: Text, cells: list[Text], out: Screen) -> None:
    """A name with its figures on the right; a long name has a line of its own."""
    room = out.width - sum(map(len, cells))
    if len(name) >= room:
        out.print(name)
        name = Text()
    name.pad_right(room - len(name))
    out.print(Text.assemble(name, *cells))


def _place(slept: Slept, group: Group, report: Report, out: Screen) -> None:
    """One place in which threads were asleep."""
    words = Text(f"{share(slept.ns, group.life['wall'])} ", style=STATES["asleep"].style)
    words.append(f"in {visible(place(slept))}", style="bold")
    if slept.count == 1:
        words.append(", one sleep")
    if slept.lasted.longest is not None and slept.count > 1:
        words.append(f", longest {duration(slept.lasted.longest)}")
    if ended := wakers.most(slept.ended_by, lambda serial: report.labels.waker(serial, group)):
        words.append(f", {visible(ended)}")
    out.print(indented(words))


def place(slept: Slept) -> str:
    """Where threads slept: the call, and the wait queue if the call does not name it."""
    if not slept.call:
        return f"{slept.queue}, outside calls"
    return slept.call if slept.call.startswith(slept.queue) else f"{slept.call} on {slept.queue}"
