"""A classic mistake: edge-triggered epoll and one read per event. What happens to a message that is longer than the buffer?"""

from findings.descriptors.echoes import all_echoed, echoes
from findings.descriptors.unread import LeftUnread, left_unread
from findings.view import Finding
from labs.kit.lab import Case, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.waiting import REPORTED, WAITS
from labs.kit.traffic import Traffic
from probes.words import count, ms
from servers.mistakes.edge_undrained import PIECE

LAB = Lab(
    model="epoll_edge",
    chapter="Classic mistakes",
    question="What does epoll report if a read takes only a part of the data?",
    watch=f"what a read of at most {PIECE} bytes leaves in the socket, and whether epoll_wait sleeps while the data is unread.",
    try_next=(
        "invoke lab epoll_edge       a server that reads until EAGAIN",
        "invoke lab edge_starvation  what reading until EAGAIN may do",
    ),
    reading=(
        "man 7 epoll: Level-triggered and edge-triggered",
        "fs/eventpoll.c: ep_send_events, which puts only a level-triggered entry back on the ready list",
    ),
    cases=(
        Case("broken", "mistakes.edge_undrained:broken"),
        Case("mended", "mistakes.edge_undrained:mended"),
        Case("level", "mistakes.edge_undrained:level"),
    ),
    traffic=Traffic(clients=3, messages=5, size=1000, gap_ms=10, give_up_after=1.0),
)
SHORT = f"a message fits into one read of {PIECE} bytes: use --size {4 * PIECE}"


def forgotten(run: Run) -> list[LeftUnread]:
    """The data beside which the thread slept in epoll_wait."""
    return [left for left in left_unread(run) if left.slept]


def fits(run: Run) -> bool:
    """Is each message read at once?"""
    return run.traffic.size <= PIECE


@LAB.check("edge-triggered epoll does not report again what a read left in the socket", claims=("C35",))
def stalls(run: Run) -> Finding:
    """The thread slept in epoll_wait while data was unread in a socket that it had read only in part."""
    if fits(run):
        return unavailable(SHORT)
    broken = run.case("broken")
    asleep = forgotten(broken)
    if not asleep:
        return failed(f"the thread never slept while a socket had unread data; {echoes(broken)}")
    longest = max(asleep, key=lambda left: left.slept)
    words = (
        f"{count(len({left.socket for left in asleep}), 'socket')} had unread data while the thread slept in epoll_wait:"
        f" {longest.bytes:,} B for {ms(longest.ns)}, and for {ms(longest.slept)} of this time it slept; {echoes(broken)}"
    )
    return failed(words) if all_echoed(broken) else confirmed(words)


@LAB.check("a server that reads until EAGAIN leaves no data unread", claims=("C35", "C36"))
def drains(run: Run) -> Finding:
    """The same edge-triggered registration: each read that left data was followed by another read, without a wait."""
    if fits(run):
        return unavailable(SHORT)
    mended = run.case("mended")
    left = left_unread(mended)
    refused = sum(call.count for call in mended.reads if call.errno == "EAGAIN")
    words = (
        f"{count(len(left), 'read')} left data in the socket, and {sum(1 for rest in left if rest.waits)} of them were followed"
        f" by a wait; {count(refused, 'read')} got EAGAIN; {echoes(mended)}"
    )
    good = left and refused and not any(rest.waits for rest in left) and all_echoed(mended)
    return confirmed(words) if good else failed(words)


@LAB.check("level-triggered epoll reports a socket until it is empty", claims=("C35",))
def level(run: Run) -> Finding:
    """The same single read per event: epoll_wait reported the rest at once, without a sleep."""
    if fits(run):
        return unavailable(SHORT)
    case = run.case("level")
    left = left_unread(case)
    reported = [rest for rest in left if rest.waits and not rest.slept]
    words = (
        f"{count(len(left), 'read')} left data in the socket; after {len(reported)} of them epoll_wait reported it without a"
        f" sleep; {echoes(case)}"
    )
    good = left and len(reported) >= 0.9 * len(left) and all_echoed(case)
    return confirmed(words) if good else failed(words)


@LAB.check("edge-triggered epoll takes fewer waits for messages longer than the buffer", claims=("C36",))
def fewer_waits(run: Run) -> Finding:
    """The waits of the two servers that echo everything, counted for the same messages."""
    if fits(run):
        return unavailable(SHORT)
    waits = {name: len([call for call in run.case(name).waits if call.result]) for name in ("mended", "level")}
    words = "; ".join(
        f"{name}: {count(number, 'wait')} with a result, {echoes(run.case(name))}" for name, number in waits.items()
    )
    good = 1.5 * waits["mended"] < waits["level"] and all(all_echoed(run.case(name)) for name in waits)
    return confirmed(words) if good else failed(words)


HELD = Ranges((0, "none"), (PIECE, f"1 to {PIECE}"), (999, f"{PIECE + 1} to 999"), beyond="1,000 or more")


def bytes_forgotten(run: Run) -> Truth:
    """The most bytes in one socket beside which the thread slept."""
    if not run.result.messages and not left_unread(run):
        raise Undecided("0 messages arrived")
    most = max((left.bytes for left in forgotten(run)), default=0)
    return Truth(HELD(most), f"the thread slept in epoll_wait while a socket had {most:,} B unread")


FORGOTTEN = Question(
    "forgotten",
    f"A read takes at most {PIECE} bytes. How many bytes are unread in a socket, at most, while epoll_wait sleeps?",
    HELD.labels,
    bytes_forgotten,
    ranges=True,
)
BACK = Ranges((0, "none"), (0.99, "some of them"), beyond="all of them")


def share_echoed(run: Run) -> Truth:
    """The messages that came back whole."""
    if not run.clients:
        raise Undecided("0 clients")
    sent = len(run.clients) * run.traffic.messages
    return Truth(BACK(len(run.round_trips) / sent), f"{len(run.round_trips)} of {count(sent, 'message')} came back whole")


ECHOED = Question("echoed", "How many of the messages does a client get back whole?", BACK.labels, share_echoed, ranges=True)
LAB.ask(
    ECHOED.at("broken"),
    ECHOED.at("level"),
    FORGOTTEN.at("broken"),
    FORGOTTEN.at("mended"),
    FORGOTTEN.at("level"),
    WAITS.at("mended"),
    WAITS.at("level"),
    REPORTED.at("level"),
)
