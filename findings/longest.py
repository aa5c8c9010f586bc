"""The longest call of each name, and its longest sleep."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from dataclasses import dataclass

from probes.measure.result import Call


@dataclass(frozen=True)
class Longest:
    """Of all calls of one name: the longest of them, and the longest sleep in any of them; 0: none slept."""

    call: int
    sleep: int


def longest(calls: Iterable[Call]) -> dict[str, Longest]:
    """By the name of the call. Of a burst the longest call is known, unless the recording is older than that field."""
    call_ns: collections.Counter[str] = collections.Counter()
    sleep_ns: collections.Counter[str] = collections.Counter()
    for call in calls:
        call_ns[call.name] = max(call_ns[call.name], call.total if call.count == 1 else min(call.longest, call.total))
        for sleep in call.sleeps:
            sleep_ns[call.name] = max(sleep_ns[call.name], sleep.wait)
    return {name: Longest(ns, sleep_ns[name]) for name, ns in call_ns.items()}
