"""A recording made longer: the same run several times in a row, or beside itself with threads of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from probes.context import Client, Exchange, ServerRun
from probes.kernel import records
from probes.kernel.records import Kind
from probes.recording import Recording

_TIMES = {"start", "enter", "exit", "ready", "copied", "off", "woken", "on", "started", "at", "first", "last", "end"}
_TOTALS = ("calls", "bursts", "wait", "delay", "preempted", "sleeps", "preemptions")  # of an exit record
_FAR = 1_000  # more than the threads, sockets and descriptors of a recording


def longer(recording: Recording, times: int) -> Recording:
    """The same threads do the same `times` times, each time with other sockets."""
    every = list(records.decode(recording.data, recording.layouts))
    births = [record for record in every if record.kind == Kind.THREAD]
    exits = [record for record in every if record.kind == Kind.EXIT]
    work = [record for record in every if record.kind not in (Kind.THREAD, Kind.EXIT)]
    span = recording.end - min(record.start for record in births)
    repeated = [_moved(record, number, span, threads=False) for number in range(times) for record in work]
    ended = [
        record._replace(end=record.end + (times - 1) * span, **{name: getattr(record, name) * times for name in _TOTALS})
        for record in exits
    ]
    return _recording(recording, [*births, *repeated, *ended], times, span)


def wider(recording: Recording, times: int) -> Recording:
    """`times` as many threads, each with sockets of its own, one set of threads after the other."""
    every = list(records.decode(recording.data, recording.layouts))
    span = recording.end - min(record.start for record in every if record.kind == Kind.THREAD)
    repeated = [_moved(record, number, span, threads=True) for number in range(times) for record in every]
    return _recording(recording, repeated, times, span)


def _moved(record: Any, number: int, span: int, threads: bool) -> Any:
    """A record as the repetition of that number has it."""
    fields = record._asdict()
    changed = {name: value + number * span for name, value in fields.items() if name in _TIMES and value}
    if fields.get("socket"):
        changed["socket"] = record.socket + number * _FAR
    if threads:
        changed["thread"] = record.thread + number * _FAR
        if fields.get("parent"):
            changed["parent"] = record.parent + number * _FAR
    return record._replace(**changed)


def _recording(recording: Recording, every: list[Any], times: int, span: int) -> Recording:
    data = b"".join(records.encode(record, recording.layouts) for record in every)
    assert isinstance(recording.context, ServerRun)
    context = _context(recording.context, times, span)
    return replace(recording, data=data, end=recording.end + (times - 1) * span, context=context)


def _context(context: ServerRun, times: int, span: int) -> ServerRun:
    """The context with the clients of every repetition."""
    clients = context.traffic_seen.clients
    repeated = tuple(_later(client, number * span) for number in range(times) for client in clients)
    return replace(context, traffic_seen=replace(context.traffic_seen, clients=repeated))


def _later(client: Client, ns: int) -> Client:
    exchanges = tuple(Exchange(exchange.sent + ns, exchange.echoed + ns) for exchange in client.exchanges)
    return replace(client, asked=client.asked + ns, connected=client.connected + ns, exchanges=exchanges)
