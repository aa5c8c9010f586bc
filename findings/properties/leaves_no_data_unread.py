"""No thread goes to sleep while it knows of unread data, and no socket is left with unread data at the end."""

from __future__ import annotations

import bisect

from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call, Message
from probes.words import count, ms


def observe(run: Run) -> Observation:
    """Looks at the last read of each socket, and at the sleeps between a message's first read and its last byte."""
    reads = [call for call in run.reads if call.socket and call.bytes]
    if not reads:
        return not_shown("no call read data from a socket")
    last = {call.socket: call for call in reads}
    left = [call for call in last.values() if not call.drained]
    late = [(message, asleep) for message in run.result.messages if (asleep := _slept_in_between(run, message))]
    if not left and not late:
        return held(
            f"the last read of {count(len(last), 'socket')} emptied it, and no thread slept between two reads of a message"
        )
    words = []
    if left:
        words.append(f"{count(len(left), 'socket')} of {len(last)} still had unread data after the last read")
    if late:
        longest = max(asleep for _, asleep in late)
        words.append(f"{count(len(late), 'message')} had unread data while the thread slept in its wait, up to {ms(longest)}")
    return broken("; ".join(words))


def _slept_in_between(run: Run, message: Message) -> int:
    """How long the message's thread slept in its wait between the first read of the message and the last one, ns."""
    calls = run.calls_of.get(message.thread, [])
    after_read = bisect.bisect_right(calls, message.read, key=_enter)
    before_copied = bisect.bisect_left(calls, message.copied, key=_enter)
    return sum(call.wait for call in calls[after_read:before_copied] if call.name in syscalls.LOOP_WAITS)


def _enter(call: Call) -> int:
    return call.enter


LEAVES_NO_DATA_UNREAD = Property(
    id="leaves-no-data-unread",
    statement="no data stays unread in a socket while its thread sleeps",
    remedy="read until EAGAIN before the next wait; edge-triggered epoll reports an arrival only once",
    observe=observe,
)
