"""How a server waits while connections are open: its waits, their sleeps and results, and the share of time asleep."""

from __future__ import annotations

from dataclasses import dataclass

from findings.view import Run
from probes.kernel import syscalls
from probes.words import count, ms


@dataclass(frozen=True)
class Waiting:
    """The calls of a multiplexer, and the time from the first accepted connection to the last read.

    The life of a server begins before the first client and ends after the last. Then any server that waits for a connection
    sleeps. So the shares are those of the time in which connections were open.
    """

    calls: int
    asleep: int  # calls that slept at least once
    without_result: int  # calls that returned 0: nothing was ready
    ended_by_timer: int  # calls without result that slept
    reported: int  # descriptors that were returned as ready, each time anew
    span: int  # ns
    slept: int  # ns of the span in which the server's first thread slept

    @property
    def runnable(self) -> float:
        """The share of the span in which the thread was on a CPU, or waited for a CPU."""
        return 1 - self.slept / self.span if self.span else 0.0

    @property
    def words(self) -> str:
        """The figures in a sentence."""
        return (
            f"{count(self.calls, 'wait')}, {self.asleep:,} of them asleep and {self.without_result:,} without result;"
            f" the thread was runnable for {self.runnable:.1%} of the {ms(self.span)} in which connections were open"
        )


def waiting(run: Run) -> Waiting:
    """How the server waited. Zero everywhere if it accepted no connection."""
    begin = min((call.exit for call in run.connections), default=0)
    end = max((call.exit for call in run.reads if call.socket), default=0)
    waits = [call for call in run.waits if begin and call.exit >= begin and call.enter <= end]
    spans = [
        (max(sleep.off, begin), min(sleep.woken, end))
        for call in run.result.calls
        if call.thread == run.server.serial
        for sleep in call.sleeps
    ]
    return Waiting(
        calls=sum(call.count for call in waits),
        asleep=sum(1 for call in waits if call.sleeps),
        without_result=sum(call.count for call in waits if call.result == 0),
        ended_by_timer=sum(1 for call in waits if call.result == 0 and call.sleeps),
        reported=sum(call.result for call in waits if call.result and call.result > 0),
        span=max(end - begin, 0) if begin else 0,
        slept=sum(max(until - since, 0) for since, until in spans) if begin else 0,
    )


def packets_ended(run: Run) -> tuple[int, int]:
    """The messages that arrived while the thread slept in a multiplexer: of how many a packet ended the sleep, and how many."""
    asleep = [(call.thread, sleep) for call in run.result.named(*syscalls.MULTIPLEXERS) for sleep in call.sleeps]
    ended = [
        sleep
        for message in run.result.messages
        for thread, sleep in asleep
        if thread == message.thread and sleep.off <= message.ready <= sleep.woken
    ]
    return sum(1 for sleep in ended if sleep.waker and sleep.waker.by_packet), len(ended)
