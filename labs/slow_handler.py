"""A classic mistake: a handler that takes long, inside the event loop. Which clients wait for it?"""

from findings import evidence
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.cases import MEANWHILE
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.server import COPIES, WAITS_IN
from labs.kit.traffic import Traffic
from probes.words import count, ms
from servers.mistakes.slow_handler import HANDLING

LAB = Lab(
    model="epoll",
    chapter="Classic mistakes",
    question="What does one slow handler do to the other clients of an event loop?",
    watch="the sleeps of the loop's thread: in the broken server it sleeps for a timer while other clients' data is unread.",
    try_next=(
        "invoke lab selectors  the loop that calls handlers: the Reactor",
        "invoke lab asyncio    a loop that a slow coroutine stalls",
    ),
    reading=(
        "docs.python.org, asyncio: Running Blocking Code",
        "man 2 epoll_ctl (EPOLLONESHOT)",
        "D. C. Schmidt, Reactor",
    ),
    cases=(Case("broken", "mistakes.slow_handler:broken"), Case("mended", "mistakes.slow_handler:mended")),
    traffic=Traffic(clients=4, messages=15, gap_ms=25, jitter=0.5, slow=1),
)
HANDLING_NS = HANDLING * 1e9
ENOUGH = 10  # requests of a client; about half of them find the loop in a slow handler
ONLY_SLOW = "the single client sends the slow requests: use --clients 2 or more"


def quick(run: Run) -> list[int]:
    """The round trips of the clients whose requests are not slow, ns, sorted."""
    return sorted(exchange.round_trip for client in run.clients if not client.slow for exchange in client.exchanges)


def delayed(trips: list[int]) -> int:
    """How many quick requests took longer than a fifth of a slow request's handling."""
    return sum(1 for duration in trips if duration > 0.2 * HANDLING_NS)


@LAB.check("a slow handler stalls every other connection", claims=("C38", "C61"))
def stalled(run: Run) -> Finding:
    """The loop's thread slept in the handler while other connections' data was unread."""
    broken = run.case("broken")
    longest, unread = evidence.slept_while_unread(broken, "timer")
    trips = quick(broken)
    if not trips:
        return unavailable(ONLY_SLOW)
    others = [client for client in broken.clients if not client.slow]
    late = [client for client in others if delayed([exchange.round_trip for exchange in client.exchanges])]
    words = (
        f"{delayed(trips)} of {count(len(trips), 'quick request')} waited, for up to {ms(trips[-1])}, from {len(late)} of"
        f" {count(len(others), 'other client')}; data was unread for {ms(unread)}, and for {ms(longest)} of this time the"
        f" loop's thread slept in a handler ({ms(HANDLING_NS)} each)"
    )
    if longest <= 0.3 * HANDLING_NS or not late:
        return failed(words)
    if len(late) < len(others) and len(trips) < ENOUGH * len(others):
        return unavailable(f"{words}; {ENOUGH} requests of each client show it: use a larger --messages")
    return confirmed(words) if len(late) == len(others) else failed(words)


@LAB.check("a slow handler in a worker thread stalls no other connection", claims=("C38",))
def handed_over(run: Run) -> Finding:
    """The loop's thread slept in epoll_wait only, and fewer messages waited for a sleep of their thread."""
    mended = run.case("mended")
    trips, loop = quick(mended), mended.server.serial
    if not trips:
        return unavailable(ONLY_SLOW)
    held, held_in_broken = (
        sum(1 for slept, _unread in evidence.sleeps_while_unread(case, {"timer"}) if slept > 0.3 * HANDLING_NS)
        for case in (mended, run.case("broken"))
    )
    in_handler = [
        call for call in mended.result.calls if call.thread == loop and any(sleep.queue == "timer" for sleep in call.sleeps)
    ]
    words = (
        f"{delayed(trips)} of {count(len(trips), 'quick request')} waited (the slowest took {ms(trips[-1])}); the loop's"
        f" thread made {count(len(in_handler), 'sleep')} in a handler; {count(held, 'message')} waited while the reading thread"
        f" slept for another connection (in the broken server {held_in_broken})"
    )
    return confirmed(words) if not in_handler and held < 0.5 * held_in_broken else failed(words)


PART = Ranges((0.1, "10 % or less"), (0.8, "10 to 80 %"), beyond="over 80 %: nearly all of them")


def share_delayed(run: Run) -> Truth:
    """The share of the quick requests that a slow request delayed."""
    trips = quick(run)
    if not trips:
        raise Undecided("0 quick requests")
    requests = count(len(trips), "quick request")
    words = f"{delayed(trips)} of {requests} took longer than a fifth of the slow handler's {ms(HANDLING_NS)}"
    return Truth(PART(delayed(trips) / len(trips)), words)


QUICK_LATE = Question(
    "quick-late",
    "The requests of one client take long. How many of the other clients' quick requests wait for them?",
    PART.labels,
    share_delayed,
    ranges=True,
)
LAB.ask(
    QUICK_LATE.at("broken"),
    QUICK_LATE.at("mended"),
    MEANWHILE.at("broken"),
    WAITS_IN.at("broken"),
    COPIES.at("broken"),
    COPIES.at("mended"),
)
