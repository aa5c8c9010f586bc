"""A classic mistake: a short time-out in epoll_wait. What does the time-out cost, and does the answer come sooner?"""

from findings.sleeps.waiting import packets_ended, waiting
from findings.view import Finding
from labs.kit.lab import Case, Lab, Run, confirmed, failed, refined, unavailable
from labs.kit.questions.server import CALLS, WAITS_IN
from labs.kit.questions.waiting import ASLEEP, RUNNABLE, WAITS, WITHOUT_RESULT
from labs.kit.traffic import Traffic
from probes.words import count, ms
from servers.mistakes.time_out_polling import SHORT

LAB = Lab(
    model="epoll",
    chapter="Classic mistakes",
    question="What does a short time-out change in a server that waits in epoll_wait?",
    watch="the waits without result, and what ended the sleeps in which messages arrived: a packet, with any time-out.",
    try_next=(
        "invoke lab poll_pause   a pause that delays the answer",
        "invoke lab nonblocking  polls without a multiplexer",
        "invoke lab epoll        a wait without a limit",
    ),
    reading=(
        "man 2 epoll_wait: timeout",
        "UNP 6.2, Nonblocking I/O Model: polling",
        "fs/eventpoll.c: ep_poll (a time-out of 0 returns at once)",
    ),
    cases=(
        Case("time-out 0", "mistakes.time_out_polling:no_wait"),
        Case("time-out 1 ms", "mistakes.time_out_polling:short"),
        Case("no time-out", "mistakes.time_out_polling:mended"),
    ),
    traffic=Traffic(clients=2, messages=10, gap_ms=20, jitter=0.5),
)
SHORT_NS = SHORT * 1e9


@LAB.check("with a time-out of 0 the thread takes a whole core", claims=("C19",))
def whole_core(run: Run) -> Finding:
    """epoll_wait returned without a sleep each time, nearly always without result."""
    found = waiting(run.case("time-out 0"))
    good = found.calls and not found.asleep and found.without_result > 0.9 * found.calls and found.runnable > 0.9
    return confirmed(found.words) if good else failed(found.words)


@LAB.check("with a time-out of 1 ms a timer ends most waits, without result", claims=("C20",))
def by_timer(run: Run) -> Finding:
    """The thread slept in the waits without result: it saves CPU, and still wakes many times in which nothing has happened.

    Other than a pause between two polls, the time-out delays no answer: a packet ends the wait.
    """
    short = run.case("time-out 1 ms")
    found, other, (by_packet, arrived) = waiting(short), waiting(run.case("time-out 0")), packets_ended(short)
    words = f"{found.words}; {found.ended_by_timer:,} waits slept and returned 0 (the time-out is {ms(SHORT_NS)})"
    words += f"; with a time-out of 0: runnable for {other.runnable:.1%}"
    good = 0 < 0.5 * found.calls < found.ended_by_timer and found.runnable < 0.8 * other.runnable
    words += (
        f"; a packet ended {by_packet} of the {count(arrived, 'sleep')} in which a message arrived, so no answer was delayed"
    )
    if not good and found.ended_by_timer and found.span < 3 * SHORT_NS * len(short.result.messages):
        return unavailable(f"{words}; messages arrive faster than the time-out ends a wait: use a larger --gap-ms")
    return refined(words) if good and by_packet >= 0.8 * arrived else failed(words)


@LAB.check("a packet ends the wait at once, with a time-out and without", claims=("C33",))
def no_sooner(run: Run) -> Finding:
    """So the short time-out brings no answer sooner: the sleep ended through the socket, and not at the time-out."""
    parts, good = [], True
    for name in ("time-out 1 ms", "no time-out"):
        by_packet, arrived = packets_ended(run.case(name))
        parts.append(f"{name}: {count(arrived, 'message')} found the thread asleep, a packet ended {by_packet} of these sleeps")
        if not arrived:
            return unavailable("; ".join(parts)) if waiting(run.case(name)).asleep else failed("; ".join(parts))
        good = good and by_packet >= 0.8 * arrived
    return confirmed("; ".join(parts)) if good else failed("; ".join(parts))


@LAB.check("without a time-out epoll_wait returns only with a result", claims=("C22", "C24"))
def with_result(run: Run) -> Finding:
    """No wait returned 0, and the thread slept until something happened."""
    found = waiting(run.case("no time-out"))
    return confirmed(found.words) if found.asleep and not found.without_result else failed(found.words)


LAB.ask(
    WITHOUT_RESULT.at("time-out 1 ms"),
    WITHOUT_RESULT.at("no time-out"),
    RUNNABLE.at("time-out 0"),
    RUNNABLE.at("time-out 1 ms"),
    ASLEEP.at("time-out 0"),
    ASLEEP.at("time-out 1 ms"),
    WAITS.at("no time-out"),
    CALLS.at("no time-out"),
    WAITS_IN.at("time-out 1 ms"),
)
