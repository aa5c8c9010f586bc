"""From a recording to a Result: calls with their phases, messages, threads, losses. Pure Python, no BPF."""

from __future__ import annotations

import gc

from probes.measure.messages import completions_of, messages_of_batches, messages_of_calls
from probes.measure.reader import Life, Reader
from probes.measure.result import Result
from probes.measure.soundness import Soundness
from probes.measure.table import table
from probes.recording import Recording


def measure(recording: Recording) -> Result:
    """All figures of a recording, without checks: the lab adds them."""
    reader = Reader(recording)
    lives = _read(reader)
    threads = tuple(reader.thread(life) for life in lives)
    calls = tuple(sorted((call for life in lives for call in life.calls), key=lambda call: (call.enter, call.thread)))
    copies = sorted((copy for life in lives for copy in life.socket_copies), key=lambda copy: copy.copied)
    families = {life.birth.thread: life.family for life in lives}
    messages = [*messages_of_calls(calls), *messages_of_batches(calls, copies), *completions_of(calls, copies, families)]
    listed = sorted((event for life in lives for event in life.listed), key=lambda event: event.at)
    return Result(
        machine=recording.machine,
        probes=recording.probes,
        events=Soundness(recording.losses, calls, copies).events(recording.seen, reader.unmatched),
        calls=calls,
        rows=table(calls, recording.probes),
        messages=tuple(sorted(messages, key=lambda message: message.returned)),
        threads=threads,
        context=recording.context,
        listed=tuple(listed) if reader.lists else None,
    )


def _read(reader: Reader) -> list[Life]:
    """The lives, read without garbage collection, which would search for cycles in a million calls that have none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return reader.read()
    finally:
        if collecting:
            gc.enable()
