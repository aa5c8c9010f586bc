"""What several labs show in the same way: where a thread slept, which thread read what, what a connection cost.

Each function holds one statement against a run and returns the verdict with its evidence: counts, shares, queues, durations.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Collection, Mapping, Sequence

from findings.spans import Covered
from findings.view import Finding, Run, confirmed, failed, sleeps, unavailable, waited
from probes.kernel import syscalls
from probes.measure.percentiles import median
from probes.measure.queues import place
from probes.measure.result import Call, Thread, Verdict
from probes.words import count, ms

NO_COPY = "no tracepoint shows the copy of a datagram; a kernel that takes fentry probes or kprobes would show it"


def all_of(*findings: Finding) -> Finding:
    """Several findings as one: failed if one of them failed, unavailable if one of them is, confirmed otherwise."""
    verdicts = {finding.verdict for finding in findings}
    evidence = "; ".join(finding.evidence for finding in findings)
    if Verdict.FAILED in verdicts:
        return failed(evidence)
    return unavailable(evidence) if Verdict.UNAVAILABLE in verdicts else confirmed(evidence)


def slept_only_on(run: Run, queue: str) -> Finding:
    """The thread slept on that wait queue (of a multiplexer or of signals), and never in a call on a socket.

    The evidence counts the sleeps on the queue, and the calls on sockets that slept until the peer did something.
    """
    on_sockets = [call for call in run.result.calls if _is_on_socket(call)]
    multiplexing = [
        call for call in run.result.calls if not _is_on_socket(call) and any(sleep.queue == queue for sleep in call.sleeps)
    ]
    asleep_on_socket = [call for call in on_sockets if waited(call)]
    names = ", ".join(sorted({call.name for call in multiplexing})) or "no call"
    evidence = (
        f"{names}: {count(len(sleeps(multiplexing)), 'sleep')} {place(queue)} ({ms(sum(call.wait for call in multiplexing))});"
        f" {len(asleep_on_socket)} of {count(sum(call.count for call in on_sockets), 'call')} on sockets slept"
    )
    by_name = collections.Counter(call.name for call in asleep_on_socket)
    evidence += "".join(f", {number} in {name}" for name, number in by_name.most_common())
    return confirmed(evidence) if multiplexing and not asleep_on_socket else failed(evidence)


def _is_on_socket(call: Call) -> bool:
    return call.name in syscalls.READS | syscalls.WRITES | syscalls.ACCEPTS


def multiplexer_copies(calls: Sequence[Call]) -> str:
    """How long a multiplexer's own copies take at most, as an addition to evidence; "" where no probe bounds them.

    Medians over the calls: copying in the descriptors that the caller names, copying out the results.
    """
    bounded = [call for call in calls if call.copy_out_max is not None]
    if not bounded:
        return ""
    kernel = (median(call.kernel for call in bounded) or 0) / 1e3
    copy_in = (median(call.copy_in_max or 0 for call in bounded) or 0) / 1e3
    copy_out = (median(call.copy_out_max or 0 for call in bounded) or 0) / 1e3
    names = f"{copy_in:.1f} us copy in the descriptors and " if any(call.copy_in_max for call in bounded) else ""
    return f"; of {kernel:.1f} us in the kernel at most {names}{copy_out:.1f} us copy out the results (medians)"


def woken_through(run: Run, queue: str, function: str) -> Finding:
    """Every sleep on that queue that a packet ended was ended through that function of the kernel.

    The evidence counts the sleeps on the queue, those that a packet ended, and those whose wake-up shows the function.
    """
    asleep = [sleep for call in run.result.calls for sleep in call.sleeps if sleep.queue == queue]
    by_packet = [sleep for sleep in asleep if sleep.waker and sleep.waker.by_packet]
    through = [sleep for sleep in by_packet if sleep.waker and function in sleep.waker.stack]
    evidence = (
        f"{count(len(asleep), 'sleep')} {place(queue)}; a packet ended {len(by_packet)} of them,"
        f" and {len(through)} of these {len(by_packet)} wake-ups went through {function}"
    )
    return confirmed(evidence) if through and len(through) == len(by_packet) else failed(evidence)


def read_without_waiting(run: Run) -> Finding:
    """The reading calls did phase 2 alone: they copied data that was there, and never slept.

    The evidence counts the reads with data, those that copied it, and those that slept until the peer did something.
    """
    with_data = [call for call in run.reads if call.bytes]
    slept = [call for call in with_data if waited(call)]
    copied = [call for call in with_data if call.copied]
    size, duration = sum(call.bytes for call in copied), sum(call.copy for call in copied)
    if run.udp and with_data and not copied and not slept:
        return unavailable(f"{count(len(with_data), 'read')} returned data without a sleep; {NO_COPY}")
    evidence = (
        f"{len(copied)} of {count(len(with_data), 'read')} with data copied the data themselves"
        f" ({size:,} B in {duration / 1e6:.3f} ms at most), and {len(slept)} of these reads slept"
    )
    return confirmed(evidence) if with_data and len(copied) == len(with_data) and not slept else failed(evidence)


def created(run: Run) -> list[Thread]:
    """The threads and processes that the server created while it was followed."""
    return [thread for thread in run.result.threads if thread.parent]


def each_got_eagain(run: Run, names: Mapping[str, str]) -> Finding:
    """In the section "NAME, non-blocking" of an experiment each of the calls got EAGAIN without a sleep.

    `names` has the system call of each function: recv is recvfrom for the kernel.
    """
    refused = []
    for name, system_call in names.items():
        calls = [call for call in run.sections.get(f"{name}, non-blocking", []) if call.name == system_call]
        if calls and all(call.errno == "EAGAIN" and not call.sleeps for call in calls):
            refused.append(name)
    evidence = f"{len(refused)} of {count(len(names), 'call')} got EAGAIN without a sleep: {', '.join(refused) or 'none'}"
    return confirmed(evidence) if len(refused) == len(names) else failed(evidence)


def slept_while_unread(run: Run, queue: str, calls: Sequence[Call] | None = None) -> tuple[int, int]:
    """The longest sleep on `queue`, outside a multiplexer, while another connection's data was unread in its socket, ns;
    and how long that data was unread in all. (0, 0): there was no such sleep. With `calls` only their sleeps count.
    """
    longest = max(sleeps_while_unread(run, {queue}, calls), default=(0, 0))
    return longest if longest[0] else (0, 0)


def sleeps_while_unread(run: Run, queues: Collection[str], calls: Sequence[Call] | None = None) -> list[tuple[int, int]]:
    """For each message: how long its thread slept on these queues for another connection while the message was unread, and how
    long the message was unread, ns. The time counts from the data's arrival in the socket until the thread was notified.
    """
    of_thread: dict[int, list[tuple[int, int]]] = collections.defaultdict(list)
    of_socket: dict[tuple[int, int | None], list[tuple[int, int]]] = collections.defaultdict(list)
    for call in run.result.calls if calls is None else calls:
        for sleep in () if call.name in syscalls.MULTIPLEXERS else call.sleeps:
            if sleep.queue in queues:
                of_thread[call.thread].append((sleep.off, sleep.woken))
                of_socket[call.thread, call.socket].append((sleep.off, sleep.woken))
    threads = collections.defaultdict(Covered, {thread: Covered(spans) for thread, spans in of_thread.items()})
    sockets = collections.defaultdict(Covered, {socket: Covered(spans) for socket, spans in of_socket.items()})
    durations = []
    for message in run.result.messages:
        unread = message.ready, message.notified
        slept = threads[message.thread].within(*unread) - sockets[message.thread, message.socket].within(*unread)
        durations.append((slept, message.notified - message.ready))
    return durations


def reads_of_busiest(run: Run) -> list[Call]:
    """The reads with data of the connection that was read most often: that of the flooding client, where there is one."""
    reads = [call for call in run.result.named("recvfrom") if call.bytes and call.socket]
    busiest = collections.Counter(call.socket for call in reads).most_common(1)
    return [call for call in reads if call.socket == busiest[0][0]] if busiest else []


def reads_while_unread(run: Run) -> tuple[int, int]:
    """The most reads of the busiest connection while another connection's data was unread in its socket; and how long that
    data was unread, ns.
    """
    reads = reads_of_busiest(run)
    if not reads:
        return 0, 0
    begins = [call.enter for call in reads]
    others = [message for message in run.result.messages if message.socket != reads[0].socket]
    counted = [
        (bisect.bisect(begins, message.read) - bisect.bisect(begins, message.ready), message.read - message.ready)
        for message in others
    ]
    return max(counted, default=(0, 0))
