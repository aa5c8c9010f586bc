"""A part of a Result: the calls of some threads, of some names, or on some descriptors. Every report shows the part alike."""

from __future__ import annotations

from dataclasses import replace

from findings.part import Part
from findings.view import Run
from probes.measure.result import Call, Message, Result, Thread
from probes.measure.rows import CallSum, SleepSum
from probes.measure.sockets import SocketName
from probes.measure.table import Sums, table, table_of_sums


def narrowed(result: Result, part: Part) -> Result:
    """The part of the result. A thread of the part keeps the account of its whole life; threads without a call of the part
    are left out. The sums of a run do not tell one descriptor from another: a part of descriptors has the recorded calls alone.
    """
    if not part:
        return result
    threads = {thread.serial for thread in result.threads if part.has_thread(thread)}
    ports = _Ports(result, part)
    calls = tuple(call for call in result.calls if call.thread in threads and part.has_call(call) and ports.have_call(call))
    sums, sleep_sums = _sums(result, part, threads)
    if part.calls or part.of_descriptors:
        threads = {call.thread for call in calls} | {row.thread for row in sums}
    of_sums = sums and not result.details.complete
    return replace(
        result,
        calls=calls,
        rows=table_of_sums(Sums(sums, sleep_sums), calls, result.probes) if of_sums else table(calls, result.probes),
        sums=sums,
        sleep_sums=sleep_sums,
        messages=tuple(
            message
            for message in result.messages
            if message.thread in threads and (not part.fds or message.fd in part.fds) and ports.have_message(message)
        ),
        threads=tuple(_within(thread, part) for thread in result.threads if thread.serial in threads),
        socket_names=tuple(name for name in result.socket_names if _has_socket(part, name)),
        socket_ends=tuple(end for end in result.socket_ends if end.name.thread in threads and _has_socket(part, end.name)),
    )


def _has_socket(part: Part, name: SocketName) -> bool:
    """Is the socket on the part's descriptors and ports? Its thread may be another: the socket was accepted there."""
    return (not part.fds or name.fd in part.fds) and (not part.ports or bool(name.ports & set(part.ports)))


class _Ports:
    """Which calls and messages are about a socket with one of the part's ports."""

    def __init__(self, result: Result, part: Part) -> None:
        self._wanted = set(part.ports)
        self._descriptors = Run(result).descriptors if part.ports else None

    def have_call(self, call: Call) -> bool:
        return self._descriptors is None or self._has(self._descriptors.name_of(call))

    def have_message(self, message: Message) -> bool:
        if self._descriptors is None:
            return True
        name = self._descriptors.of_socket(message.socket)
        return self._has(name or self._descriptors.name_at(message.thread, message.fd, message.read))

    def _has(self, name: SocketName | None) -> bool:
        return name is not None and bool(name.ports & self._wanted)


def _sums(result: Result, part: Part, threads: set[int]) -> tuple[tuple[CallSum, ...], tuple[SleepSum, ...]]:
    if part.of_descriptors:
        return (), ()

    def has(thread: int, name: str | None) -> bool:
        return thread in threads and (part.has_name(name) if name else not part.calls)

    calls = tuple(row for row in result.sums if has(row.thread, row.name))
    return calls, tuple(row for row in result.sleep_sums if has(row.thread, row.call))


def _within(thread: Thread, part: Part) -> Thread:
    """The thread without its sleeps outside calls where the part is one of calls."""
    return replace(thread, slept_on=()) if part.calls or part.of_descriptors else thread
