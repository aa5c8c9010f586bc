"""A classic mistake: edge-triggered epoll, drained as the text says, and a client that never stops sending."""

from findings import evidence
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.cases import MEANWHILE, slowest_answer
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.server import READERS
from labs.kit.traffic import Traffic
from probes.words import count, ms
from servers.mistakes.edge_starvation import TURN

LAB = Lab(
    model="epoll_edge",
    chapter="Classic mistakes",
    question="What happens if a socket always has more data to drain?",
    watch="how often the server reads the flooding connection while another connection's data is unread.",
    try_next=(
        "invoke lab epoll_edge  the same model with clients that pause",
        "invoke lab epoll       level-triggered: no socket has to be drained",
    ),
    reading=(
        "man 7 epoll: Starvation (edge-triggered)",
        "fs/eventpoll.c: ep_send_events",
    ),
    cases=(Case("broken", "mistakes.edge_starvation:broken"), Case("mended", "mistakes.edge_starvation:mended")),
    traffic=Traffic(clients=2, messages=6, gap_ms=10, flood_ms=80),
)
NO_OTHER = "no other client sent a message during the flood: use a smaller --gap-ms"


def sent_during_flood(run: Run) -> bool:
    """Did another client's message arrive during the flood?"""
    flood = evidence.reads_of_busiest(run)
    return bool(flood) and any(
        flood[0].enter < message.ready < flood[-1].exit for message in run.result.messages if message.socket != flood[0].socket
    )


@LAB.check("a server that drains without a limit starves the other clients", claims=("C38",))
def starved(run: Run) -> Finding:
    """The server read one connection as long as it had data, while the data of others was unread."""
    broken = run.case("broken")
    reads, unread = evidence.reads_while_unread(broken)
    words = (
        f"{count(reads, 'read')} of the flooding connection while another connection's data was unread for {ms(unread)};"
        f" the slowest answer to another client took {ms(broken.round_trips[-1])}"
    )
    if reads > 8 * TURN:
        return confirmed(words)
    if not sent_during_flood(broken):
        return unavailable(f"{words}; {NO_OTHER}")
    return unavailable(f"{words}; the link is slower than the server's reads") if run.link else failed(words)


@LAB.check("a limited turn for each connection serves all clients", claims=("C36",))
def turns(run: Run) -> Finding:
    """The kernel reports an arrival only once. The server keeps a list of ready connections, and reads each for one turn."""
    mended = run.case("mended")
    reads, unread = evidence.reads_while_unread(mended)
    words = (
        f"at most {count(reads, 'read')} of the flooding connection while another connection's data was unread for"
        f" {ms(unread)}; the slowest answer to another client took {ms(mended.round_trips[-1])}, the flood"
        f" {ms(run.flood_ns)}"
    )
    if not sent_during_flood(mended):
        return unavailable(f"{words}; {NO_OTHER}")
    return confirmed(words) if 0 < reads <= 4 * TURN else failed(words)


READS = Ranges(
    (0, "none"), (4 * TURN, f"1 to {4 * TURN}"), (500, f"{4 * TURN + 1} to 500"), beyond="more than 500"
)  # fmt: skip


def reads_of_the_flood(run: Run) -> Truth:
    """The reads of the flooding connection while another connection's data was unread."""
    reads, unread = evidence.reads_while_unread(run)
    words = f"{count(reads, 'read')} of the flooding connection while another connection's data was unread for {ms(unread)}"
    return Truth(READS(reads), words)


PASSED_OVER = Question(
    "passed-over",
    "A client floods the server. How often is its connection read, at most, while another connection's data is unread?",
    READS.labels,
    reads_of_the_flood,
    ranges=True,
)
OF_THE_FLOOD = Ranges(
    (0.35, "a third of the flood's time, or less"), (2, "from a third to twice its time"), beyond="more than twice its time"
)  # fmt: skip


def share_of_flood(run: Run) -> Truth:
    """The slowest answer to a client that does not flood, as a share of the flood."""
    if not run.flood_ns:
        raise Undecided("0 clients flooded the server")
    slowest = slowest_answer(run)
    return Truth(OF_THE_FLOOD(slowest / run.flood_ns), f"the slowest answer took {ms(slowest)}, the flood {ms(run.flood_ns)}")


SLOWEST = Question(
    "slowest",
    "One client floods the server for a while. How long does the slowest answer to another client take?",
    OF_THE_FLOOD.labels,
    share_of_flood,
    ranges=True,
)
LAB.ask(
    MEANWHILE.at("broken"),
    PASSED_OVER.at("broken"),
    PASSED_OVER.at("mended"),
    READERS.at("broken"),
    SLOWEST.at("broken"),
    SLOWEST.at("mended"),
)
