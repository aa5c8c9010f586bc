"""All messages of a run for a page that shows each as a strip: all of them, or the longest and a sample of the others."""

from __future__ import annotations

from dataclasses import dataclass

from probes.measure.percentiles import percentile_of
from probes.measure.result import Message, Result

MOST = 1_000  # strips of a page
_LONGEST = 300  # of these, where there are more messages
_USUAL = 1.5  # times the 95th percentile: what is longer is cut, or it would make all others invisible


@dataclass(frozen=True)
class Strip:
    """One message: its number in the order of arrival, and its parts in ns, which follow each other."""

    number: int
    message: Message
    thread: str  # the name of the thread that read it
    unread: int  # until the thread was notified
    noticed: int  # from then until the copy was complete
    copied: int  # from then until it was returned to the program

    @property
    def total(self) -> int:
        """From "ready" to "returned to the program", without the probe's own work."""
        return self.unread + self.noticed + self.copied


@dataclass(frozen=True)
class Strips:
    """The strips in the order of arrival: all of them, or a selection. `of` is the number of messages in the recording."""

    shown: tuple[Strip, ...]
    of: int
    longest: int  # so many of the longest are among them, where not all are shown
    scale: int  # ns: the length of a full strip
    start: int  # when the first of the run's threads began

    @property
    def every(self) -> bool:
        """Is each message shown?"""
        return len(self.shown) == self.of


def strips(result: Result, most: int = MOST) -> Strips:
    """The strips of a run's messages."""
    names = {thread.serial: thread.name for thread in result.threads}
    ordered = sorted(result.messages, key=lambda message: message.ready)
    every = [_strip(number, message, names.get(message.thread, "")) for number, message in enumerate(ordered, 1)]
    totals = sorted(strip.total for strip in every)
    scale = min(round(_USUAL * (percentile_of(totals, 0.95) or 1)), totals[-1] if totals else 1)
    longest = min(_LONGEST, most // 2)
    return Strips(
        shown=tuple(every if len(every) <= most else _selection(every, longest, most)),
        of=len(every),
        longest=longest,
        scale=max(scale, 1),
        start=min((thread.start for thread in result.threads), default=0),
    )


def _strip(number: int, message: Message, thread: str) -> Strip:
    unread, noticed = message.ready_to_notified, message.notified_to_copied
    rest = message.returned - message.ready - message.probed - unread - noticed
    return Strip(number, message, thread, unread, noticed, max(rest, 0))


def _selection(every: list[Strip], longest: int, most: int) -> list[Strip]:
    """The longest, and of the others one in so many, in the order of arrival."""
    by_length = sorted(every, key=lambda strip: -strip.total)
    others = sorted(by_length[longest:], key=lambda strip: strip.number)
    step = len(others) / (most - longest)
    sample = [others[int(place * step)] for place in range(most - longest)]
    return sorted([*by_length[:longest], *sample], key=lambda strip: strip.number)
