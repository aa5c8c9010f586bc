"""What a program is, what is wrong with it, and its slowest messages and calls, as JSON data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from findings.diagnosis import Diagnosis, ProgramFinding
from findings.models.model import Classification
from findings.properties.property import Cost, Place
from findings.slowest import Slowest, Step, Story
from findings.threads.roles import ProcessGroup, Roles
from probes.measure.result import Thread


def classification(found: Classification) -> dict[str, Any]:
    """The model and the architecture, with the reasons."""
    return {
        "model": found.model,
        "architecture": found.architecture,
        "confidence": found.confidence,
        "because": list(found.because),
        "also": list(found.also),
        "beside": [classification(each) for each in found.beside],
        "summary": found.summary,
        "threads": [
            {
                "serial": model.thread,
                "mechanism": model.mechanism,
                "confidence": model.confidence,
                "because": list(model.because),
            }
            for model in found.threads
        ],
    }


def roles(found: Roles) -> list[dict[str, Any]]:
    """The tree of processes with the roles of their threads."""
    return [_processes(group) for group in found.tree]


def _processes(group: ProcessGroup) -> dict[str, Any]:
    return {
        "role": group.role,
        "name": group.name,
        "pids": list(group.pids),
        "threads": [
            {"role": threads.role, "name": threads.name, "serials": list(threads.threads), "mechanism": threads.mechanism}
            for threads in group.threads
        ],
        "children": [_processes(child) for child in group.children],
    }


def findings(found: Diagnosis) -> list[dict[str, Any]]:
    """Each property of the program: broken ones first, the worst first."""
    return [_finding(finding) for finding in found.findings]


def _finding(finding: ProgramFinding) -> dict[str, Any]:
    return {
        "property": finding.id,
        "verdict": finding.verdict,
        "statement": finding.statement,
        "evidence": finding.evidence,
        "gravity": finding.gravity.name.lower(),
        "cost": _cost(finding.cost),
        "places": [_place(place) for place in finding.places],
        "remedy": finding.remedy,
        "lab": finding.lab,
    }


def _cost(cost: Cost) -> dict[str, int]:
    return {"ns": cost.ns, "calls": cost.calls, "bytes": cost.bytes}


def _place(place: Place) -> dict[str, Any]:
    return {
        "pid": place.pid,
        "tid": place.tid,
        "name": place.name or None,
        "call": place.call,
        "fd": place.fd,
        "descriptor": place.descriptor or None,
        "since_ns": place.since,
        "cost": _cost(place.cost),
    }


def slowest(found: Slowest) -> dict[str, Any]:
    """The slowest messages and calls, each with the steps of its critical path."""
    return {"messages": _stories(found.messages), "calls": _stories(found.calls)}


def _stories(stories: Iterable[Story]) -> list[dict[str, Any]]:
    return [
        {
            "ns": story.ns,
            "began_ns": story.begin,
            "thread": _thread(story.thread),
            "call": story.call.name if story.call else None,
            "fd": story.message.fd if story.message else story.call.fd if story.call else None,
            "descriptor": story.descriptor or None,
            "bytes": story.message.bytes if story.message else None,
            "words": story.words,
            "steps": [_step(step) for step in story.steps],
        }
        for story in stories
    ]


def _step(step: Step) -> dict[str, Any]:
    return {
        "thread": _thread(step.thread),
        "depth": step.depth,
        "ns": step.ns,
        "call": step.call,
        "queue": step.queue,
        "no_cpu": step.no_cpu,
        "woken_by": _thread(step.woken_by) if step.woken_by else None,
        "waker": step.waker or None,
        "by_time": step.by_time,
    }


def _thread(thread: Thread) -> dict[str, Any]:
    return {"tid": thread.tid, "pid": thread.pid, "name": thread.name}
