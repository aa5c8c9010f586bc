"""Questions about one server: where it waits, what a message costs, which thread copies, which thread reads, in which order."""

from __future__ import annotations

import collections
import itertools
from bisect import bisect
from collections.abc import Sequence

from findings.spans import most_at_once
from findings.view import Run, turns
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from probes.kernel import syscalls
from probes.measure.percentiles import median
from probes.measure.queues import place
from probes.measure.result import Call, Sleep, Thread
from probes.words import count, ms

AFTER_A_PACKET = 0.3  # a server waits for packets if they end at least so many sleeps per message


def _messages(run: Run) -> int:
    """How many messages arrived; for datagrams, which are not followed singly, how many echoes the clients saw."""
    number = len(run.result.messages) or len(run.round_trips)
    if not number:
        raise Undecided("0 messages arrived")
    return number


def _ended_by_packets(run: Run) -> list[tuple[Call, Sleep]]:
    """The sleeps that a packet ended, without those of accept."""
    return [
        (call, sleep)
        for call in run.result.calls
        if call.name not in syscalls.ACCEPTS
        for sleep in call.sleeps
        if sleep.waker and sleep.waker.by_packet
    ]


def _reads_without_data(run: Run) -> int:
    """How many reads got EAGAIN."""
    return sum(call.count for call in run.result.named(*syscalls.READS) if call.errno == "EAGAIN")


_POLLS = "none: it never sleeps, it calls again and again (EAGAIN)"
_PAUSES = "clock_nanosleep: only a timer ends its sleeps"
_FOR_SIGNALS = "a call that waits for signals"
_WAITING = {
    "recvfrom or read, on the connection itself": syscalls.READS,
    "select": {"select", "pselect6"},
    "poll": {"poll", "ppoll"},
    "epoll_wait": {"epoll_wait", "epoll_pwait", "epoll_pwait2"},
    _FOR_SIGNALS: {"rt_sigtimedwait", "rt_sigsuspend", "pause"},
    "io_uring_enter": {"io_uring_enter"},
    "io_getevents": {"io_getevents", "io_pgetevents"},
}


def _waits_in(run: Run) -> Truth:
    number, asleep, refused = _messages(run), _ended_by_packets(run), _reads_without_data(run)
    timers = sum(1 for call in run.result.calls for sleep in call.sleeps if sleep.queue == "timer")
    words = f"{count(number, 'message')}: packets ended {count(len(asleep), 'sleep')}, {count(refused, 'read')} got EAGAIN"
    if len(asleep) >= AFTER_A_PACKET * number:
        kinds = collections.Counter((call.name, sleep.queue) for call, sleep in asleep)
        (name, queue), most = kinds.most_common(1)[0]
        option = next((option for option, names in _WAITING.items() if name in names), name)
        option = _FOR_SIGNALS if queue == "signalfd" else option  # a read, but of signals
        return Truth(option, f"{words}; {most} of these sleeps were in {name}, {place(queue)}")
    if timers >= AFTER_A_PACKET * number:
        return Truth(_PAUSES, f"{words}; timers ended {count(timers, 'sleep')}")
    if refused > number:
        return Truth(_POLLS, words)
    raise Undecided(words)


WAITS_IN = Question(
    "waits-in",
    "No message has arrived yet. In which system call does a thread of the server sleep until a packet brings a message?",
    (*_WAITING, _PAUSES, _POLLS),
    _waits_in,
)

_SOCKET_QUEUE = "directly: the thread itself waits on the socket's wait queue"
_POLLWAKE = "by poll's callback (pollwake), an entry on every socket's queue"
_EPOLL = "by epoll's callback (ep_poll_callback), which wakes epoll's own queue"
_SIGNAL = "by a signal that the socket's packet sends"
_REQUEST = "by a request that was submitted, an entry on the socket's queue"
_NOT_WOKEN = "not at all: no packet wakes the thread, it calls again by itself"


def _woken_by(run: Run) -> Truth:
    number, asleep, refused = _messages(run), _ended_by_packets(run), _reads_without_data(run)
    if len(asleep) < AFTER_A_PACKET * number:
        words = f"{count(number, 'message')}: packets ended {count(len(asleep), 'sleep')}"
        if refused < number:
            raise Undecided(words)
        return Truth(_NOT_WOKEN, f"{words}; {count(refused, 'read')} got EAGAIN")
    ways = collections.Counter((_way(sleep), sleep.waker.words) for _, sleep in asleep if sleep.waker)
    (way, chain), most = ways.most_common(1)[0]
    return Truth(way, f"{most} of {count(len(asleep), 'wake-up')} by a packet: {chain} -> thread")


def _way(sleep: Sleep) -> str:
    chain = sleep.waker.chain if sleep.waker else ()
    if "io_uring" in chain or sleep.queue in ("io_uring", "native aio"):
        return _REQUEST
    for link, way in (
        ("signal", _SIGNAL),
        ("epoll's callback (ep_poll_callback)", _EPOLL),
        ("poll's callback (pollwake)", _POLLWAKE),
    ):
        if link in chain:
            return way
    return _SOCKET_QUEUE


WOKEN_BY = Question(
    "woken-by",
    "A packet with data arrives. How does its wake-up reach the thread that waits for it?",
    (_SOCKET_QUEUE, _POLLWAKE, _EPOLL, _SIGNAL, _REQUEST, _NOT_WOKEN),
    _woken_by,
)

_HOW_MANY_CALLS = Ranges(
    (0, "none"), (1, "1"), (2, "2"), (3, "3"), (5, "4 or 5"), (12, "6 to 12"), (100, "13 to 100"), beyond="more than 100"
)  # fmt: skip


def _between_messages(run: Run, moments: Sequence[tuple[int, int]]) -> list[int]:
    """How often something happened between the return of each message to the program and the next message's return; sorted.

    `moments` are pairs of a time (ns) and how often it happened then.
    """
    ends = sorted(message.returned for message in run.result.messages)
    sums = [0] * (len(ends) + 1)
    for at, number in moments:
        sums[bisect(ends, at)] += number
    return sorted(sums[1:-1])


def _calls(run: Run) -> Truth:
    number = _messages(run)
    total = sum(call.count for call in run.result.calls)
    names = collections.Counter({row.name: row.count for row in run.result.rows}).most_common(3)
    most = ", ".join(f"{name} {calls:,}" for name, calls in names)
    words = f"{count(total, 'call')} in all for {count(number, 'message')}, most of them: {most}"
    between = _between_messages(run, [(call.enter, call.count) for call in run.result.calls])
    if not between or any(call.count > 1 for call in run.result.calls):  # the calls of a burst have no moment of their own
        return Truth(_HOW_MANY_CALLS(round(total / number)), f"{total / number:,.1f} calls per message: {words}")
    calls = median(between) or 0
    words = f"{words} (these include the set-up)"
    return Truth(_HOW_MANY_CALLS(calls), f"{count(calls, 'call')} from one message to the next (median); {words}")


CALLS = Question(
    "calls",
    "How many system calls does the server make per message, with the waiting and the answer?",
    _HOW_MANY_CALLS.labels,
    _calls,
    ranges=True,
)

_HOW_OFTEN = Ranges((0, "never"), (1, "once"), (3, "2 or 3 times"), (10, "4 to 10 times"), beyond="more than 10 times")


def _sleeps(run: Run) -> Truth:
    number = _messages(run)
    switches = sum(thread.voluntary_switches for thread in run.result.threads)
    threads = count(len(run.result.threads), "thread")
    words = f"{threads} made {count(switches, 'voluntary switch')} for {count(number, 'message')}"
    between = _between_messages(run, [(sleep.off, 1) for call in run.result.calls for sleep in call.sleeps])
    if not between:
        return Truth(_HOW_OFTEN(round(switches / number)), words)
    often = median(between) or 0
    return Truth(_HOW_OFTEN(often), f"{count(often, 'sleep')} from one message to the next (median); {words}")


SLEEPS = Question(
    "sleeps",
    "How often does the server (all its threads together) go to sleep per message?",
    _HOW_OFTEN.labels,
    _sleeps,
    ranges=True,
)

_FIRST_READS = "the server's first thread, in a call that reads (recvfrom, read)"
_FIRST_RING = "the server's first thread, in the call that waits for completions"
_OTHER_THREAD = "another thread of its process, in a call that reads"
_OTHER_PROCESS = "another process, in a call that reads"
_KERNEL = "a thread of the kernel, which is not a thread of the program"
_MAPPED = "no thread: the program reads the kernel's own memory (mmap)"


def _copies(run: Run) -> Truth:
    threads = {thread.serial: thread for thread in run.result.threads}
    copies: collections.Counter[tuple[str, int]] = collections.Counter()
    for call in run.result.calls:
        if call.copied is not None and (call.name in syscalls.READS or call.name == "io_uring_enter"):
            copies[call.name, call.thread] += call.count
    messages = count(len(run.result.messages), "message")
    workers = [thread for thread in (threads[message.thread] for message in run.result.messages) if thread.kernel_worker]
    if len(workers) > 0.5 * len(run.result.messages):
        return Truth(
            _KERNEL, f"a thread of the kernel ({workers[0].name}) copied {len(workers)} of {messages}, in no system call"
        )
    if not copies:
        raise Undecided(f"0 copies were seen for {messages}")
    kinds: collections.Counter[tuple[str, str]] = collections.Counter()
    for (name, serial), number in copies.items():
        kinds[_copier(run, name, threads[serial]), name] += number
    (option, name), most = kinds.most_common(1)[0]
    total = sum(copies.values())
    first = sum(number for (_, serial), number in copies.items() if serial == run.server.serial)
    others = {serial for _, serial in copies} - {run.server.serial}
    words = f"{most} of {total} copies were made in {name}: {first} by the server's first thread"
    if others:
        words += f", {total - first} by {count(len(others), 'other thread')}"
    return Truth(option, words)


def _copier(run: Run, name: str, thread: Thread) -> str:
    if thread.serial == run.server.serial:
        return _FIRST_RING if name == "io_uring_enter" else _FIRST_READS
    return _OTHER_THREAD if thread.pid == run.server.pid else _OTHER_PROCESS


COPIES = Question(
    "copies",
    "Which thread copies a message from the kernel into the program's memory?",
    (_FIRST_READS, _FIRST_RING, _OTHER_THREAD, _OTHER_PROCESS, _KERNEL, _MAPPED),
    _copies,
)

_SINGLE_READER = "the same thread reads all of them"
_THREAD_EACH = "a thread for each connection"
_PROCESS_EACH = "a process for each connection"
_FEWER = "several threads, each for more than one connection"
_FEWER_PROCESSES = "several processes, each for more than one connection"
_CHANGING = "several threads, and no connection has a thread of its own"


def _readers(run: Run) -> Truth:
    read_by: dict[int, set[int]] = {}
    for message in run.result.messages:
        read_by.setdefault(message.socket, set()).add(message.thread)
    if len(read_by) < 2:
        raise Undecided(f"messages came to {count(len(read_by), 'socket')}; at least 2 connections are needed: --clients 2")
    readers = set().union(*read_by.values())
    threads = [thread for thread in run.result.threads if thread.serial in readers]
    processes = len({thread.pid for thread in threads})
    shared = sum(1 for serials in read_by.values() if len(serials) > 1)
    words = f"{count(len(threads), 'thread')} of {count(processes, 'process')} read {count(len(read_by), 'connection')}"
    words += f"; {count(shared, 'connection')} had more than one reader" if shared else ""
    if len(threads) == 1:
        return Truth(_SINGLE_READER, words)
    if shared:
        return Truth(_CHANGING, words)
    if len(threads) == len(read_by):
        return Truth(_PROCESS_EACH if processes == len(threads) else _THREAD_EACH, words)
    return Truth(_FEWER_PROCESSES if processes == len(threads) else _FEWER, words)


READERS = Question(
    "readers",
    "Which threads read the messages of all these clients?",
    (_SINGLE_READER, _THREAD_EACH, _PROCESS_EACH, _FEWER, _FEWER_PROCESSES, _CHANGING),
    _readers,
)

_CLIENT_BY_CLIENT = "client by client: all messages of one, then all of the next"
_AS_THEY_ARRIVE = "as they arrive, whichever client sent them"
_SOME_WAIT = "as they arrive for some clients; the others wait until one ends"


def _order(run: Run) -> Truth:
    messages = run.result.messages
    sockets, served = turns([call for call in run.reads if call.bytes])
    if not sockets and messages:  # completions: no call reads
        order = [message.socket for message in sorted(messages, key=lambda message: message.copied)]
        sockets, served = len(set(order)), 1 + sum(1 for before, after in itertools.pairwise(order) if before != after)
    stays = [(client.exchanges[0].sent, client.exchanges[-1].echoed) for client in run.clients if client.exchanges]
    together = most_at_once(stays)
    if together < 2 or len(messages) <= sockets:
        raise Undecided(
            f"{count(together, 'client')} at the same time, {count(len(messages), 'message')}: use more of both"
            " (--clients, --messages)"
        )
    words = (
        f"the messages of {count(sockets, 'connection')} were read in {count(served, 'turn')}; {together} clients were"
        " connected at the same time"
    )
    if served == sockets:
        return Truth(_CLIENT_BY_CLIENT, words)
    spans: dict[int, tuple[int, int]] = {}
    for message in messages:
        spans[message.socket] = min(spans.get(message.socket, (message.read, 0))[0], message.read), message.returned
    most = most_at_once(spans.values())
    return Truth(
        _SOME_WAIT if most < together else _AS_THEY_ARRIVE, f"{words}, and at most {most} were served at the same time"
    )


ORDER = Question(
    "order",
    "Several clients are connected at once. In which order are their messages read?",
    (_CLIENT_BY_CLIENT, _AS_THEY_ARRIVE, _SOME_WAIT),
    _order,
)

_SHARE = Ranges(
    (0.1, "under 10 %"), (0.4, "10 to 40 %"), (0.75, "40 to 75 %"), beyond="over 75 %: it takes nearly a whole core"
)  # fmt: skip


def _awake(run: Run) -> Truth:
    lasting = [thread for thread in run.result.threads if 0 < run.server.wall <= 2 * thread.wall]
    share, busiest = max(((1 - thread.wait / thread.wall, thread) for thread in lasting), key=lambda pair: pair[0])
    words = f"thread {busiest.name} {busiest.tid} slept {ms(busiest.wait)} of {ms(busiest.wall)}"
    return Truth(_SHARE(share), f"{words}: it was not asleep for {share:.1%}")


AWAKE = Question(
    "awake",
    "For how much of the time is the server's busiest thread not asleep (on a CPU, or waiting for a CPU)?",
    _SHARE.labels,
    _awake,
    ranges=True,
)
