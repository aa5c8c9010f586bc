"""Questions about several servers side by side: which one keeps its clients waiting, by how much, and what its thread did."""

from __future__ import annotations

from findings import evidence
from findings.evidence import ms
from labs import edge_starvation, lost_signal, poll_pause, pool_ceiling, slow_handler, thundering_herd
from labs.kit.lab import Run
from labs.kit.questions.question import Question, Ranges, Truth, Undecided, count
from labs.kit.questions.server import AWAKE, CALLS, COPIES, ORDER, READERS, WAITS_IN
from probes.kernel import syscalls
from servers.mistakes.edge_starvation import TURN
from servers.mistakes.slow_handler import HANDLING
from servers.mistakes.thundering_herd import WORKERS

HELD_UP = 1e6  # ns of sleep while another's data lies ready; a wake-up takes microseconds


def latest(*names: str) -> Question:
    """Which of these servers keeps a client waiting longest."""
    alike = "none of them: less than a factor of 2 lies between them"

    def truth(run: Run) -> Truth:
        slowest = sorted(((_slowest(run.case(name)), name) for name in names), reverse=True)
        words = "the slowest answers: " + ", ".join(f"{name} {ms(ns)}" for ns, name in slowest)
        (longest, name), (second, _), *_ = slowest
        if longest < 2 * slowest[-1][0]:
            return Truth(alike, words)
        if longest < 2 * second:
            raise Undecided(f"two are too close to each other; {words}")
        return Truth(name, words)

    return Question("latest", "On which server does a client wait longest for an answer?", (*names, alike), truth)


def _slowest(run: Run) -> int:
    if not run.round_trips:
        raise Undecided("0 echoes came")
    return run.round_trips[-1]


_TIMES = Ranges(
    (0.5, "it is sooner there, by half or more"), (2, "about as long"), (10, "2 to 10 times as long"),
    beyond="more than 10 times as long",
)  # fmt: skip


def _factor(one: str, other: str) -> Question:
    def truth(run: Run) -> Truth:
        here, there = _slowest(run.case(one)), _slowest(run.case(other))
        return Truth(_TIMES(here / there), f"the slowest answers: {one} {ms(here)}, {other} {ms(there)}")

    text = f'How long does the slowest answer of the server "{one}" take, against that of "{other}"?'
    return Question("factor", text, _TIMES.labels, truth, ranges=True)


_AT_ONCE = "nothing of the kind: data that lies ready is soon taken"
_IN_A_READ = "it sleeps in a read, on another client's connection"
_IN_A_PAUSE = "it sleeps in a handler or a pause, until a timer ends it"
_WITH_ANOTHER = "it is awake, and at work for another client"
_NOT_TOLD = "it sleeps in a multiplexer, which does not tell it"


def _meanwhile(run: Run) -> Truth:
    lay = max((one.ready_to_notified for one in run.result.messages), default=None)
    if lay is None:
        raise Undecided("0 messages were followed")
    passed, busy = edge_starvation.passed_over(run)
    kinds = {
        _IN_A_READ: evidence.held_up(run, "socket")[0],
        _IN_A_PAUSE: evidence.held_up(run, "timer")[0],
        _WITH_ANOTHER: busy if passed > 4 * TURN else 0,
        _NOT_TOLD: _slept_on(run),
    }
    option = max(kinds, key=lambda one: kinds[one])
    words = f"data lay ready for up to {ms(max(lay, busy))}; asleep meanwhile in a read for {ms(kinds[_IN_A_READ])},"
    words += (
        f" for a timer {ms(kinds[_IN_A_PAUSE])}, in a multiplexer {ms(kinds[_NOT_TOLD])}; {count(passed, 'read')} for others"
    )
    return Truth(option if kinds[option] > HELD_UP else _AT_ONCE, words)


def _slept_on(run: Run) -> int:
    """The longest that a thread slept in a multiplexer with data ready for it, ns."""
    asleep = [
        (call.thread, sleep) for call in run.result.named(*syscalls.MULTIPLEXERS) for sleep in call.sleeps
    ]  # fmt: skip
    return max(
        (
            min(sleep.woken, one.notified) - max(sleep.off, one.ready) - one.probed
            for one in run.result.messages
            for thread, sleep in asleep
            if thread == one.thread
        ),
        default=0,
    )


MEANWHILE = Question(
    "meanwhile",
    "Data of one client lies ready. What keeps the thread that should read it?",
    (_AT_ONCE, _IN_A_READ, _IN_A_PAUSE, _WITH_ANOTHER, _NOT_TOLD),
    _meanwhile,
)

_OF_THE_SILENCE = Ranges(
    (0.25, "less than a quarter of the silence"), (0.75, "about half of the silence"), beyond="nearly all of it, or more"
)  # fmt: skip


def _through_the_silence(run: Run) -> Truth:
    share = _slowest(run) / run.silent_ns if run.silent_ns else 0
    if not share:
        raise Undecided("no client was silent")
    return Truth(
        _OF_THE_SILENCE(share), f"the slowest answer took {ms(_slowest(run))}, beside a silence of {ms(run.silent_ns)}"
    )


THROUGH_THE_SILENCE = Question(
    "silence",
    "One client says nothing. How long does another one's slowest answer take?",
    _OF_THE_SILENCE.labels,
    _through_the_silence,
    ranges=True,
)

_CLIENTS = Ranges((0, "none"), (1, "1"), (2, "2"), (3, "3"), (5, "4 or 5"), beyond="6 or more")


def _waiting_for_an_end(run: Run) -> Truth:
    if not run.clients:
        raise Undecided("0 clients")
    answers = pool_ceiling.first_answers(run)
    stay = min(int(client["exchanges"][-1][1] - client["exchanges"][0][0]) for client in run.clients)
    late = sum(1 for one in answers if one > 0.5 * stay)
    return Truth(_CLIENTS(late), f"{late} of {len(answers)} first answers took more than half of a client's stay ({ms(stay)})")


WAITING_FOR_AN_END = Question(
    "late-clients",
    "How many of the clients get their first answer only when another client is about to go?",
    _CLIENTS.labels,
    _waiting_for_an_end,
    ranges=True,
)

_PART = Ranges((0.1, "hardly any of them"), (0.8, "a part: 10 to 80 %"), beyond="nearly all of them")


def _quick_late(run: Run) -> Truth:
    trips = slow_handler.quick(run)
    if not trips:
        raise Undecided("0 quick requests")
    late = sum(1 for one in trips if one > 0.2 * HANDLING * 1e9)
    words = f"{late} of {len(trips)} quick requests waited longer than a fifth of what the slow handler takes"
    return Truth(_PART(late / len(trips)), f"{words} ({HANDLING * 1e3:.0f} ms)")


QUICK_LATE = Question(
    "quick-late",
    "One client asks for what takes long. How many of the others' quick requests have to wait for it?",
    _PART.labels,
    _quick_late,
    ranges=True,
)

_READS_FIRST = Ranges(
    (0, "none"), (4 * TURN, f"1 to {4 * TURN}"), (500, f"{4 * TURN + 1} to 500"), beyond="more than 500"
)  # fmt: skip


def _passed_over(run: Run) -> Truth:
    passed, lay = edge_starvation.passed_over(run)
    return Truth(
        _READS_FIRST(passed), f"{passed:,} reads of the flooding connection while another's data lay ready for {ms(lay)}"
    )


PASSED_OVER = Question(
    "passed-over",
    "A client floods it. How many reads does it make for that one while another's data lies ready, at the worst?",
    _READS_FIRST.labels,
    _passed_over,
    ranges=True,
)

_FEWER, _AS_MANY, _MORE = "fewer signals than datagrams", "as many", "more signals than datagrams"


def _signals(run: Run) -> Truth:
    taken, came = lost_signal.taken(run), len(run.round_trips) + lost_signal.stalls(run)
    if not came:
        raise Undecided("0 datagrams came")
    # the last signal may be the one that ends the server
    option = _FEWER if taken < came - 1 else _MORE if taken > came + 1 else _AS_MANY
    return Truth(option, f"{came} datagrams came, {taken} signals were taken")


SIGNALS = Question(
    "signals", "How many signals (SIGIO) does it take for the datagrams that come?", (_FEWER, _AS_MANY, _MORE), _signals
)

_AGAIN_SENT = Ranges((0, "never"), (3, "1 to 3 times"), beyond="more often")


def _sent_again(run: Run) -> Truth:
    again = lost_signal.stalls(run)
    if not run.round_trips:
        raise Undecided("0 datagrams came")
    return Truth(_AGAIN_SENT(again), f"{again} of {len(run.round_trips)} answers came only after the client had sent again")


SENT_AGAIN = Question(
    "sent-again",
    "How often does a client get no answer, and has to send its datagram again?",
    _AGAIN_SENT.labels,
    _sent_again,
    ranges=True,
)

_WOKEN = Ranges(
    (1.5, "one"), (0.4 * WORKERS, "two or three"), beyond="four or more, up to all eight"
)  # fmt: skip


def _woken(run: Run) -> Truth:
    if not (connections := len(run.connections)):
        raise Undecided("0 connections came")
    packets = sum(thundering_herd.woken(run, queue)[1] for queue in ("accept", "select", "poll", "epoll"))
    each = packets / connections
    return Truth(_WOKEN(each), f"{packets} wake-ups for {connections} connections, {each:.1f} each")


WOKEN = Question(
    "woken",
    "How many of its eight processes does one connection wake, on average?",
    _WOKEN.labels,
    _woken,
    ranges=True,
)

_OF_A_PAUSE = Ranges(
    (0.1, "hardly any of it"), (0.25, "a tenth to a quarter"), (0.75, "about half of it"), beyond="all of it, or more"
)  # fmt: skip


def _lay_ready(name: str) -> Question:
    def truth(run: Run) -> Truth:
        case = run.case(name)
        between = poll_pause.round_of(case)
        if not case.result.messages:
            raise Undecided("0 messages were followed")
        if not between:
            raise Undecided("this server made no pauses")
        lay = poll_pause.lay_ready(case)
        return Truth(
            _OF_A_PAUSE(lay / between), f"data lay ready for {ms(lay)} of the {ms(between)} between two looks (medians)"
        )

    text = f"With a pause of {name} between two polls: for how much of a pause does data lie ready, in the median?"
    return Question(f"lay-ready@{name.replace(' ', '-')}", text, _OF_A_PAUSE.labels, truth, ranges=True)


SIDE_BY_SIDE: dict[str, tuple[Question, ...]] = {
    "io_uring": (
        WAITS_IN.at("single"), CALLS.at("single"), COPIES.at("single"), COPIES.at("multishot"), COPIES.at("worker"),
        COPIES.at("SQPOLL"), CALLS.at("SQPOLL"), READERS.at("single"),
    ),
    "silent_client": (
        latest("broken", "mended", "one thread"), _factor("broken", "mended"), MEANWHILE.at("broken"),
        THROUGH_THE_SILENCE.at("broken"), THROUGH_THE_SILENCE.at("mended"), THROUGH_THE_SILENCE.at("one thread"),
        READERS.at("mended"), READERS.at("one thread"), WAITS_IN.at("one thread"),
    ),
    "pool_ceiling": (
        latest("broken", "mended", "one thread"), _factor("broken", "mended"), MEANWHILE.at("broken"),
        WAITING_FOR_AN_END.at("broken"), WAITING_FOR_AN_END.at("mended"), WAITING_FOR_AN_END.at("one thread"),
        READERS.at("broken"), READERS.at("mended"), ORDER.at("broken"),
    ),
    "slow_handler": (
        QUICK_LATE.at("broken"), QUICK_LATE.at("mended"), MEANWHILE.at("broken"), WAITS_IN.at("broken"),
        COPIES.at("broken"), COPIES.at("mended"),
    ),
    "edge_starvation": (
        latest("broken", "mended"), _factor("broken", "mended"), MEANWHILE.at("broken"), PASSED_OVER.at("broken"),
        PASSED_OVER.at("mended"), READERS.at("broken"),
    ),
    "lost_signal": (
        SIGNALS.at("broken"), SIGNALS.at("mended"), SENT_AGAIN.at("broken"), SENT_AGAIN.at("raced"), SENT_AGAIN.at("mended"),
        _factor("broken", "mended"),
    ),
    "thundering_herd": tuple(
        WOKEN.at(name) for name in ("in accept", "in select", "in epoll", "exclusive", "reuseport")
    ),
    "poll_pause": (
        AWAKE.at("no pause"), AWAKE.at("select"), _lay_ready("2 ms"), _lay_ready("10 ms"),
        WAITS_IN.at("10 ms"), WAITS_IN.at("no pause"), MEANWHILE.at("10 ms"), CALLS.at("select"),
    ),
}  # fmt: skip
