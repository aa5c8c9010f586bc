"""The messages of a run: how long each was unread, and how long its data was on the way to the program."""

from __future__ import annotations

from findings.summary import Times
from probes.words import count
from reports import not_followed
from reports.terminal.screen import Column, Screen, figures, note, section
from reports.words import duration, size
from runs.report import Report

_COLUMNS = [Column("p50"), Column("p99"), Column("longest")]


def show(report: Report, out: Screen) -> None:
    """The section; nothing for a program that read no followed socket."""
    messages = report.messages
    left = unread_words(report)
    if not messages.count and not report.not_followed and not left:
        return
    section(out, "messages")
    if left:
        note(out, left, "yellow")
    for words in not_followed.sentences(report.not_followed):
        note(out, words, "yellow")
    if not messages.count:
        return
    part = "" if report.whole.details.complete else " in the recorded part of the run"
    note(out, f"{count(messages.count, 'message')} arrived at sockets{part}, {size(messages.bytes)}", "")
    rows = [
        ("data ready -> thread notified", messages.ready_to_notified),
        ("thread notified -> data copied", messages.notified_to_copied),
    ]
    figures(out, "", _COLUMNS, ([name, *_cells(times)] for name, times in rows))


def unread_words(report: Report) -> str:
    """The data that no call read from the sockets of this part of the run; "" if none was left."""
    ends = [end for end in report.result.socket_ends if end.unread]
    if not ends:
        return ""
    least = "at least " if any(end.at_least for end in ends) else ""
    data = size(sum(end.unread or 0 for end in ends))
    return f"the program did not read {least}{data} in {count(len(ends), 'socket')} until the close or the end of the recording"


def _cells(times: Times) -> list[str]:
    return ["-" if ns is None else duration(ns) for ns in (times.p50, times.p99, times.longest)]
