"""The picture's message in words: each step with its time from "data ready"."""

from __future__ import annotations

from findings.pictures.scene import Scene
from probes.measure.queues import place
from probes.measure.result import Message
from probes.measure.wakers import Waker, sent_by_waker
from reports.words import duration

Step = tuple[int, str]  # (ns, what happened)


def steps(scene: Scene) -> list[Step]:
    """The steps in order; times are ns after the data was ready, negative before."""
    message = scene.message
    found = _ready(message)
    if sent := scene.sent or scene.sent_long_before:
        found.append((sent, "the client calls send"))
    if sleep := scene.sleep_when_ready:
        call, asleep = sleep
        found.append((asleep.off, f"{call.name} puts the thread to sleep {place(asleep.queue)}"))
        if asleep.waker:
            found.append((asleep.woken, f"the thread is woken: {asleep.waker.words} -> thread; {_whose(asleep.waker)}"))
        notified = ": notified" if asleep.on == message.notified else ""
        found.append((asleep.on, f"the thread is on a CPU, {duration(asleep.delay)} after the wake-up{notified}"))
    if not sleep or sleep[1].on != message.notified:
        found.append((message.notified, f"the thread, in {message.notified_by}, can know of the data: notified"))
    found += _completion(scene) if not scene.reads else _reading(scene)
    if writes := scene.echoes:
        found.append((writes[0].exit, f"{writes[0].name} returns: the echo is sent, in {duration(writes[0].total)}"))
    return sorted((at - message.ready, words) for at, words in found)


def _ready(message: Message) -> list[Step]:
    """The arrival of the data: for data in several segments, of the first and of the last segment."""
    if message.arrivals <= 1:
        return [(message.ready, f"the data ({message.bytes:,} B) is in the socket's receive queue: ready")]
    words = f"the first of {message.arrivals:,} segments ({message.bytes:,} B together) is in the socket's receive queue: ready"
    last = "the last segment is in the socket's receive queue: all data is ready"
    return [(message.ready, words), *([(message.all_ready, last)] if message.all_ready is not None else [])]


def _whose(waker: Waker) -> str:
    """In whose context the wake-up ran."""
    if sent_by_waker(waker.stack):
        return "the sender's own send delivers the packet (softirq)"
    if waker.by_packet:
        return f"an interrupt delivers the packet, while {waker.comm} is running"
    return f"{waker.comm} wakes it"


def _completion(scene: Scene) -> list[Step]:
    """Phase 2 without a reading call: the data is copied before a call returns the completion."""
    message = scene.message
    return [
        (message.copied, f"the data is copied to the process{_copies(scene)}, before a call returns the completion"),
        (message.returned, f"{message.notified_by} returns with the completion: the program has the data"),
    ]


def _reading(scene: Scene) -> list[Step]:
    """Phase 2 by a reading call."""
    message, reads = scene.message, scene.reads
    read, found = reads[-1], list[Step]()
    if message.notified_by != read.name and scene.reporter:
        found.append((scene.reporter.exit, f"{message.notified_by} returns: the program knows that data is ready"))
    if message.read >= message.ready:
        first = f" the first of {message.reads} times" if message.reads > 1 else ""
        found.append((message.read, f"the thread calls {read.name}{first}"))
    copying = sum(read.copy for read in reads)
    how = f"; the copy takes at most {duration(copying)}" if copying else " (not measured; counted as kernel)"
    found.append((message.copied, f"the data is copied to the process{_copies(scene)}{how}"))
    meanwhile = f"; {duration(read.preempted)} of the call preempted" if read.preempted else ""
    found.append((message.returned, f"{read.name} returns: the program has the data{meanwhile}"))
    return found


def _copies(scene: Scene) -> str:
    return f" in {scene.message.reads} copies" if scene.message.reads > 1 else ""
