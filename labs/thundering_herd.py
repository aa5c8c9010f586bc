"""A classic mistake: many processes wait for one listener, and every connection wakes them all."""

from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, refined, unavailable
from labs.kit.traffic import Traffic
from servers.mistakes.thundering_herd import WORKERS

LAB = Lab(
    model="processes",
    chapter="Classic mistakes",
    question="Eight processes wait for a connection. How many does it wake?",
    watch="wake-ups for each connection: one where the place on the listener's queue is exclusive, up to eight elsewhere.",
    try_next=(
        "invoke lab accept        what accept waits for",
        "invoke lab process_pool  four processes, asleep in accept",
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


def woken(run: Run, queue: str) -> tuple[int, int, int]:
    """Connections taken; sleeps on that queue that a packet ended; and EAGAINs, of those who came too late."""
    packets = sum(
        1
        for call in run.result.calls
        for sleep in call.sleeps
        if sleep.queue == queue and sleep.waker and "packet" in sleep.waker.chain
    )
    refused = sum(one.count for one in run.calls("accept4", "accept") if one.errno == "EAGAIN")
    return len(run.connections), packets, refused


def herd(run: Run, queue: str) -> tuple[int, int, int]:
    """Packets that found somebody asleep on that queue; and summed over them, how many slept there, and how many it woke.

    What a packet does at once is told from the next packet's by half the time from one client to the next.
    """
    sleeps = sorted(
        (one for call in run.result.calls for one in call.sleeps if one.queue == queue and one.waker),
        key=lambda one: one.woken,
    )
    traffic = run.result.context["traffic"]
    at_once = (traffic["spread_ms"] or 1) * 1e6 / traffic["clients"] / 2
    packets = asleep = woken = 0
    first = -1.0
    for sleep in sleeps:
        if not sleep.waker or "packet" not in sleep.waker.chain or sleep.woken - first < at_once:
            continue
        first = sleep.woken
        there = [one for one in sleeps if one.off < first <= one.woken]
        packets += 1
        asleep += len(there)
        woken += sum(1 for one in there if one.woken - first < at_once)
    return packets, asleep, woken


def queues(run: Run, kind: str) -> int:
    """On how many queues of that kind somebody slept: as many as there are sockets or epolls; 0: the calls name none."""
    return len({one.object for call in run.result.calls for one in call.sleeps if one.queue == kind and one.object})


def _words(run: Run, name: str, queue: str) -> tuple[float, str]:
    case = run.case(name)
    connections, packets, refused = woken(case, queue)
    each = packets / max(connections, 1)
    sleepers = len({call.thread for call in case.result.calls for sleep in call.sleeps if sleep.queue == queue})
    words = f"{name}: {packets} wake-ups for {connections} connections ({each:.1f} each), {sleepers} processes slept there"
    if several := queues(case, queue):
        words += ", all on the same queue" if several == 1 else f" on {several} queues"
    _, asleep, woke = herd(case, queue)
    words += f"; a packet woke {woke} of {asleep} who slept when it came, summed over the packets" if asleep else ""
    if packets > connections:
        words += f"; {packets - connections} came for nothing: {refused} asked accept and heard EAGAIN,"
        words += f" {max(packets - connections - refused, 0)} looked again inside the call and slept on"
    return each if sleepers >= WORKERS else 0, words


def _all_woken(run: Run, name: str, queue: str) -> Finding:
    """A packet wakes whoever sleeps there; how many these are depends on how fast they are done with the packet before."""
    each, words = _words(run, name, queue)
    packets, asleep, woke = herd(run.case(name), queue)
    if each and asleep < 1.5 * packets:
        return unavailable(f"{words}; most were busy with a client when the next came: leave out --messages and --gap-ms")
    return confirmed(words) if each and woke > 0.8 * asleep else failed(words)


@LAB.check("accept wakes one", claims=("C48",))
def one(run: Run) -> Finding:
    """Sleepers in accept have exclusive places on the queue: the kernel stops at the first it wakes."""
    each, words = _words(run, "in accept", "accept")
    listens = len(run.case("in accept").calls("listen"))
    shared = queues(run.case("in accept"), "accept") in (0, 1)  # 0: a recording from before queues were told apart
    return confirmed(words) if 0 < each <= 1.2 and not listens and shared else failed(f"{words}; {listens} more listeners")


@LAB.check("select wakes them all", claims=("C48",))
def all_of_select(run: Run) -> Finding:
    """Each of them has put itself on the listener's own queue, and not exclusively."""
    return _all_woken(run, "in select", "select")


@LAB.check("so does epoll", claims=("C33", "C48"))
def all_of_epoll(run: Run) -> Finding:
    """Each epoll has its callback on the listener's queue, and each callback wakes its own waiter."""
    return _all_woken(run, "in epoll", "epoll")


@LAB.check("EPOLLEXCLUSIVE wakes one or few", claims=("C48",))
def exclusive(run: Run) -> Finding:
    """With an exclusive place the callback of one epoll is enough."""
    each, words = _words(run, "exclusive", "epoll")
    return refined(words) if 0 < each <= 1.5 else failed(words)


@LAB.check("with SO_REUSEPORT there is no queue in common", claims=("C48",))
def own_listener(run: Run) -> Finding:
    """The kernel chooses a listener by a hash of the addresses, and with it the one process that wakes."""
    each, words = _words(run, "reuseport", "accept")
    case = run.case("reuseport")
    takers = len({one.thread for one in case.connections})
    words += f"; {takers} of {WORKERS} listeners got any"
    listens = len(case.calls("listen"))
    apart = listens >= WORKERS - 1 and queues(case, "accept") in (0, WORKERS)
    return refined(words) if 0 < each <= 1.2 and apart else failed(f"{words}; {listens} calls of listen")
