"""Findings that several labs come to: where the thread slept, who served whom, what was created for whom."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Sequence

from findings.view import Finding, Run, confirmed, failed, sleeps, unavailable, waited
from probes.kernel import syscalls
from probes.measure.queues import place
from probes.measure.result import Call, Thread, Verdict

NO_COPY = "no tracepoint brackets the copy of a datagram: fentry or kprobes would show it"


def together(*findings: Finding) -> Finding:
    """One finding of several: failed if one failed, unavailable if one is, else confirmed."""
    verdicts = {one.verdict for one in findings}
    words = "; ".join(one.evidence for one in findings)
    if Verdict.FAILED in verdicts:
        return failed(words)
    return unavailable(words) if Verdict.UNAVAILABLE in verdicts else confirmed(words)


def asleep_only_in(run: Run, queue: str) -> Finding:
    """The waiting was done in a multiplexer (or its like) on that wait queue, never in a call on a socket."""
    waits = [one for one in run.result.calls if any(sleep.queue == queue for sleep in one.sleeps) and not _on_socket(one)]
    sockets = [one for one in run.result.calls if _on_socket(one)]
    elsewhere = [one for one in sockets if waited(one)]
    names = ", ".join(sorted({one.name for one in waits})) or "no call"
    asleep = sum(one.wait for one in waits) / 1e6
    evidence = (
        f"{names} slept {len(sleeps(waits))} times {place(queue)} ({asleep:.1f} ms),"
        f" {len(elsewhere)} of {sum(one.count for one in sockets)} calls on sockets did"
    )
    return confirmed(evidence) if waits and not elsewhere else failed(evidence)


def handing(calls: Sequence[Call]) -> str:
    """What a multiplexer's own copies take at most, of its time in the kernel (medians); "" where no probe bounds it."""
    told = [one for one in calls if one.copy_out_max is not None]
    if not told:
        return ""
    inward, out, kernel = (statistics.median(time(one) for one in told) / 1e3 for time in (_in, _out, _kernel))
    into = f"{inward:.1f} us for copying in what it is handed, " if any(map(_in, told)) else ""
    return f"; of {kernel:.1f} us in the kernel at most {into}{out:.1f} us for copying out the answers (medians)"


def _in(call: Call) -> int:
    return call.copy_in_max or 0


def _out(call: Call) -> int:
    return call.copy_out_max or 0


def _kernel(call: Call) -> int:
    return call.kernel


def _on_socket(call: Call) -> bool:
    return call.name in syscalls.READS | syscalls.WRITES | syscalls.ACCEPTS


def woken_through(run: Run, queue: str, function: str) -> Finding:
    """Every sleep on that queue that a packet ended was ended through that function of the kernel."""
    asleep = [one for call in run.result.calls for one in call.sleeps if one.queue == queue]
    packets = [one for one in asleep if one.waker and one.waker.chain[0] == "packet"]
    through = [one for one in packets if one.waker and function in one.waker.stack]
    evidence = f"{len(through)} of {len(packets)} wake-ups by a packet came through {function}; {len(asleep)} sleeps on {queue}"
    return confirmed(evidence) if through and len(through) == len(packets) else failed(evidence)


def read_without_waiting(run: Run) -> Finding:
    """Phase 2 alone is in the reading call: it copied what lay there, and never slept."""
    brought = [one for one in run.reads if one.bytes]
    slept = [one for one in brought if waited(one)]
    copied = [one for one in brought if one.copied]
    size, took = sum(one.bytes for one in copied), sum(one.copy for one in copied)
    evidence = (
        f"{len(copied)} of {len(brought)} reads copied their data themselves ({size:,} B, {took / 1e6:.3f} ms at most),"
        f" {len(slept)} of them slept before"
    )
    if run.udp and brought and not copied and not slept:
        return unavailable(f"{len(brought)} reads brought data without a sleep; {NO_COPY}")
    return confirmed(evidence) if brought and len(copied) == len(brought) and not slept else failed(evidence)


def one_each(run: Run, unit: str) -> Finding:
    """Each connection is read by a thread (or process) of its own, and their sleeps overlap: nobody waits for another."""
    readers: dict[int, set[int]] = {}
    for call in run.reads:
        if call.socket:
            readers.setdefault(call.socket, set()).add(call.thread)
    alone = [socket for socket, threads in readers.items() if len(threads) == 1]
    owners = {next(iter(readers[socket])) for socket in alone}
    evidence = f"{len(readers)} connections were read by {len(owners)} {unit}, each by its own alone"
    if len(readers) < 2 or len(owners) < len(readers):
        return failed(evidence.replace(", each by its own alone", ""))
    asleep = _at_once((one.off, one.woken) for call in run.reads for one in call.sleeps)
    if asleep > 1:
        return confirmed(f"{evidence}; up to {asleep} of them slept in recv at the same time")
    # with few short pauses there may be no such moment; but who serves one after the other never has two begun and not ended
    lasted = [[call for call in run.reads if call.socket == socket] for socket in readers]
    begun = _at_once((min(one.enter for one in calls), max(one.exit for one in calls)) for calls in lasted)
    evidence += f"; up to {begun} were being read at the same time"
    return confirmed(evidence) if begun > 1 else failed(evidence)


def _at_once(spans: Iterable[tuple[int, int]]) -> int:
    """How many of these spans of time have a moment in common, at most."""
    most = now = 0
    for _, step in sorted((at, step) for begin, end in spans for at, step in ((begin, 1), (end, -1))):
        now += step
        most = max(most, now)
    return most


def created(run: Run) -> list[Thread]:
    """The threads and processes that came into being while the server was followed."""
    return [one for one in run.result.threads if one.parent]


def price_of_each(run: Run, unit: str, processes: bool) -> Finding:
    """Every connection cost a creation, and every message its context switches."""
    made = [one for one in created(run) if (one.pid == one.tid) == processes]
    calls = [one for one in run.result.calls if one.name in ("clone", "clone3", "fork", "vfork") and one.result]
    switches = sum(one.voluntary_switches for one in made)
    messages = len(run.result.messages)
    took = sum(one.total for one in calls) / max(len(calls), 1) / 1e3
    evidence = (
        f"{len(made)} {unit} for {len(run.connections)} connections, {took:.0f} us of clone each;"
        f" {switches} voluntary switches for {messages} messages"
    )
    return confirmed(evidence) if made and len(made) == len(run.connections) else failed(evidence)


def ceiling(run: Run, workers: int, unit: str) -> Finding:
    """More connections than workers: those beyond the pool's size are served only when another connection has ended."""
    served: dict[int, tuple[int, int]] = {}
    for call in run.reads:
        if call.socket:
            first, _ = served.get(call.socket, (call.enter, 0))
            served[call.socket] = first, call.exit
    readers = {call.thread for call in run.reads if call.socket}
    spans = sorted(served.values())
    together = max((sum(1 for begin, end in spans if begin <= at < end) for at, _ in spans), default=0)
    asked = [client["asked"] for client in run.clients]
    late = [begin - min(asked) for begin, _ in spans[workers:]] if asked else []
    evidence = f"{len(spans)} connections, {len(readers)} {unit}: at most {together} were served at the same time"
    if len(spans) <= workers:
        return unavailable(f"{evidence}; {workers} workers serve them all: --clients {workers + 2} shows the ceiling")
    if together > workers or len(readers) > workers:
        return failed(evidence)
    return confirmed(
        f"{evidence}; number {workers + 1} had its first byte read {min(late) / 1e6:.0f} ms after the first client came"
    )


def each_refused(run: Run, names: Collection[str], kind: set[str]) -> Finding:
    """In the section "NAME, non-blocking" of an experiment each call got EAGAIN without a sleep."""
    good = []
    for name in names:
        calls = [one for one in run.sections.get(f"{name}, non-blocking", []) if one.name in kind]
        if calls and all(one.errno == "EAGAIN" and not one.sleeps for one in calls):
            good.append(name)
    found = f"{len(good)} of {len(names)} calls got EAGAIN and did not sleep: {', '.join(good)}"
    return confirmed(found) if len(good) == len(names) else failed(found)


def threads(run: Run) -> str:
    """How many threads served, in words."""
    number = len(run.result.threads)
    return f"{number} thread{'s' * (number > 1)}"


def ms(ns: float) -> str:
    """Ns as ms, for evidence."""
    return f"{ns / 1e6:.1f} ms" if ns >= 1e5 else f"{ns / 1e6:.2f} ms"


def held_up(run: Run, queue: str, calls: Sequence[Call] | None = None) -> tuple[int, int]:
    """The longest that the thread slept on `queue`, outside a multiplexer, while another connection's data lay ready, ns;
    and how long that data lay ready in all. 0, 0: never. With `calls` only sleeps in these count.
    """
    worst = max(held_ups(run, queue, calls), default=(0, 0))
    return worst if worst[0] else (0, 0)


def held_ups(run: Run, queue: str, calls: Sequence[Call] | None = None) -> list[tuple[int, int]]:
    """The same for each message, 0 where the thread did not sleep."""
    asleep = [
        (call.socket, call.thread, sleep)
        for call in (run.result.calls if calls is None else calls)
        if call.name not in syscalls.MULTIPLEXERS
        for sleep in call.sleeps
        if sleep.queue == queue
    ]
    found = []
    for message in run.result.messages:
        # what of the time between ready and told the thread that reads it in the end slept for somebody else
        slept = sum(
            max(0, min(sleep.woken, message.notified) - max(sleep.off, message.ready))
            for socket, thread, sleep in asleep
            if thread == message.thread and socket != message.socket
        )
        found.append((slept, message.notified - message.ready))
    return found
