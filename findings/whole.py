"""Whether a recording has every call of its program: a finding that rests on a missing call needs them all."""

from __future__ import annotations

from probes.measure.result import Result
from probes.words import count


def why_not_whole(result: Result) -> str:
    """Why calls of the program may be missing from the recording; "" where none is."""
    if result.events.lost or result.events.unmatched:
        return f"{count(result.events.lost, 'event')} lost and {result.events.unmatched:,} unmatched: a call may be missing"
    if result.events.full:
        return "the recording was full before the program ended"
    details = result.details
    return "" if details.complete else f"only {details.recorded:,} of {details.of:,} calls were recorded one by one"
