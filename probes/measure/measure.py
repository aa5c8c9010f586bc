"""From a recording to a Result: calls with their phases, messages, threads, losses. Pure Python, no BPF."""

from __future__ import annotations

import gc
import operator
from collections.abc import Sequence

from probes.measure.life import Life
from probes.measure.messages import completions_of, messages_of_batches, messages_of_calls
from probes.measure.reader import Reader
from probes.measure.result import Call, Details, Result, Thread
from probes.measure.sockets import private
from probes.measure.soundness import Soundness
from probes.measure.sums import check_laws
from probes.measure.table import table, table_of_sums
from probes.recording import Recording


def measure(recording: Recording) -> Result:
    """All figures of a recording, without checks: the lab adds them."""
    reader = Reader(recording)
    lives = _read(reader)
    threads = tuple(reader.thread(life) for life in lives)
    calls = tuple(sorted((call for life in lives for call in life.calls), key=operator.attrgetter("enter", "thread")))
    copies = sorted((copy for life in lives for copy in life.socket_copies), key=lambda copy: copy.copied)
    families = {life.birth.thread: life.family for life in lives}
    messages = [*messages_of_calls(calls), *messages_of_batches(calls, copies), *completions_of(calls, copies, families)]
    _leave_out(calls, private(reader.sockets.listed()))
    details = _details(reader, threads, calls, recording)
    check_laws(reader.sums, threads, calls if details.complete else None, reader.unmatched)
    listed = sorted((event for life in lives for event in life.listed), key=lambda event: event.at)
    return Result(
        machine=recording.machine,
        probes=recording.probes,
        events=Soundness(recording.losses, calls, copies).events(recording.seen, reader.unmatched),
        calls=calls,
        rows=table(calls, recording.probes) if details.complete else table_of_sums(reader.sums, calls, recording.probes),
        messages=tuple(sorted(messages, key=lambda message: message.returned)),
        threads=threads,
        context=recording.context,
        listed=tuple(listed) if reader.lists else None,
        sums=tuple(reader.sums.calls),
        sleep_sums=tuple(reader.sums.sleeps),
        others=reader.sums.others,
        details=details,
        socket_names=reader.sockets.listed(),
        socket_ends=reader.sockets.ended(),
    )


def _leave_out(calls: Sequence[Call], sockets: set[int]) -> None:
    """Takes these sockets out of the calls. Their data makes messages, but no client sent it, as that of the others."""
    if sockets:
        for call in calls:
            if call.socket in sockets:
                call.socket = None


def _details(reader: Reader, threads: Sequence[Thread], calls: Sequence[Call], recording: Recording) -> Details:
    others = reader.sums.others
    made = sum(thread.calls for thread in threads) + (others.calls if others else 0)
    return Details(sum(call.count for call in calls), made, recording.windows, recording.left_out)


def _read(reader: Reader) -> list[Life]:
    """The lives, read without garbage collection, which would search for cycles in a million calls that have none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return reader.read()
    finally:
        if collecting:
            gc.enable()
