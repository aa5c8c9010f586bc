"""A classic mistake: to ignore what send returns. A non-blocking send may take a part of the data, and reports no error."""

from dataclasses import dataclass

from findings.descriptors.echoes import all_echoed, echoes
from findings.view import Finding
from labs.kit.lab import Case, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.server import READERS
from labs.kit.traffic import Traffic
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count, ms

LAB = Lab(
    model="epoll",
    chapter="Classic mistakes",
    question="The send buffer has room for a part of the data only. What happens to the rest?",
    watch="how many bytes each sendto was asked to send, how many it took, and how many bytes the clients never got.",
    try_next=(
        "invoke lab output_calls     calls on a full send buffer",
        "invoke lab epoll            a server that keeps the unsent rest",
        "invoke lab always_writable  a server that always asks for room",
    ),
    reading=(
        "UNP 3.9, readn and writen; 16.2, nonblocking reads and writes",
        "man 2 send; man 7 socket (SO_SNDBUF)",
        "net/ipv4/tcp.c: tcp_sendmsg_locked (returns the bytes copied so far)",
    ),
    cases=(
        Case("broken", "mistakes.short_write:broken"),
        Case("mended", "mistakes.short_write:mended"),
        Case("blocking", "mistakes.short_write:blocking"),
    ),
    traffic=Traffic(clients=2, messages=3, size=100_000, gap_ms=10, give_up_after=1.0),
    picture=False,  # it would show a read; this lab is about sending
)
LENGTH = 2  # the argument of sendto that says how many bytes


@dataclass(frozen=True)
class Sending:
    """The bytes that a server read, asked to send, and sent."""

    calls: list[Call]  # the sends that took something
    read: int
    asked: int
    taken: int

    @property
    def partial(self) -> list[Call]:
        """The sends that took less than they were asked to."""
        return [call for call in self.calls if call.bytes < call.args[LENGTH]]

    @property
    def never_sent(self) -> int:
        """The bytes that were read and that no send took."""
        return self.read - self.taken

    @property
    def words(self) -> str:
        """The figures in a sentence."""
        return (
            f"{len(self.partial)} of {count(len(self.calls), 'send')} took less than asked; the server read {self.read:,} B and"
            f" sent {self.taken:,} B"
        )


def sending(run: Run) -> Sending:
    """What became of the bytes that the server read."""
    sends = [call for call in run.calls("sendto") if call.bytes]
    return Sending(
        calls=sends,
        read=sum(call.bytes for call in run.calls(*syscalls.READS) if call.socket),
        asked=sum(call.args[LENGTH] for call in sends),
        taken=sum(call.bytes for call in sends),
    )


@LAB.check("a send without enough room takes a part, and a server that ignores its result loses the rest", claims=("C08",))
def lost(run: Run) -> Finding:
    """The call sendto returned less than it was asked to send, and the bytes that it did not take were never sent."""
    broken = run.case("broken")
    found = sending(broken)
    words = f"{found.words}: {found.never_sent:,} B were lost; {echoes(broken)}"
    if not found.partial and all_echoed(broken):
        return unavailable(f"{words}; every message found room: use --size 100000") if _short(run) else failed(words)
    return confirmed(words) if found.partial and found.never_sent > 0 and not all_echoed(broken) else failed(words)


@LAB.check("a server that keeps the rest and waits for room sends every byte", claims=("C08",))
def kept(run: Run) -> Finding:
    """The sends were as partial as before. The server sent the rest in later calls, when epoll_wait had reported room."""
    mended = run.case("mended")
    found = sending(mended)
    words = f"{found.words}; {echoes(mended)}"
    if not found.partial and _short(run):
        return unavailable(f"{words}; every message found room: use --size 100000")
    return confirmed(words) if found.partial and not found.never_sent and all_echoed(mended) else failed(words)


@LAB.check("a blocking send sleeps until all bytes have found room", claims=("C08",))
def sleeps_for_room(run: Run) -> Finding:
    """No send was partial: the calls slept on the queue of the send buffer instead."""
    case = run.case("blocking")
    found = sending(case)
    asleep = [sleep for call in found.calls for sleep in call.sleeps if sleep.queue == "send buffer"]
    words = f"{found.words}; {count(len(asleep), 'sleep')} for room, {ms(sum(sleep.wait for sleep in asleep))}; {echoes(case)}"
    if not asleep and _short(run):
        return unavailable(f"{words}; every message found room: use --size 100000")
    good = asleep and not found.partial and not found.never_sent and all_echoed(case)
    return confirmed(words) if good else failed(words)


def _short(run: Run) -> bool:
    return run.traffic.size < 20_000


LOST = Ranges((0, "none"), (0.05, "up to 5 %"), beyond="more than 5 %")


def share_lost(run: Run) -> Truth:
    """The share of the bytes read that no send took."""
    found = sending(run)
    if not found.read:
        raise Undecided("0 bytes were read")
    return Truth(LOST(found.never_sent / found.read), f"{found.never_sent:,} of {found.read:,} B that were read were not sent")


NEVER_SENT = Question(
    "never-sent", "Of the bytes that the server reads, how many does it never send?", LOST.labels, share_lost, ranges=True
)
RESULTS = Ranges((0, "none"), (0.1, "up to 10 %"), beyond="more than 10 %")


def share_partial(run: Run) -> Truth:
    """The share of the sends that took less than asked."""
    found = sending(run)
    if not found.calls:
        raise Undecided("0 sends")
    return Truth(RESULTS(len(found.partial) / len(found.calls)), found.words)


PARTIAL = Question(
    "partial",
    "Of the calls that send, how many return less than they were asked to send?",
    RESULTS.labels,
    share_partial,
    ranges=True,
)
FOR_ROOM = ("no thread sleeps until there is room", "in sendto", "in epoll_wait", "in another call")


def where_for_room(run: Run) -> Truth:
    """In which call the server slept until a send buffer had room."""
    found = sending(run)
    in_send = [sleep for call in run.calls("sendto") for sleep in call.sleeps if sleep.queue == "send buffer"]
    if in_send:
        return Truth(FOR_ROOM[1], f"sendto made {count(len(in_send), 'sleep')} on the queue of the send buffer")
    if not found.partial or found.never_sent:
        return Truth(FOR_ROOM[0], f"{found.words}; 0 sleeps of sendto")
    asleep = [call for call in run.waits if call.sleeps]
    return Truth(FOR_ROOM[2], f"{found.words}; {count(len(asleep), 'wait')} slept, and sendto never")


ROOM = Question(
    "room", "In which call does a thread of the server sleep until the send buffer has room?", FOR_ROOM, where_for_room
)
LAB.ask(
    NEVER_SENT.at("broken"),
    NEVER_SENT.at("mended"),
    PARTIAL.at("broken"),
    PARTIAL.at("mended"),
    PARTIAL.at("blocking"),
    ROOM.at("broken"),
    ROOM.at("mended"),
    ROOM.at("blocking"),
    READERS.at("blocking"),
)
