"""The one message that a report shows in full: which message is typical, and which calls of its thread belong to it."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, replace

from findings.view import Run
from probes.context import Exchange
from probes.kernel import syscalls
from probes.measure.result import Call, Message, Result, Sleep


@dataclass(frozen=True)
class Scene:
    """One message with the calls that belong to it. Times are those of a run without the probe's own work in the wake-up."""

    message: Message
    calls: tuple[Call, ...]  # of the serving thread, from the call under way when the client sent to the call that echoed
    sent: int | None  # when the client called send; None: not known, or too long before to be drawn to scale
    end: int
    median_of: int  # the message is the median of so many messages,
    slept_for: bool = False  # which are those that found the thread asleep, of
    messages: int = 0  # so many messages in all
    sent_long_before: int | None = None  # when the client called send, if that cannot be drawn to scale (over a link)

    @property
    def start(self) -> int:
        """The first moment of the picture."""
        return min(self.sent or self.message.ready, self.message.ready)

    @property
    def sleep_at_start(self) -> tuple[Call, Sleep] | None:
        """The sleep that the thread was in, or was being woken from, at the start of the picture."""
        return next(((call, sleep) for call, sleep in self._sleeps() if sleep.off <= self.start <= sleep.on), None)

    @property
    def sleep_when_ready(self) -> tuple[Call, Sleep] | None:
        """The sleep during which the data arrived. A sleep that had been ended by then was for other data."""
        ready = self.message.ready
        return next(((call, sleep) for call, sleep in self._sleeps() if sleep.off <= ready <= sleep.woken), None)

    @property
    def reporter(self) -> Call | None:
        """The call that notified the thread, if it is in the picture."""
        message = self.message
        named = (call for call in self.calls if call.name == message.notified_by)
        return next((call for call in named if call.enter <= message.notified <= call.exit), None)

    @property
    def echoes(self) -> list[Call]:
        """The calls that wrote to the message's own connection after the message was returned to the program."""
        return echoes(self.calls, self.message)

    @property
    def reads(self) -> list[Call]:
        """The calls that took the message from its socket; none where a completion announces it."""
        message = self.message
        return [call for call in self.calls if call.socket == message.socket and message.read <= call.enter < message.returned]

    def _sleeps(self) -> Iterable[tuple[Call, Sleep]]:
        return ((call, sleep) for call in self.calls for sleep in call.sleeps)


def choose(result: Result) -> Scene | None:
    """The median message by the time from ready to returned, of those that found the thread asleep and whose sending is known.

    Where no message fulfils a condition, that condition is left out. None without any message.
    """
    sends = _Sends(result)
    slept = _found_asleep(result) or list(result.messages)
    candidates = [message for message in slept if sends.of(message)] or slept
    if not candidates:
        return None
    candidates.sort(key=lambda message: message.returned - message.ready)
    message = candidates[len(candidates) // 2]
    mine = [call for call in result.calls if call.thread == message.thread and call.histogram is None]
    writes = echoes(mine, message)
    end = writes[0].exit if writes and writes[0].enter - message.returned < 20 * _span(message) else message.returned
    sent, long_before = _in_the_picture(result, message, sends.of(message))
    scene = Scene(
        message=message,
        calls=(),
        sent=sent,
        end=end,
        median_of=len(candidates),
        slept_for=len(candidates) < len(result.messages),
        messages=len(result.messages),
        sent_long_before=long_before,
    )
    calls = tuple(call for call in mine if call.exit >= scene.start and call.enter <= end)
    return _without_probe(replace(scene, calls=calls))


def _in_the_picture(result: Result, message: Message, sent: int | None) -> tuple[int | None, int | None]:
    """When the client sent the message: once if the picture can show it to scale, else as a time long before."""
    if sent is None:
        return None, None
    if Run(result).link:
        return (None, sent) if message.ready - sent > 3 * _span(message) else (sent, None)
    if message.ready - sent > 20 * _span(message):
        return None, None  # this was the send of another message
    return sent, None


def echoes(calls: Iterable[Call], message: Message) -> list[Call]:
    """The calls that wrote to the message's own connection after the message was returned to the program."""
    return [
        call
        for call in calls
        if call.name in syscalls.WRITES and call.bytes and call.enter >= message.returned and call.fd == message.fd
    ]


def _without_probe(scene: Scene) -> Scene:
    """The scene without the time that the wake-up's own probe took in the waker; that time is measured.

    Walking the waker's stack may take longer than the rest of the way from "ready" to "returned".
    """
    if scene.sleep_when_ready is None:
        return scene
    _, sleep = scene.sleep_when_ready
    after = sleep.woken
    cut = min(sleep.probed, after - scene.message.ready)

    def earlier(when: int) -> int:
        return when - cut if when >= after else when

    def moved(call: Call) -> Call:
        sleeps = tuple(replace(s, off=earlier(s.off), woken=earlier(s.woken), on=earlier(s.on)) for s in call.sleeps)
        copied = earlier(call.copied) if call.copied else None
        return replace(call, enter=earlier(call.enter), exit=earlier(call.exit), copied=copied, sleeps=sleeps)

    message = replace(
        scene.message,
        notified=earlier(scene.message.notified),
        read=earlier(scene.message.read),
        copied=earlier(scene.message.copied),
        returned=earlier(scene.message.returned),
        probed=cut,
        all_ready=earlier(scene.message.all_ready) if scene.message.all_ready else None,
    )
    return replace(scene, message=message, calls=tuple(map(moved, scene.calls)), end=earlier(scene.end))


def _span(message: Message) -> int:
    return max(message.returned - message.ready, 1_000)


def _found_asleep(result: Result) -> list[Message]:
    """The messages whose data arrived while their thread slept in the call that then reported it.

    A thread that other data had woken, and that waited for a CPU, was not found asleep.
    """
    asleep: dict[int, list[tuple[int, int, int]]] = {}  # of each thread: (asleep from, until, end of the call)
    for call in result.calls:
        asleep.setdefault(call.thread, []).extend((sleep.off, sleep.woken, call.exit) for sleep in call.sleeps)
    for spans in asleep.values():
        spans.sort()

    def found_asleep(message: Message) -> bool:
        spans = asleep.get(message.thread, [])
        before = bisect.bisect_right(spans, message.ready, key=lambda span: span[0])
        return before > 0 and spans[before - 1][1] >= message.ready and message.notified <= spans[before - 1][2]

    return [message for message in result.messages if found_asleep(message)]


class _Sends:
    """When the clients sent their messages.

    On loopback a message was sent by the last send before "ready". Over a link later messages may be under way already, so only
    an exchange that was alone under way from "ready" to "returned" is sure.
    """

    def __init__(self, result: Result) -> None:
        run = Run(result)
        self._over_a_link = run.link
        self._exchanges = sorted(run.seen.exchanges)
        self._longest = max((exchange.round_trip for exchange in self._exchanges), default=0)

    def of(self, message: Message) -> int | None:
        """When the client sent this message, ns; None: not known."""
        end = bisect.bisect_right(self._exchanges, message.ready, key=_sent)
        if not self._over_a_link:
            return self._exchanges[end - 1].sent if end else None
        begin = bisect.bisect_left(self._exchanges, message.returned - self._longest, key=_sent)
        around = [sent for sent, echoed in self._exchanges[begin:end] if message.returned <= echoed]
        return around[0] if len(around) == 1 else None


def _sent(exchange: Exchange) -> int:
    return exchange.sent
