"""A classic mistake: many processes wait for one listener, and every connection wakes all of them."""

from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, refined, unavailable
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.traffic import Traffic
from probes.measure.result import Verdict
from probes.words import count
from servers.mistakes.thundering_herd import WORKERS

LAB = Lab(
    model="processes",
    chapter="Classic mistakes",
    question="Eight processes wait for a connection. How many processes does one connection wake?",
    watch="the wake-ups per connection: one if the entries in the listener's wait queue are exclusive, otherwise up to eight.",
    try_next=(
        "invoke lab accept        what accept waits for",
        "invoke lab process_pool  four processes that sleep in accept",
    ),
    reading=(
        "UNP 30.6, Thundering Herd",
        "man 2 epoll_ctl (EPOLLEXCLUSIVE), man 7 socket (SO_REUSEPORT)",
        "kernel/sched/wait.c: __wake_up_common stops at the first exclusive waiter",
    ),
    cases=tuple(
        Case(name.replace("_", " "), f"mistakes.thundering_herd:{name}", ("--reuse-port",) if name == "reuseport" else ())
        for name in ("in_accept", "in_select", "in_epoll", "exclusive", "reuseport")
    ),
    traffic=Traffic(clients=24, messages=1, gap_ms=1, spread_ms=240),
)


def wake_ups(run: Run, queue: str) -> int:
    """How many sleeps on that queue a packet ended."""
    return sum(
        1
        for call in run.result.calls
        for sleep in call.sleeps
        if sleep.queue == queue and sleep.waker and sleep.waker.by_packet
    )


def herd(run: Run, queue: str) -> tuple[int, int, int]:
    """The packets that arrived while processes slept on that queue; and, summed over these packets, how many processes slept
    there and how many of them the packet woke.

    Wake-ups belong to the same packet if they lie closer together than half the time from one client to the next.
    """
    sleeps = sorted(
        (sleep for call in run.result.calls for sleep in call.sleeps if sleep.queue == queue and sleep.waker),
        key=lambda sleep: sleep.woken,
    )
    at_once = (run.traffic.spread_ms or 1) * 1e6 / run.traffic.clients / 2
    packets = asleep = woken = 0
    first = -1.0
    for sleep in sleeps:
        if not sleep.waker or not sleep.waker.by_packet or sleep.woken - first < at_once:
            continue
        first = sleep.woken
        there = [other for other in sleeps if other.off < first <= other.woken]
        packets += 1
        asleep += len(there)
        woken += sum(1 for other in there if other.woken - first < at_once)
    return packets, asleep, woken


def queues(run: Run, kind: str) -> int:
    """On how many queues of that kind processes slept: as many as there are sockets or epolls; 0: the calls name none."""
    return len({sleep.object for call in run.result.calls for sleep in call.sleeps if sleep.queue == kind and sleep.object})


def _per_connection(run: Run, name: str, queue: str) -> tuple[float, str]:
    """The wake-ups per connection, 0 where not all processes slept on that queue; and the figures as evidence."""
    case = run.case(name)
    connections, packets = len(case.connections), wake_ups(case, queue)
    average = packets / max(connections, 1)
    sleepers = len({call.thread for call in case.result.calls for sleep in call.sleeps if sleep.queue == queue})
    evidence = (
        f"{name}: {count(packets, 'wake-up')} for {count(connections, 'connection')} ({average:.1f} per connection);"
        f" {count(sleepers, 'process')} slept"
    )
    if number := queues(case, queue):
        evidence += f" on {'the same queue' if number == 1 else count(number, 'queue')}"
    _, asleep, woken = herd(case, queue)
    if asleep:
        evidence += f"; the packets found {count(asleep, 'sleeping process')} in all, and woke {woken} of them"
    if packets > connections:
        refused = sum(call.count for call in case.calls("accept4", "accept") if call.errno == "EAGAIN")
        evidence += f"; {count(packets - connections, 'wake-up')} brought no connection: {refused} ended with EAGAIN from"
        evidence += f" accept, {max(packets - connections - refused, 0)} with another sleep inside the same call"
    return average if sleepers >= WORKERS else 0, evidence


def _all_woken(run: Run, name: str, queue: str) -> Finding:
    """A packet wakes every process that sleeps on that queue. How many sleep there depends on how fast they handled the packet
    before.
    """
    average, evidence = _per_connection(run, name, queue)
    packets, asleep, woken = herd(run.case(name), queue)
    if average and asleep < 1.5 * packets:
        return unavailable(f"{evidence}; most processes still served a client: leave out --messages and --gap-ms")
    return confirmed(evidence) if average and woken > 0.8 * asleep else failed(evidence)


def _one_woken(run: Run, name: str, queue: str) -> Finding:
    """A connection wakes one of the processes that sleep on that queue; several must sleep there to show it.

    A process that has just become free may take the connection first. Then the woken process gets none, and may be woken again.
    """
    average, evidence = _per_connection(run, name, queue)
    packets, asleep, _woken = herd(run.case(name), queue)
    if not 0 < average <= 1.2:
        return failed(evidence)
    if asleep < 1.5 * packets:
        return unavailable(f"{evidence}; most processes still served a client: leave out --messages and --gap-ms")
    return confirmed(evidence)


@LAB.check("a connection wakes one process of those asleep in accept", claims=("C48",))
def in_accept(run: Run) -> Finding:
    """The entries of accept are exclusive: the kernel stops at the first process that it wakes.

    A recording of an older version names no queue: the number of queues is 0.
    """
    case = run.case("in accept")
    listens = len(case.calls("listen"))
    shared = queues(case, "accept") in (0, 1)
    found = _one_woken(run, "in accept", "accept")
    return found if not listens and shared else failed(f"{found.evidence}; {count(listens, 'other call')} of listen")


@LAB.check("a connection wakes all processes asleep in select", claims=("C48",))
def in_select(run: Run) -> Finding:
    """Each process has an entry of its own in the listener's queue, and the entry is not exclusive."""
    return _all_woken(run, "in select", "select")


@LAB.check("a connection wakes all processes asleep in epoll_wait", claims=("C33", "C48"))
def in_epoll(run: Run) -> Finding:
    """Each epoll has its callback in the listener's queue, and each callback wakes the process that waits on this epoll."""
    return _all_woken(run, "in epoll", "epoll")


@LAB.check("with EPOLLEXCLUSIVE a connection wakes one process", claims=("C48",))
def exclusive(run: Run) -> Finding:
    """An exclusive entry: the callback of one epoll is enough. man 2 epoll_ctl promises "one or more"."""
    case = run.case("exclusive")
    found, more = _one_woken(run, "exclusive", "epoll"), wake_ups(case, "epoll") - len(case.connections)
    if found.verdict is Verdict.CONFIRMED and more > 0:
        return refined(f"{found.evidence}: {count(more, 'wake-up')} more than connections")
    return found


@LAB.check("with SO_REUSEPORT each process has a queue of its own", claims=("C48",))
def own_listener(run: Run) -> Finding:
    """The kernel chooses a listener by a hash of the addresses, and wakes the one process that waits on this listener."""
    average, evidence = _per_connection(run, "reuseport", "accept")
    case = run.case("reuseport")
    accepting = len({call.thread for call in case.connections})
    evidence += f"; {accepting} of {WORKERS} listeners got a connection"
    listens = len(case.calls("listen"))
    apart = listens >= WORKERS - 1 and queues(case, "accept") in (0, WORKERS)
    return confirmed(evidence) if 0 < average <= 1.2 and apart else failed(f"{evidence}; {count(listens, 'call')} of listen")


WOKEN = Ranges(
    (1.5, "one"), (0.4 * WORKERS, "two or three"), beyond="four or more, up to all eight"
)  # fmt: skip


def processes_woken(run: Run) -> Truth:
    """The wake-ups per connection, on any queue on which the processes sleep."""
    if not (connections := len(run.connections)):
        raise Undecided("0 connections arrived")
    packets = sum(wake_ups(run, queue) for queue in ("accept", "select", "poll", "epoll"))
    words = f"{count(packets, 'wake-up')} for {count(connections, 'connection')}, {packets / connections:.1f} per connection"
    return Truth(WOKEN(packets / connections), words)


PROCESSES_WOKEN = Question(
    "woken",
    "How many of its eight processes does one connection wake, on average?",
    WOKEN.labels,
    processes_woken,
    ranges=True,
)
LAB.ask(*(PROCESSES_WOKEN.at(name) for name in ("in accept", "in select", "in epoll", "exclusive", "reuseport")))
