"""A classic mistake: a pool of four threads, and each serves one connection until it ends. What happens to the fifth client?"""

from findings import evidence
from findings.threads import concurrency
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.cases import MEANWHILE
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.server import ORDER, READERS
from labs.kit.traffic import Traffic
from probes.words import count, ms
from servers.thread_pool import WORKERS

LAB = Lab(
    model="thread_pool",
    chapter="Classic mistakes",
    question="What happens to a client that connects when the pool is full?",
    watch="the first answers: the fifth client is connected at once, but no thread reads it until another client has ended.",
    try_next=(
        "invoke lab thread_pool   the model by itself",
        "invoke lab process_pool  the same ceiling, of processes",
    ),
    reading=(
        "UNP 30.6 to 30.12 on preforked and prethreaded servers",
        "docs.python.org, concurrent.futures",
    ),
    cases=(Case("broken", "thread_pool"), Case("mended", "threads"), Case("one thread", "epoll")),
    traffic=Traffic(clients=6, messages=11, gap_ms=20),
)
TOO_SHORT = "a client that sends 1 message ends at once: use --messages 2 or more"


def first_answers(run: Run) -> list[int]:
    """How long each client waited from its first message to its echo, ns, sorted."""
    return sorted(client.exchanges[0].round_trip for client in run.clients if client.exchanges)


def shortest_stay(run: Run) -> int:
    """How long a client stays at least, from its first message to its last echo, ns."""
    stays = (client.exchanges[-1].echoed - client.exchanges[0].sent for client in run.clients if client.exchanges)
    return min(stays, default=0)


def late_answers(run: Run) -> int:
    """How many first answers took more than half of a client's stay."""
    return sum(1 for duration in first_answers(run) if duration > 0.5 * shortest_stay(run))


@LAB.check("connections beyond the pool's size wait", claims=("C16",))
def ceiling(run: Run) -> Finding:
    """The server served at most four connections at the same time; the other clients had to wait for the end of one."""
    broken = run.case("broken")
    if min(len(client.exchanges) for client in broken.clients) < 2:
        return unavailable(TOO_SHORT)
    finding = concurrency.ceiling(broken, WORKERS, "thread")
    if finding.verdict == "unavailable":
        return finding
    answers, late = first_answers(broken), late_answers(broken)
    clients = count(len(answers), "client")
    words = f"{finding.evidence}; {late} of {clients} waited for the first answer, for up to {ms(answers[-1])}"
    good = finding.verdict == "confirmed" and late == max(len(answers) - WORKERS, 0)
    return confirmed(words) if good else failed(words)


@LAB.check("with a thread for each connection no client waits for another", claims=("C14",))
def no_ceiling(run: Run) -> Finding:
    """The server created a thread for each connection, and every client got its first answer at once."""
    mended = run.case("mended")
    made, connections = len(evidence.created(mended)), len(mended.connections)
    if made < connections:
        return failed(f"the server created {count(made, 'thread')} for {count(connections, 'connection')}")
    return _at_once(mended)


@LAB.check("one thread that waits in epoll has no ceiling", claims=("C24",))
def multiplexed(run: Run) -> Finding:
    """A connection in epoll needs no thread of its own, so the number of threads is no ceiling."""
    case = run.case("one thread")
    if len(case.result.threads) > 1:
        return failed(f"the server has {count(len(case.result.threads), 'thread')}")
    return _at_once(case)


def _at_once(run: Run) -> Finding:
    """Every client got its first answer in less than half of a client's stay."""
    if min(len(client.exchanges) for client in run.clients) < 2:
        return unavailable(TOO_SHORT)
    answers = first_answers(run)
    words = (
        f"{count(len(run.result.threads), 'thread')}: the slowest of {count(len(answers), 'first answer')} took"
        f" {ms(answers[-1])}; a client stays for {ms(shortest_stay(run))} at least"
    )
    return confirmed(words) if answers[-1] < 0.5 * shortest_stay(run) else failed(words)


CLIENTS = Ranges((0, "none"), (1, "1"), (2, "2"), (3, "3"), (5, "4 or 5"), beyond="6 or more")


def waiting_for_an_end(run: Run) -> Truth:
    """How many clients got their first answer late."""
    if not run.clients:
        raise Undecided("0 clients")
    late, answers = late_answers(run), count(len(run.clients), "first answer")
    return Truth(CLIENTS(late), f"{late} of {answers} took more than half of a client's stay ({ms(shortest_stay(run))})")


LATE_CLIENTS = Question(
    "late-clients",
    "How many of the clients get their first answer only when another client ends?",
    CLIENTS.labels,
    waiting_for_an_end,
    ranges=True,
)
LAB.ask(
    MEANWHILE.at("broken"),
    LATE_CLIENTS.at("broken"),
    LATE_CLIENTS.at("mended"),
    LATE_CLIENTS.at("one thread"),
    READERS.at("broken"),
    READERS.at("mended"),
    ORDER.at("broken"),
)
