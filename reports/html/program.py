"""What the page of a traced program has and that of a lab has not: what it is, where it waits, what is wrong with it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from findings.threads import labels
from findings.threads.groups import Group
from probes.words import count
from reports.html import bars
from reports.html.bars import Part
from reports.terminal import overview, waits
from reports.words import duration, share
from runs.report import Report

_PLACES, _CAUSES = 8, 4  # of a group; of a place


def content(report: Report) -> dict[str, Any]:
    """What the template inserts."""
    return {
        "identity": report.identity.classification,
        "processes": _processes(report),
        "start": report.start,
        "groups": [_group(group, report) for group in report.groups],
        "faults": [
            (finding, [overview.where(place, report.begin) for place in finding.places]) for finding in report.diagnosis.broken
        ],
        "held": report.diagnosis.held,
        "not_shown": report.diagnosis.not_shown,
        "part": report.part.words if report.part else "",
    }


def _processes(report: Report) -> list[str]:
    """The processes with the roles of their threads."""
    found: dict[str, list[str]] = {}
    for group in report.groups:
        if not group.short_lived:
            found.setdefault(f"{group.process} {labels.ids(group.pids)}", []).append(group.words)
    return [f"{name}: {', '.join(roles)}" for name, roles in found.items()]


def _group(group: Group, report: Report) -> dict[str, Any]:
    """One kind of threads with its places."""
    wall = group.life["wall"]
    return {
        "label": report.labels.group(group),
        "threads": len(group.threads),
        "messages": group.messages,
        "wall": wall,
        "bar": _life(group),
        "held_up": ("~" if group.estimated else "") + share(group.held_up, wall) if group.held_up else "",
        "places": [_place(slept, group, report) for slept in group.slept[:_PLACES]],
        "more": count(len(group.slept) - _PLACES, "other place") if len(group.slept) > _PLACES else "",
    }


def _life(group: Group) -> Markup:
    """The time of all threads of the group; of the sleeps, those in which work waited are apart."""
    life, held = group.life, min(group.held_up, group.life["wait"])
    parts = [
        ("asleep", life["wait"] - held, "asleep"),
        ("held", held, "asleep while work waited (held up)"),
        ("runq", life["sched_delay"], "run queue"),
        ("preempted", life["preempted"], "preempted"),
        ("kernel", life["kernel"], "kernel"),
        ("copy", life["copy"], "copy"),
        ("user", life["user"], "user code"),
    ]
    return bars.bar(
        [Part(kind, ns, f"{words} {duration(ns)}, {share(ns, life['wall'])}") for kind, ns, words in parts], life["wall"]
    )


def _place(slept: Any, group: Group, report: Report) -> dict[str, Any]:
    causes = waits.causes_of(slept, group, report)
    return {
        "where": overview.place(slept),
        "slept": slept,
        "share": share(slept.ns, group.life["wall"]),
        "causes": causes[:_CAUSES],
        "others": sum(number for _, number in causes[_CAUSES:]),
    }


LIFE = (
    ("asleep", "asleep"), ("held", "held up: asleep while work waited"), ("runq", "run queue"), ("preempted", "preempted"),
    ("kernel", "kernel"), ("copy", "copy"), ("user", "user code"),
)  # fmt: skip
