"""Whether a recording has every call of its program: a finding that rests on a missing call needs them all."""

from __future__ import annotations

from dataclasses import replace

from probes.measure.result import Details, Result
from probes.words import count


def why_not_whole(result: Result) -> str:
    """Why calls of the program may be missing from the recording; "" where none is."""
    if result.events.lost or result.events.unmatched:
        return f"{count(result.events.lost, 'event')} lost and {result.events.unmatched:,} unmatched: a call may be missing"
    if result.events.full:
        return "the recording was full before the program ended"
    details = result.details
    return "" if details.complete else f"only {details.recorded:,} of {details.of:,} calls were recorded one by one"


def first_part(result: Result) -> Result | None:
    """The beginning of a long run, of which the recording has every call; None where it has none.

    Details have a budget, half of which is for the beginning (Details.windows). Threads end where this part ends.
    """
    if not result.events.sound or result.events.full or result.details.complete or not result.details.windows:
        return None
    _, end = result.details.windows[0]
    calls = tuple(call for call in result.calls if call.exit <= end)
    threads = tuple(
        replace(thread, end=min(thread.end, end), ended=thread.ended and thread.end <= end)
        for thread in result.threads
        if thread.start <= end
    )
    number = sum(call.count for call in calls)
    return replace(
        result,
        calls=calls,
        messages=tuple(message for message in result.messages if message.returned <= end),
        threads=threads,
        details=Details(number, number),
    )
