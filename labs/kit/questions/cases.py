"""Questions about several servers side by side: which server keeps a client waiting, how long, and what its thread did."""

from __future__ import annotations

from findings import evidence
from findings.spans import overlap
from findings.view import Run
from labs.kit.questions.question import Question, Truth, Undecided
from probes.kernel import syscalls
from probes.words import count, ms
from servers.mistakes.edge_starvation import TURN

CLEARLY_ASLEEP = 1e6  # ns of sleep while another connection's data is unread; a wake-up takes microseconds


def slowest_answer(run: Run) -> int:
    """How long the slowest echo took, as its client saw it, ns."""
    if not run.round_trips:
        raise Undecided("0 echoes came")
    return run.round_trips[-1]


_SOON_READ = "nothing: unread data is soon read"
_IN_A_READ = "it sleeps in a read, on another client's connection"
_IN_A_PAUSE = "it sleeps until a timer ends the sleep"
_AT_WORK = "it is awake, and works for another client"
_NOT_NOTIFIED = "it sleeps in a multiplexer, which does not notify it"


def _meanwhile(run: Run) -> Truth:
    longest = max((message.ready_to_notified for message in run.result.messages), default=None)
    if longest is None:
        raise Undecided("0 messages were followed")
    reads, busy = evidence.reads_while_unread(run)
    durations = {
        _IN_A_READ: evidence.slept_while_unread(run, "socket")[0],
        _IN_A_PAUSE: evidence.slept_while_unread(run, "timer")[0],
        _AT_WORK: busy if reads > 4 * TURN else 0,
        _NOT_NOTIFIED: _slept_through_data(run),
    }
    option = max(durations, key=lambda name: durations[name])
    words = (
        f"data was unread in a socket for up to {ms(max(longest, busy))}; meanwhile the thread slept"
        f" {ms(durations[_IN_A_READ])} in a read of another connection, {ms(durations[_IN_A_PAUSE])} for a timer,"
        f" {ms(durations[_NOT_NOTIFIED])} in a multiplexer, and made {count(reads, 'read')} of another connection"
    )
    return Truth(option if durations[option] > CLEARLY_ASLEEP else _SOON_READ, words)


def _slept_through_data(run: Run) -> int:
    """The longest that a thread slept in a multiplexer while data was unread that it should read, ns."""
    asleep = [
        (call.thread, sleep) for call in run.result.named(*syscalls.MULTIPLEXERS) for sleep in call.sleeps
    ]  # fmt: skip
    return max(
        (
            overlap(sleep.off, sleep.woken, message.ready, message.notified) - message.probed
            for message in run.result.messages
            for thread, sleep in asleep
            if thread == message.thread
        ),
        default=0,
    )


MEANWHILE = Question(
    "meanwhile",
    "Data of one client is unread in its socket. What keeps the thread that should read it?",
    (_SOON_READ, _IN_A_READ, _IN_A_PAUSE, _AT_WORK, _NOT_NOTIFIED),
    _meanwhile,
)
