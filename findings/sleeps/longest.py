"""The longest call of each name, and its longest sleep."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from dataclasses import dataclass

from probes.measure.result import Call
from probes.measure.rows import CallSum, SleepSum


@dataclass(frozen=True)
class Longest:
    """Of all calls of one name: the longest of them, and the longest sleep in any of them; 0: none slept."""

    call: int
    sleep: int


def longest(calls: Iterable[Call], sums: Iterable[CallSum] = (), sleeps: Iterable[SleepSum] = ()) -> dict[str, Longest]:
    """By the name of the call. Of a burst the longest call is known, unless the recording is older than that field.

    The sums of the kernel also have the calls that were not reported one by one.
    """
    call_ns: collections.Counter[str] = collections.Counter()
    sleep_ns: collections.Counter[str] = collections.Counter()
    for call in calls:
        call_ns[call.name] = max(call_ns[call.name], call.total if call.count == 1 else min(call.longest, call.total))
        for sleep in call.sleeps:
            sleep_ns[call.name] = max(sleep_ns[call.name], sleep.wait)
    for row in sums:
        call_ns[row.name] = max(call_ns[row.name], row.longest)
    for slept in sleeps:
        if slept.call:
            sleep_ns[slept.call] = max(sleep_ns[slept.call], slept.longest)
    return {name: Longest(ns, sleep_ns[name]) for name, ns in call_ns.items()}
