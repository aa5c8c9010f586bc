"""Questions about one server and its clients: where it waits, what a message costs, who copies, who reads what and when."""

from __future__ import annotations

import collections
import itertools
from bisect import bisect
from collections.abc import Sequence

from findings.evidence import ms
from labs.kit.lab import Run, turns
from labs.kit.questions.question import Question, Ranges, Truth, Undecided, count
from probes.kernel import syscalls
from probes.measure.phases import percentile_of
from probes.measure.queues import place
from probes.measure.result import Call, Sleep, Thread

AFTER_A_PACKET = 0.3  # sleeps for each message that a packet has to end, before we say that the server waits so


def _messages(run: Run) -> int:
    """How many messages came; for datagrams, which are not followed one by one, how many echoes the clients saw."""
    found = len(run.result.messages) or len(run.round_trips)
    if not found:
        raise Undecided("0 messages came")
    return found


def _ended_by_packets(run: Run) -> list[tuple[Call, Sleep]]:
    """The sleeps that a packet ended, accept's left out."""
    return [
        (call, sleep)
        for call in run.result.calls
        if call.name not in syscalls.ACCEPTS
        for sleep in call.sleeps
        if sleep.waker and "packet" in sleep.waker.chain
    ]


def _in_vain(run: Run) -> int:
    return sum(one.count for one in run.result.named(*syscalls.READS) if one.errno == "EAGAIN")


_AGAIN = "none: it never sleeps, it asks again and again (EAGAIN)"
_PAUSES = "nanosleep: it asks, pauses, and asks again"
_FOR_SIGNALS = "a call that waits for signals"
_WAITING = {
    "recvfrom or read, on the connection itself": syscalls.READS,
    "select": {"select", "pselect6"},
    "poll": {"poll", "ppoll"},
    "epoll_wait": {"epoll_wait", "epoll_pwait", "epoll_pwait2"},
    _FOR_SIGNALS: {"rt_sigtimedwait", "rt_sigsuspend", "pause"},
    "io_uring_enter": {"io_uring_enter"},
    "io_getevents, of native AIO": {"io_getevents", "io_pgetevents"},
}


def _waits_in(run: Run) -> Truth:
    number, asleep = _messages(run), _ended_by_packets(run)
    timers = sum(1 for call in run.result.calls for sleep in call.sleeps if sleep.queue == "timer")
    words = f"for {number} messages {len(asleep)} sleeps were ended by a packet, {_in_vain(run):,} reads got EAGAIN"
    if len(asleep) >= AFTER_A_PACKET * number:
        (name, queue), times = collections.Counter((call.name, sleep.queue) for call, sleep in asleep).most_common(1)[0]
        option = next((option for option, names in _WAITING.items() if name in names), name)
        option = _FOR_SIGNALS if queue == "signalfd" else option  # a read, but of signals
        return Truth(option, f"{words}; {times} of the sleeps were in {name}, {place(queue)}")
    if timers >= AFTER_A_PACKET * number:
        return Truth(_PAUSES, f"{words}; {timers} sleeps were ended by a timer")
    if _in_vain(run) > number:
        return Truth(_AGAIN, words)
    raise Undecided(words)


WAITS_IN = Question(
    "waits-in",
    "No message is there yet. In which system call does a thread of the server sleep until a packet brings one?",
    (*_WAITING, _PAUSES, _AGAIN),
    _waits_in,
)

_STRAIGHT = "directly: the thread itself stands on the socket's wait queue"
_POLLWAKE = "by poll's callback (pollwake), left on the queue of every socket"
_EPOLL = "by epoll's callback (ep_poll_callback), on to a queue of epoll's own"
_SIGNAL = "by a signal that the socket's packet sends"
_REQUEST = "by a request (io_uring, AIO) that stands on the socket's queue"
_UNWOKEN = "not at all: no packet wakes it, it looks by itself"


def _woken_by(run: Run) -> Truth:
    number, asleep = _messages(run), _ended_by_packets(run)
    if len(asleep) < AFTER_A_PACKET * number:
        if _in_vain(run) < number:
            raise Undecided(f"{len(asleep)} sleeps were ended by a packet, for {number} messages")
        return Truth(
            _UNWOKEN, f"{len(asleep)} sleeps were ended by a packet, for {number} messages; EAGAIN {_in_vain(run):,} times"
        )
    ways = collections.Counter((_way(sleep), sleep.waker.words) for _, sleep in asleep if sleep.waker)
    (way, chain), times = ways.most_common(1)[0]
    return Truth(way, f"{times} of {len(asleep)} wake-ups by a packet went: {chain} -> thread")


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
    return _STRAIGHT


WOKEN_BY = Question(
    "woken-by",
    "A packet with data arrives. How does its wake-up reach the thread that waits for it?",
    (_STRAIGHT, _POLLWAKE, _EPOLL, _SIGNAL, _REQUEST, _UNWOKEN),
    _woken_by,
)

_HOW_MANY_CALLS = Ranges(
    (0, "none"), (1, "1"), (2, "2"), (3, "3"), (5, "4 or 5"), (12, "6 to 12"), (100, "13 to 100"), beyond="more than 100"
)  # fmt: skip


def _between_messages(run: Run, moments: Sequence[tuple[int, int]]) -> list[int]:
    """How often something happened, given as (ns, how often), between each message in hand and the next; sorted."""
    ends = sorted(one.returned for one in run.result.messages)
    found = [0] * (len(ends) + 1)
    for at, times in moments:
        found[bisect(ends, at)] += times
    return sorted(found[1:-1])


def _calls(run: Run) -> Truth:
    number = _messages(run)
    total = sum(one.count for one in run.result.calls)
    names = collections.Counter({row.name: row.count for row in run.result.rows}).most_common(3)
    words = f"{total:,} calls in all for {number} messages, most often {', '.join(f'{name} ({n:,})' for name, n in names)}"
    between = _between_messages(run, [(one.enter, one.count) for one in run.result.calls])
    if not between or any(one.count > 1 for one in run.result.calls):  # runs of fruitless calls have no moment of their own
        return Truth(_HOW_MANY_CALLS(round(total / number)), f"{total / number:,.1f} a message: {words}")
    median = percentile_of(between, 0.5) or 0
    return Truth(_HOW_MANY_CALLS(median), f"{median} from one message to the next, in the median; {words}, the set-up included")


CALLS = Question(
    "calls",
    "How many system calls does one message cost the server, the waiting and the answer included?",
    _HOW_MANY_CALLS.labels,
    _calls,
    ranges=True,
)

_HOW_OFTEN = Ranges((0, "never"), (1, "once"), (3, "2 or 3 times"), (10, "4 to 10 times"), beyond="more than 10 times")


def _sleeps(run: Run) -> Truth:
    number = _messages(run)
    switches = sum(one.voluntary_switches for one in run.result.threads)
    words = f"{count(switches, 'voluntary switch')} of {count(len(run.result.threads), 'thread')} for {number} messages"
    between = _between_messages(run, [(sleep.off, 1) for call in run.result.calls for sleep in call.sleeps])
    if not between:
        return Truth(_HOW_OFTEN(round(switches / number)), words)
    median = percentile_of(between, 0.5) or 0
    return Truth(_HOW_OFTEN(median), f"{count(median, 'sleep')} from one message to the next, in the median; {words}")


SLEEPS = Question(
    "sleeps",
    "How often does the server (all its threads together) go to sleep for one message?",
    _HOW_OFTEN.labels,
    _sleeps,
    ranges=True,
)

_FIRST_READS = "the server's first thread, in a call that reads (recvfrom, read)"
_FIRST_RING = "the server's first thread, inside io_uring_enter"
_OTHER_THREAD = "another thread of its process, in a call that reads"
_OTHER_PROCESS = "another process, in a call that reads"
_KERNEL = "a thread of the kernel, which is none of the program's own"
_NOBODY = "nobody: the program is shown the kernel's own memory (mmap)"


def _copies(run: Run) -> Truth:
    threads = {one.serial: one for one in run.result.threads}
    made: collections.Counter[tuple[str, int]] = collections.Counter()
    for call in run.result.calls:
        if call.copied is not None and (call.name in syscalls.READS or call.name == "io_uring_enter"):
            made[call.name, call.thread] += call.count
    workers = [one for one in (threads[message.thread] for message in run.result.messages) if one.kernel_worker]
    if len(workers) > 0.5 * len(run.result.messages):
        words = f"{len(workers)} of {len(run.result.messages)} messages were copied by a thread of the kernel"
        return Truth(_KERNEL, f"{words} ({workers[0].name}), in no system call")
    if not made:
        raise Undecided(f"0 copies were seen in this run, of {count(len(run.result.messages), 'message')}")
    kinds: collections.Counter[tuple[str, str]] = collections.Counter()
    for (name, serial), times in made.items():
        kinds[_copier(run, name, threads[serial]), name] += times
    (option, name), times = kinds.most_common(1)[0]
    first = sum(times for (_, serial), times in made.items() if serial == run.server.serial)
    others = {serial for _, serial in made} - {run.server.serial}
    words = f"{times} of {sum(made.values())} copies were made in {name}; {first} by the first thread"
    if others:
        words += f", {sum(made.values()) - first} by {count(len(others), 'other thread')}"
    return Truth(option, words)


def _copier(run: Run, name: str, thread: Thread) -> str:
    if thread.serial == run.server.serial:
        return _FIRST_RING if name == "io_uring_enter" else _FIRST_READS
    return _OTHER_THREAD if thread.pid == run.server.pid else _OTHER_PROCESS


COPIES = Question(
    "copies",
    "Who copies a message from the kernel into the program's memory?",
    (_FIRST_READS, _FIRST_RING, _OTHER_THREAD, _OTHER_PROCESS, _KERNEL, _NOBODY),
    _copies,
)

_ONE_READER = "one thread, for all of them"
_THREAD_EACH = "a thread for each connection"
_PROCESS_EACH = "a process for each connection"
_FEWER = "several threads, each for more than one connection"
_FEWER_PROCESSES = "several processes, each for more than one connection"
_CHANGING = "several threads, and a connection has none of its own"


def _readers(run: Run) -> Truth:
    read_by: dict[int, set[int]] = {}
    for one in run.result.messages:
        read_by.setdefault(one.socket, set()).add(one.thread)
    if len(read_by) < 2:
        raise Undecided(f"{count(len(read_by), 'socket')} had messages: two or more connections show it (--clients 2)")
    threads = [one for one in run.result.threads if one.serial in set().union(*read_by.values())]
    processes = len({one.pid for one in threads})
    shared = sum(1 for one in read_by.values() if len(one) > 1)
    words = f"messages of {len(read_by)} connections were read by {count(len(threads), 'thread')}"
    words += f" of {count(processes, 'process')}" + f"; {shared} of the connections by more than one" * bool(shared)
    if len(threads) == 1:
        return Truth(_ONE_READER, words)
    if shared:
        return Truth(_CHANGING, words)
    if len(threads) == len(read_by):
        return Truth(_PROCESS_EACH if processes == len(threads) else _THREAD_EACH, words)
    return Truth(_FEWER_PROCESSES if processes == len(threads) else _FEWER, words)


READERS = Question(
    "readers",
    "Who reads the messages of all these clients?",
    (_ONE_READER, _THREAD_EACH, _PROCESS_EACH, _FEWER, _FEWER_PROCESSES, _CHANGING),
    _readers,
)

_ONE_BY_ONE = "one client to its end, only then the next"
_AS_IT_COMES = "each message soon after it comes, whosever it is"
_SOME_WAIT = "some clients at the same time; the others when one of those has gone"


def _order(run: Run) -> Truth:
    sockets, served = turns([one for one in run.reads if one.bytes])
    if not sockets and run.result.messages:  # completions: no call reads
        order = [one.socket for one in sorted(run.result.messages, key=lambda one: one.copied)]
        sockets, served = len(set(order)), 1 + sum(1 for one, other in itertools.pairwise(order) if one != other)
    stays = [(client["exchanges"][0][0], client["exchanges"][-1][1]) for client in run.clients]
    together = max((sum(1 for begin, end in stays if begin <= at < end) for at, _ in stays), default=0)
    if together < 2 or len(run.result.messages) <= sockets:
        raise Undecided(
            f"{count(together, 'client')} at a time, {count(len(run.result.messages), 'message')}: with more of both it shows"
        )
    words = f"the messages of {sockets} connections were read in {served} turns, {together} clients were there at the same time"
    if served == sockets:
        return Truth(_ONE_BY_ONE, words)
    spans: dict[int, tuple[int, int]] = {}
    for one in run.result.messages:
        spans[one.socket] = min(spans.get(one.socket, (one.read, 0))[0], one.read), one.returned
    most = max(sum(1 for begin, end in spans.values() if begin <= at < end) for at, _ in spans.values())
    return Truth(_SOME_WAIT if most < together else _AS_IT_COMES, f"{words}, {most} of them in service together at the most")


ORDER = Question(
    "order",
    "Several clients are connected at once. In which order are their messages read?",
    (_ONE_BY_ONE, _AS_IT_COMES, _SOME_WAIT),
    _order,
)

_SHARE = Ranges(
    (0.1, "under 10 %"), (0.4, "10 to 40 %"), (0.75, "40 to 75 %"), beyond="over 75 %: it takes nearly a whole core"
)  # fmt: skip


def _awake(run: Run) -> Truth:
    lasting = [one for one in run.result.threads if 0 < run.server.wall <= 2 * one.wall]
    share, thread = max(((1 - one.wait / one.wall, one) for one in lasting), key=lambda one: one[0])
    words = f"{thread.name} {thread.tid} was asleep for {ms(thread.wait)} of its {ms(thread.wall)}"
    return Truth(_SHARE(share), f"{share:.1%} not asleep: {words}")


AWAKE = Question(
    "awake",
    "For how much of the time is the server's busiest thread not asleep (on a CPU, or waiting for one)?",
    _SHARE.labels,
    _awake,
    ranges=True,
)
