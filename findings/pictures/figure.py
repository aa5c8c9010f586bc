"""A run as a figure of the textbook (UNP 6.2): the typical message, what its thread did at each moment, what came before."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from findings.descriptors.registrations import EPOLL_CTL_ADD
from findings.pictures import scene
from findings.pictures.scene import Scene
from probes.measure.result import Call, Message, Result

F_SETFL, O_ASYNC = 4, 0o20000  # uapi/asm-generic/fcntl.h
FIONBIO = 0x5421  # uapi/asm-generic/ioctls.h
POLLING = 10  # calls without result for one message, from which on a thread polls


class Doing(enum.StrEnum):
    """What a thread does at a moment. The values are the names of the states in the reports."""

    ASLEEP = "asleep"
    RUN_QUEUE = "run queue"
    KERNEL = "kernel"
    COPY = "copy"
    USER = "user code"
    POLLING = "polling"  # user code and calls without result (EAGAIN) in turn; the recording has their number, not their times


@dataclass(frozen=True)
class Stretch:
    """What the thread did from one moment to another; `call` is None in user code."""

    begin: int
    end: int
    doing: Doing
    call: Call | None


@dataclass(frozen=True)
class Polls:
    """The calls on the message's descriptor that found no data, since the message before it."""

    name: str
    count: int
    ns: int  # from the first of them to the last
    errno: str


@dataclass(frozen=True)
class Figure:
    """One message, ready to be drawn: `stretches` cover the picture from its start to its end without a gap."""

    scene: Scene
    stretches: tuple[Stretch, ...]
    polls: Polls | None
    set_up: Call | None  # the call by which the program registered the descriptor for notification
    asleep_since: int | None  # when the sleep began that the thread was in at the start

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of the picture, in order."""
        return self.scene.calls


def figure(result: Result) -> Figure | None:
    """The figure of the typical message; None without any message."""
    typical = scene.choose(result)
    return None if typical is None else of(result, typical)


def of(result: Result, typical: Scene) -> Figure:
    """The figure of this message."""
    message = typical.message
    mine = [call for call in result.calls if call.thread == message.thread]
    at_start = typical.sleep_at_start
    return Figure(
        scene=typical,
        stretches=tuple(_stretches(typical, [call for call in mine if _polled(call)])),
        polls=None if at_start else _polls(mine, message),
        set_up=_set_up(result, message),
        asleep_since=at_start[1].off if at_start else None,
    )


def _polled(call: Call) -> bool:
    """Is it a burst of calls without result?"""
    return call.histogram is not None and call.errno == "EAGAIN"


def _stretches(typical: Scene, bursts: list[Call]) -> Iterator[Stretch]:
    """Every moment of the picture once, in order."""
    at = typical.start
    for call in typical.calls:
        if call.enter > at:
            yield _between(at, call.enter, bursts, typical.message)
        for stretch in inside(call):
            begin, end = max(stretch.begin, at), min(stretch.end, typical.end)
            if end > begin:
                yield Stretch(begin, end, stretch.doing, call)
        at = max(at, call.exit)
    if at < typical.end:
        yield _between(at, typical.end, bursts, typical.message)


def _between(begin: int, end: int, bursts: Iterable[Call], message: Message) -> Stretch:
    """The time between two calls: user code, or polling where a burst was under way before the message was read."""
    polling = end <= message.read and any(burst.enter < end and burst.exit > begin for burst in bursts)
    return Stretch(begin, end, Doing.POLLING if polling else Doing.USER, None)


def inside(call: Call) -> Iterator[Stretch]:
    """The parts of one call. A preempted time has a length, but no place: it is part of `kernel` here."""
    parts = [(sleep.off, sleep.woken, Doing.ASLEEP) for sleep in call.sleeps]
    parts += [(sleep.woken, sleep.on, Doing.RUN_QUEUE) for sleep in call.sleeps]
    if call.copied and call.copy:
        parts.append((call.copied - call.copy, call.copied, Doing.COPY))
    at = call.enter
    for begin, end, doing in sorted(parts):
        if begin > at:
            yield Stretch(at, begin, Doing.KERNEL, call)
        if end > max(begin, at):
            yield Stretch(max(begin, at), end, doing, call)
        at = max(at, end)
    if call.exit > at:
        yield Stretch(at, call.exit, Doing.KERNEL, call)


def _polls(mine: Iterable[Call], message: Message) -> Polls | None:
    """The calls on the descriptor that got EAGAIN between the message before and this message."""
    on_it = [call for call in mine if call.fd == message.fd and call.enter < message.read]
    since = max((call.exit for call in on_it if call.socket == message.socket and call.bytes), default=0)
    empty = [call for call in on_it if call.enter >= since and call.errno == "EAGAIN"]
    number = sum(call.count for call in empty)
    if number < POLLING:
        return None
    return Polls(empty[-1].name, number, empty[-1].exit - empty[0].enter, "EAGAIN")


def _set_up(result: Result, message: Message) -> Call | None:
    """The last registration of the message's descriptor before the message."""
    found = None
    for call in result.calls:
        if call.enter < message.ready and _registers(call, message.fd):
            found = call
    return found


def _registers(call: Call, fd: int) -> bool:
    """Does the call register this descriptor with epoll, or for a signal, or make it non-blocking?"""
    args = call.args
    if call.name == "epoll_ctl":
        return len(args) > 2 and args[1] == EPOLL_CTL_ADD and args[2] == fd
    if call.fd != fd or len(args) < 2:
        return False
    if call.name == "fcntl":
        return args[1] == F_SETFL and len(args) > 2 and bool(args[2] & O_ASYNC)
    return call.name == "ioctl" and args[1] == FIONBIO
