"""A classic mistake: a non-blocking listener, and connections that nothing makes non-blocking. What does a read of them do?"""

from findings import evidence
from findings.view import Finding
from labs.kit.lab import Case, Lab, Run, confirmed, failed, refuted, unavailable, waited
from labs.kit.questions.cases import MEANWHILE
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.server import READERS
from labs.kit.traffic import Traffic
from probes.words import count, ms

LAB = Lab(
    model="epoll",
    chapter="Classic mistakes",
    question="The listener is non-blocking. What does a read of an accepted connection without data do?",
    watch="the sleeps in recvfrom: a server that polls, or waits in epoll_wait, must have none.",
    try_next=(
        "invoke lab nonblocking    connections that are non-blocking",
        "invoke lab silent_client  a server that blocks on purpose",
        "invoke lab accept         what accept itself does",
    ),
    reading=(
        "UNP 16.1 and 16.6 (non-blocking accept)",
        "man 2 accept (file status flags; SOCK_NONBLOCK)",
        "net/socket.c: do_accept takes the flags of accept4 only",
    ),
    cases=(
        Case("polling", "mistakes.blocking_accepted:polling"),
        Case("polling, mended", "mistakes.blocking_accepted:polling_mended"),
        Case("event loop", "mistakes.blocking_accepted:event_loop"),
        Case("event loop, mended", "mistakes.blocking_accepted:event_loop_mended"),
    ),
    traffic=Traffic(clients=3, messages=5, gap_ms=15, silent_ms=300),
)
ALONE = "a single client waits for no other client: use --clients 2 or more"
SET_FLAGS = ("ioctl", "fcntl")


def asleep_in_read(run: Run) -> list[int]:
    """How long each read slept that slept on the socket's queue, ns."""
    return [call.wait for call in run.reads if waited(call)]


def made_non_blocking(run: Run) -> int:
    """The connections with a call of ioctl (FIONBIO) or fcntl (F_SETFL) after their accept."""
    return sum(
        1
        for accepted in run.connections
        if any(call.fd == accepted.result and call.enter >= accepted.exit for call in run.calls(*SET_FLAGS))
    )


@LAB.check("connections of a non-blocking listener are non-blocking, too", claims=("C58",))
def inherited(run: Run) -> Finding:
    """The listener got EAGAIN or waited in epoll. No call changed the flags of a connection, and reads of connections slept."""
    parts, good = [], True
    for name in ("polling", "event loop"):
        case = run.case(name)
        slept, changed = asleep_in_read(case), made_non_blocking(case)
        parts.append(
            f"{name}: {count(changed, 'call')} of ioctl or fcntl for {count(len(case.connections), 'connection')},"
            f" {len(slept)} of {count(len(case.reads), 'read')} slept on the socket's queue, for {ms(sum(slept))}"
        )
        good = good and bool(slept) and not changed
    return refuted("; ".join(parts)) if good else failed("; ".join(parts))


@LAB.check("one connection without data stalls a thread that polls blocking connections", claims=("C13",))
def polling_stalls(run: Run) -> Finding:
    """The thread slept in recvfrom on the silent connection while other connections' data was unread."""
    case = run.case("polling")
    silent = [call for call in case.reads if not call.bytes]
    longest, unread = evidence.slept_while_unread(case, "socket", silent)
    words = (
        f"the silence lasted {ms(run.silent_ns)}, the slowest answer took {ms(max(case.round_trips))}; data was unread for"
        f" {ms(unread)}, and for {ms(longest)} of this time the thread slept in recvfrom on the silent connection"
    )
    return confirmed(words) if longest > 0.5 * run.silent_ns else failed(words)


@LAB.check("a read beyond the last byte takes an event loop to sleep on one connection", claims=("C22",))
def loop_stalls(run: Run) -> Finding:
    """epoll_wait reported the connection, the first read emptied it, and the next read slept while others' data was unread."""
    case = run.case("event loop")
    if len(case.clients) < 2:
        return unavailable(ALONE)
    slept = asleep_in_read(case)
    longest, unread = evidence.slept_while_unread(case, "socket")
    words = (
        f"{len(slept)} of {count(len(case.reads), 'read')} slept on the socket's queue, for {ms(sum(slept))}; another"
        f" connection's data was unread for {ms(unread)}, and for {ms(longest)} of this time the thread slept in recvfrom"
    )
    return confirmed(words) if slept and longest > 0.5e6 * run.traffic.gap_ms else failed(words)


@LAB.check("a thread that polls non-blocking connections sleeps on none of them", claims=("C05", "C17"))
def polling_mended(run: Run) -> Finding:
    """Each connection was made non-blocking, and the reads without data got EAGAIN."""
    return _mended(run, "polling, mended")


@LAB.check("an event loop with non-blocking connections sleeps in epoll_wait only", claims=("C22", "C24"))
def loop_mended(run: Run) -> Finding:
    """The read beyond the last byte got EAGAIN, and the thread went back to epoll_wait."""
    return _mended(run, "event loop, mended")


def _mended(run: Run, name: str) -> Finding:
    case = run.case(name)
    slept, changed = asleep_in_read(case), made_non_blocking(case)
    refused = sum(call.count for call in case.reads if call.errno == "EAGAIN")
    words = (
        f"{count(changed, 'connection')} of {len(case.connections)} made non-blocking; {count(refused, 'read')} got EAGAIN, and"
        f" {len(slept)} slept; the slowest of {count(len(case.round_trips), 'answer')} took {ms(max(case.round_trips))}"
    )
    return confirmed(words) if changed == len(case.connections) > 0 and refused and not slept else failed(words)


PART = Ranges((0.05, "5 % or less"), (0.4, "5 to 40 %"), beyond="more than 40 %")


def asleep_share(run: Run) -> Truth:
    """The share of the time from the first accept to the last read that the thread slept in reads."""
    reads = [call for call in run.reads if call.socket or call.sleeps]
    if not reads or not run.connections:
        raise Undecided(f"{count(len(reads), 'read')}")
    span = max(call.exit for call in reads) - run.connections[0].exit
    slept = sum(asleep_in_read(run))
    return Truth(PART(slept / span), f"the thread slept for {ms(slept)} of {ms(span)} in reads of connections")


IN_READS = Question(
    "in-reads",
    "From the first connection to the last read: for how much of the time does the thread sleep in a read?",
    PART.labels,
    asleep_share,
    ranges=True,
)
LAB.ask(
    MEANWHILE.at("polling"),
    MEANWHILE.at("event loop"),
    MEANWHILE.at("event loop, mended"),
    IN_READS.at("polling"),
    IN_READS.at("polling, mended"),
    IN_READS.at("event loop"),
    IN_READS.at("event loop, mended"),
    READERS.at("event loop"),
)
