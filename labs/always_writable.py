"""A classic mistake: to wait for room in the send buffer when there is nothing to send. A socket nearly always has room."""

from findings.sleeps.waiting import waiting
from findings.view import Finding
from labs.kit.lab import Case, Lab, Run, confirmed, failed
from labs.kit.questions.server import WAITS_IN
from labs.kit.questions.waiting import ASLEEP, REPORTED, RUNNABLE, WAITS
from labs.kit.traffic import Traffic
from probes.words import count

LAB = Lab(
    model="epoll",
    chapter="Classic mistakes",
    question="What does a multiplexer do if the program always waits for room in the send buffer?",
    watch="the waits per message and how many of them slept; the mended servers make a few waits, and sleep in them.",
    try_next=(
        "invoke lab epoll         EPOLLOUT only while data is unsent",
        "invoke lab output_calls  what a full send buffer does",
        "invoke lab nonblocking   a loop that polls on purpose",
    ),
    reading=(
        "UNP 6.3, Under What Conditions Is a Descriptor Ready?",
        "man 7 epoll (level-triggered), man 2 select",
        "net/ipv4/tcp.c: tcp_poll; include/net/sock.h: sk_stream_is_writeable",
    ),
    cases=(
        Case("broken", "mistakes.always_writable:broken"),
        Case("mended", "mistakes.always_writable:mended"),
        Case("broken select", "mistakes.always_writable:in_select"),
        Case("mended select", "mistakes.always_writable:mended_select"),
    ),
    traffic=Traffic(clients=2, messages=4, gap_ms=8),
)
BUSY = 20  # waits per message of a loop that does not sleep; a server that sleeps makes about 2


@LAB.check("a descriptor that is always writable keeps epoll_wait from sleeping", claims=("C19", "C35"))
def busy(run: Run) -> Finding:
    """Level-triggered epoll reports a descriptor as long as it is ready. Here each connection has room in its send buffer."""
    return _busy(run.case("broken"))


@LAB.check("a descriptor that is always writable keeps select from sleeping", claims=("C19",))
def busy_select(run: Run) -> Finding:
    """The same with select: its write set has every connection."""
    return _busy(run.case("broken select"))


@LAB.check("a server that asks for EPOLLOUT only while data is unsent sleeps in epoll_wait", claims=("C22", "C24"))
def idle(run: Run) -> Finding:
    """The thread slept, and descriptors were reported about as often as there was something to do."""
    return _idle(run.case("mended"))


@LAB.check("a server whose write set has only connections with unsent data sleeps in select", claims=("C22", "C24"))
def idle_select(run: Run) -> Finding:
    """The same with select."""
    return _idle(run.case("mended select"))


def _busy(run: Run) -> Finding:
    found, messages = waiting(run), len(run.result.messages)
    words = f"{_reported(run)}; {found.words}"
    good = found.calls > BUSY * messages > 0 and found.asleep < 0.1 * found.calls and found.runnable > 0.8
    return confirmed(words) if good and found.reported > BUSY * messages else failed(words)


def _idle(run: Run) -> Finding:
    found, messages = waiting(run), len(run.result.messages)
    words = f"{_reported(run)}; {found.words}"
    ends = 2 * len(run.connections)  # each connection is reported at its begin and at its end, too
    good = found.asleep > 0 and found.calls <= 3 * messages + ends and found.reported <= 3 * messages + ends
    return confirmed(words) if good else failed(words)


def _reported(run: Run) -> str:
    reported, messages = waiting(run).reported, len(run.result.messages)
    return f"descriptors were reported ready {reported:,} times for {count(messages, 'message')}"


LAB.ask(
    WAITS.at("broken"),
    WAITS.at("mended"),
    ASLEEP.at("broken"),
    REPORTED.at("broken"),
    RUNNABLE.at("broken"),
    RUNNABLE.at("mended select"),
    WAITS.at("broken select"),
    WAITS_IN.at("mended"),
)
