"""A classic mistake: one thread, blocking calls, and a client that sends nothing. Which clients wait for it?"""

from findings import evidence
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.cases import MEANWHILE, slowest_answer
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.server import READERS, WAITS_IN
from labs.kit.traffic import Traffic
from probes.words import count, ms

LAB = Lab(
    model="blocking",
    chapter="Classic mistakes",
    question="How does one silent client delay the other clients?",
    watch="three servers with the same clients and the same silence: only in the first server the other clients wait.",
    try_next=(
        "invoke lab blocking  the model by itself",
        "invoke lab epoll     one thread that no client delays",
    ),
    reading=(
        "UNP 6.8, Denial-of-Service Attacks",
        "UNP 4.8 and 26.4, a process or a thread for each client",
    ),
    cases=(Case("broken", "blocking"), Case("mended", "threads"), Case("one thread", "epoll")),
    traffic=Traffic(clients=3, messages=5, gap_ms=10, silent_ms=400),
)


@LAB.check("a silent client delays all others of a single blocking thread", claims=("C13",))
def held(run: Run) -> Finding:
    """The thread slept in recvfrom on the silent connection while other connections' data was unread.

    The silent client sends nothing and then closes, so that the read of its connection returns 0 bytes.
    """
    broken = run.case("broken")
    silent = [call for call in broken.reads if not call.bytes]
    longest, unread = evidence.slept_while_unread(broken, "socket", silent)
    end = max((call.exit for call in silent if call.wait > 0.5 * run.silent_ns), default=0)
    if end and all(sent > end for client in broken.clients for sent, _echoed in client.exchanges):
        return unavailable("no other client sent a message during the silence: use a smaller --gap-ms than 400")
    during = [client for client in broken.clients if any(sent < end for sent, _echoed in client.exchanges)]
    late = [client for client in during if any(sent < end < echoed for sent, echoed in client.exchanges)]
    words = (
        f"the silence lasted {ms(run.silent_ns)}; {len(late)} of {count(len(during), 'client')} that sent a message meanwhile"
        f" waited for its end, for up to {ms(broken.round_trips[-1])}; data was unread for {ms(unread)}, and for {ms(longest)}"
        " of this time the thread slept in recvfrom on the silent connection"
    )
    return confirmed(words) if longest > 0.5 * run.silent_ns and len(late) == len(during) else failed(words)


@LAB.check("with a thread for each connection a silent client delays no other", claims=("C14",))
def isolated(run: Run) -> Finding:
    """Each connection had a thread of its own, and the other clients got their answers at once."""
    mended = run.case("mended")
    made, connections = len(evidence.created(mended)), len(mended.connections)
    if made < connections:
        return failed(f"the server created {count(made, 'thread')} for {count(connections, 'connection')}")
    return _not_delayed(run, "mended")


@LAB.check("a single thread that waits in epoll delays no client", claims=("C24",))
def multiplexed(run: Run) -> Finding:
    """One thread is enough, as long as it never waits in a call on a socket."""
    threads = run.case("one thread").result.threads
    if len(threads) > 1:
        return failed(f"the server has {count(len(threads), 'thread')}")
    return _not_delayed(run, "one thread")


def _not_delayed(run: Run, name: str) -> Finding:
    """No answer took half of the silence, and the thread hardly slept for one connection while another's data was unread."""
    case = run.case(name)
    longest, _unread = evidence.slept_while_unread(case, "socket")
    slowest = max(case.round_trips)
    words = (
        f"{count(len(case.result.threads), 'thread')}: the slowest of {count(len(case.round_trips), 'answer')} took"
        f" {ms(slowest)}, the silence lasted {ms(run.silent_ns)}; while data was unread, its thread slept"
        f" {f'for up to {ms(longest)}' if longest else '0 times'} on another connection"
    )
    return confirmed(words) if slowest < 0.5 * run.silent_ns and longest < 0.1 * run.silent_ns else failed(words)


OF_THE_SILENCE = Ranges(
    (0.25, "less than a quarter of the silence"), (0.75, "about half of the silence"), beyond="nearly all of it, or more"
)  # fmt: skip


def share_of_silence(run: Run) -> Truth:
    """The slowest answer, as a share of the silence."""
    if not run.silent_ns:
        raise Undecided("0 clients were silent")
    slowest = slowest_answer(run)
    words = f"the slowest answer took {ms(slowest)}, the silence lasted {ms(run.silent_ns)}"
    return Truth(OF_THE_SILENCE(slowest / run.silent_ns), words)


SILENCE = Question(
    "silence",
    "One client sends nothing. How long does the slowest answer to another client take?",
    OF_THE_SILENCE.labels,
    share_of_silence,
    ranges=True,
)
LAB.ask(
    MEANWHILE.at("broken"),
    SILENCE.at("broken"),
    SILENCE.at("mended"),
    SILENCE.at("one thread"),
    READERS.at("mended"),
    WAITS_IN.at("one thread"),
)
