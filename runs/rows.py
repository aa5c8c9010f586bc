"""A row of the comparison: what the results of one model's rounds say about it, by rules that don't know the model."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from findings import summary
from findings.distribution import Distribution, distribution
from findings.rounds import Spread, spread
from probes.kernel import syscalls
from probes.measure.percentiles import median
from probes.measure.result import Result

_POLLING = 10  # calls without result for each read with data, from which on a thread polls


@dataclass(frozen=True)
class Waiting:
    """Phase 1: asleep in `call` on `queue`; or, with `polls`, awake, with so many EAGAIN for each message."""

    call: str = ""
    queue: str = ""
    worker: bool = False  # by a thread or process that the server created for it
    polls: int = 0


@dataclass(frozen=True)
class Copying:
    """Phase 2: the call that makes the copy."""

    call: str
    worker: bool


@dataclass(frozen=True)
class Round:
    """One run of one model. `answered`: the number of messages that came back to the clients. Times are medians, ns."""

    result: Result
    answered: int
    memory_bytes: int


@dataclass(frozen=True)
class Row:
    """One model. Figures "per message" are per message of a client that was answered: the same number for each model.

    Each round's time is the median of its messages; None where no message could be timed, or a phase was not seen.
    """

    model: str
    phase_1: Waiting | None
    phase_2: Copying | None
    rounds: int
    messages: int
    calls_per_message: float
    ready_to_notified_ns: Spread | None
    notified_to_copied_ns: Spread | None
    segments: int  # in which a message arrived (median)
    ready_to_all_ready_ns: int | None  # None: the messages arrived in one segment, or the last segment's time is not known
    cpu_per_message_ns: Spread
    switches_per_message: float
    threads: int
    memory_bytes: int
    sound: bool
    ready_to_notified_spread_ns: Distribution | None = (
        None  # of all messages of all rounds, from "ready": until the thread was notified
    )
    ready_to_copied_spread_ns: Distribution | None = None  # until the data was copied


def row(model: str, rounds: Sequence[Round]) -> Row:
    """What the rounds say about their model."""
    figures = [summary.messages(round_.result) for round_ in rounds]
    messages = [message for round_ in rounds for message in round_.result.messages]
    waits = collections.Counter(waiting for round_ in rounds if (waiting := _phase_1(round_.result)))
    copies = collections.Counter(copying for round_ in rounds if (copying := _phase_2(round_.result)))
    late = [message.all_ready - message.ready for message in messages if message.arrivals > 1 and message.all_ready is not None]
    segments = median(message.arrivals for message in messages) or 0
    cpu = spread(_on_cpu(round_.result) // max(round_.answered, 1) for round_ in rounds)
    assert cpu is not None, "a model without a round has no row"
    return Row(
        model=model,
        phase_1=_merged(waits),
        phase_2=copies.most_common(1)[0][0] if copies else None,
        rounds=len(rounds),
        messages=len(messages),
        calls_per_message=_per_message(rounds, lambda result: sum(thread.calls for thread in result.threads)),
        ready_to_notified_ns=spread(
            figure.ready_to_notified.p50 for figure in figures if figure.ready_to_notified.p50 is not None
        ),
        notified_to_copied_ns=spread(
            figure.notified_to_copied.p50 for figure in figures if figure.notified_to_copied.p50 is not None
        ),
        segments=segments,
        ready_to_all_ready_ns=median(late) if segments > 1 else None,
        cpu_per_message_ns=cpu,
        switches_per_message=_per_message(rounds, lambda result: sum(thread.voluntary_switches for thread in result.threads)),
        threads=max(len(round_.result.threads) for round_ in rounds),
        memory_bytes=max(round_.memory_bytes for round_ in rounds),
        sound=all(round_.result.events.sound for round_ in rounds),
        ready_to_notified_spread_ns=distribution(message.ready_to_notified for message in messages),
        ready_to_copied_spread_ns=distribution(message.ready_to_notified + message.notified_to_copied for message in messages),
    )


def _per_message(rounds: Iterable[Round], counted: Callable[[Result], int]) -> float:
    return round(median(counted(round_.result) / max(round_.answered, 1) for round_ in rounds) or 0, 1)


def _on_cpu(result: Result) -> int:
    return sum(thread.user + thread.kernel + thread.copy for thread in result.threads)


def _merged(waits: collections.Counter[Waiting]) -> Waiting | None:
    """What most rounds showed. Rounds of polling differ in their number of calls: their median."""
    polls = [found.polls for found in waits.elements() if found.polls]
    if polls and 2 * len(polls) > waits.total():
        return Waiting(polls=median(polls) or 0)
    return waits.most_common(1)[0][0] if waits else None


def _phase_1(result: Result) -> Waiting | None:
    """Phase 1: the calls that waited for data, or that polled for data."""
    polling = syscalls.READS | syscalls.ACCEPTS
    empty = sum(call.count for call in result.calls if call.errno == "EAGAIN" and call.name in polling)
    with_data = sum(1 for call in result.calls if call.bytes and call.socket)  # a large message takes many reads
    if empty > _POLLING * max(len(result.messages), with_data):
        return Waiting(polls=empty // max(len(result.messages), 1))
    packets: collections.Counter[Waiting] = collections.Counter()
    first_thread = result.threads[0].serial
    for call in result.calls:
        if call.name in syscalls.ACCEPTS:
            continue
        for sleep in call.sleeps:
            if sleep.waker and sleep.waker.chain[0] == "packet":
                packets[Waiting(call.name, sleep.queue, call.thread != first_thread)] += 1
    return packets.most_common(1)[0][0] if packets else None


def _phase_2(result: Result) -> Copying | None:
    """Whose call made the copy."""
    first_thread = result.threads[0].serial
    copying = collections.Counter(
        Copying(call.name, call.thread != first_thread) for call in result.calls if call.copied is not None
    )
    return copying.most_common(1)[0][0] if copying else None


def kind_of_waiting(waiting: Waiting) -> str:
    """Where a model waits, in the text's words."""
    if waiting.polls:
        return "polling"
    if waiting.call.startswith("rt_sig") or waiting.queue == "signalfd":
        return "waiting for a signal"
    if waiting.queue == "socket":
        return "blocked in a call on the socket" + (" by a worker" if waiting.worker else "")
    return "waiting for completions" if waiting.call.startswith("io_uring") else "blocked in a multiplexer"
