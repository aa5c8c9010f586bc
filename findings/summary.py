"""Figures over a whole Result that more than one report shows: the messages' times, epoll's ready list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probes.measure.percentiles import percentile_of
from probes.measure.result import Result


@dataclass(frozen=True)
class Times:
    """Percentiles of several durations in ns; None without a duration."""

    p50: int | None
    p99: int | None
    longest: int | None


@dataclass(frozen=True)
class MessageFigures:
    """All messages of a run."""

    count: int
    bytes: int
    ready_to_notified: Times
    notified_to_copied: Times


@dataclass(frozen=True)
class ReadyListFigures:
    """The calls of epoll's callback that put a descriptor on the ready list."""

    count: int
    after_ready: Times  # how long after the data was ready in its socket; calls for other descriptors are left out


def times(durations: Iterable[int]) -> Times:
    """The percentiles.

    >>> times([30, 10, 20])
    Times(p50=20, p99=30, longest=30)
    """
    ordered = sorted(durations)
    return Times(percentile_of(ordered, 0.5), percentile_of(ordered, 0.99), percentile_of(ordered, 1))


def messages(result: Result) -> MessageFigures:
    """The figures of all messages."""
    return MessageFigures(
        count=len(result.messages),
        bytes=sum(message.bytes for message in result.messages),
        ready_to_notified=times(message.ready_to_notified for message in result.messages),
        notified_to_copied=times(message.notified_to_copied for message in result.messages),
    )


def ready_list(result: Result) -> ReadyListFigures | None:
    """The figures of epoll's callback; None where no probe reports it."""
    if result.listed is None:
        return None
    return ReadyListFigures(
        len(result.listed), times(listed.at - listed.ready for listed in result.listed if listed.ready is not None)
    )
