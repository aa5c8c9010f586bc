"""Classic mistakes in the four servers that many courses hand out: each as it is taught, and its mended twin."""

from __future__ import annotations

from bisect import bisect

from findings.descriptors.connections import Connection, connections
from findings.properties.echoes_every_byte import ECHOES_EVERY_BYTE
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, refuted, unavailable, waited
from labs.kit.questions.cases import MEANWHILE
from labs.kit.questions.question import Question, Truth, Undecided
from labs.kit.questions.server import ORDER
from labs.kit.traffic import LATE_BYTES, Traffic
from probes.kernel import syscalls
from probes.measure.percentiles import median
from probes.measure.result import Call
from probes.words import count, ms

LONG = 2000  # bytes of a message that does not fit into recv(1024)
_ONE_LONG = {"size": LONG, "messages": 1, "give_up_after": 0.5}
_LONG = {"size": LONG, "messages": 3}
_LATE = {"late_ms": 150, "clients": 2}
LAB = Lab(
    model="textbook",
    chapter="Classic mistakes",
    question="Do four servers that courses hand out behave as the courses say?",
    watch="the sleeps in recvfrom of the non-blocking server, and the bytes that were read and never sent.",
    try_next=(
        "invoke lab blocking_accepted  more on connections that block",
        "invoke lab short_write        a send that takes a part of the data",
        "invoke lab always_writable    a write list that is never empty",
    ),
    reading=(
        "UNP 3.9 (readn, writen), 16.2 (a server with non-blocking sockets)",
        "man 2 accept: O_NONBLOCK is not inherited; man 2 send",
        "docs.python.org: selectors, Examples; Socket Programming HOWTO",
    ),
    cases=(
        Case("non-blocking", "textbook.nonblocking:broken"),
        Case("non-blocking mended", "textbook.nonblocking:mended"),
        Case("non-blocking working", "textbook.nonblocking:working"),
        Case("select", "textbook.select:broken"),
        Case("select long", "textbook.select:broken", traffic=_ONE_LONG),
        Case("select mended", "textbook.select:mended", traffic=_LONG),
        Case("callbacks", "textbook.selectors:broken", traffic=_LATE),
        Case("callbacks mended", "textbook.selectors:mended", traffic=_LATE),
        Case("one message", "textbook.one_message:broken"),
        Case("one message long", "textbook.one_message:broken", traffic=_ONE_LONG),
        Case("one message mended", "textbook.one_message:mended", traffic=_LONG),
    ),
    traffic=Traffic(clients=3, messages=8, gap_ms=10),
)
SET_FLAGS = ("ioctl", "fcntl")
SOCK_NONBLOCK = 0o4000  # in the last argument of accept4
EPOLL_CTL_MOD = 3
MILLISECOND = 1e6  # ns
ENOUGH = 10  # messages that make a median
SELECTS = ("select", "pselect6")


def read_and_sent(run: Run) -> tuple[int, int, str]:
    """The bytes that the server read and sent, and the same in words."""
    read, sent = (
        sum(connection.read for connection in connections(run)),
        sum(connection.sent for connection in connections(run)),
    )
    return read, sent, f"the server read {count(read, 'byte')} and sent {count(sent, 'byte')}"


def made_non_blocking(run: Run) -> int:
    """The connections with a call of ioctl (FIONBIO) or fcntl (F_SETFL)."""
    return sum(1 for connection in connections(run) if any(call.name in SET_FLAGS for call in connection.calls))


# -- the non-blocking server ---------------------------------------------------------------------------------------------


@LAB.check("the connections of a non-blocking listener are non-blocking", claims=("C58",))
def inherited(run: Run) -> Finding:
    """On Linux they are not: accept without a connection got EAGAIN, and recvfrom without data slept."""
    case = run.case("non-blocking")
    refused = sum(call.count for call in case.calls(*syscalls.ACCEPTS) if call.errno == "EAGAIN")
    asked = sum(1 for call in case.connections if call.name == "accept4" and call.args[3] & SOCK_NONBLOCK)
    changed = made_non_blocking(case)
    slept = [call for call in case.reads if waited(call)]
    accepted = len(case.connections)
    words = (
        f"{count(refused, 'call')} of accept got EAGAIN: the listener is non-blocking; {count(accepted, 'call')} of accept"
        f" returned a connection, {asked} with the flag SOCK_NONBLOCK and {changed} with a call of ioctl or fcntl after it;"
        f" {len(slept)} of {count(sum(call.count for call in case.reads), 'read')} slept on the socket's queue, for"
        f" {ms(sum(call.wait for call in slept))}"
    )
    return refuted(words) if refused and slept and not asked and not changed else failed(words)


@LAB.check("with every connection non-blocking, the polling thread sleeps in no read", claims=("C05", "C17"))
def polls(run: Run) -> Finding:
    """One call (ioctl FIONBIO, by setblocking) per connection is what the program lacked."""
    case = run.case("non-blocking mended")
    changed = made_non_blocking(case)
    slept = [call for call in case.reads if waited(call)]
    refused = sum(call.count for call in case.reads if call.errno == "EAGAIN")
    words = (
        f"{changed} of {count(len(case.connections), 'connection')} made non-blocking; {count(refused, 'read')} got EAGAIN, and"
        f" {len(slept)} slept"
    )
    return confirmed(words) if changed == len(case.connections) > 0 and refused and not slept else failed(words)


@LAB.check("the polling server does other work between two rounds, and its answers wait for the work", claims=("C59",))
def works(run: Run) -> Finding:
    """Without the work the thread makes system calls only; with the work most of its time is user code, and data waits."""
    case, idle = run.case("non-blocking working"), run.case("non-blocking mended")
    if len(case.result.messages) < ENOUGH:
        return unavailable(f"a median needs {ENOUGH} messages that arrive at any time: use --messages {ENOUGH}")
    rounds, length, work = rounds_of(case)
    _, _, without_work = rounds_of(idle)
    unread, without = unread_ns(case), unread_ns(idle)
    words = (
        f"{count(rounds, 'round')} of {ms(length)}, {ms(work)} of each in user code ({ms(without_work)} without the work); data"
        f" was unread for {ms(unread)}, and for {ms(without)} without the work (medians)"
    )
    worked = work > MILLISECOND and work > 5 * without_work
    return confirmed(words) if worked and unread > 0.2 * work else failed(words)


def rounds_of(run: Run) -> tuple[int, float, float]:
    """The number of polling rounds, the duration of a round and its time in user code, ns (averages).

    Each round ends with an accept that gets EAGAIN.
    """
    rounds = sum(call.count for call in run.calls(*syscalls.ACCEPTS) if call.errno == "EAGAIN")
    return rounds, run.server.wall / max(rounds, 1), run.server.user / max(rounds, 1)


def unread_ns(run: Run) -> float:
    """How long data was unread before the thread was notified, ns (median)."""
    return median(message.ready_to_notified for message in run.result.messages) or 0


# -- the select server ---------------------------------------------------------------------------------------------------


@LAB.check("a queue of answers costs a second call of select for each answer", claims=("C23",))
def twice(run: Run) -> Finding:
    """A select stood between the read and its answer. With an answer that is sent at once, none does."""
    broken, sends = after_select(run.case("select"))
    mended, others = after_select(run.case("select mended"))
    words = (
        f"between a read and its answer the server called select for {broken} of {count(sends, 'answer')}; the mended server"
        f" for {mended} of {others}"
    )
    return confirmed(words) if sends and broken == sends and others and not mended else failed(words)


def after_select(run: Run) -> tuple[int, int]:
    """The number of answers with a select between their read and their send, and the number of all answers."""
    begins = [call.enter for call in run.calls(*SELECTS)]
    after = answers = 0
    for connection in connections(run):
        for send in connection.sends:
            read = max((call.exit for call in connection.reads if call.exit <= send.enter), default=send.enter)
            after += bisect(begins, send.enter) > bisect(begins, read)
            answers += 1
    return after, answers


@LAB.check("the second part of a message replaces the first part in the queue of answers", claims=("C46", "C63"))
def replaced(run: Run) -> Finding:
    """A message of 2,000 bytes comes in two reads of at most 1,024. The kernel has no copy of what was read."""
    case = run.case("select long")
    read, sent, words = read_and_sent(case)
    missing = sum(client.not_echoed for client in case.clients)
    selects = case.calls(*SELECTS)
    words += f"; {count(missing, 'byte')} never came back to the clients"
    return confirmed(words) if selects and 0 < sent < read and missing else failed(words)


@LAB.check("the mended select server sends all that it reads", claims=("C46",))
def select_mended(run: Run) -> Finding:
    """It reads no more of a connection while an answer is unsent."""
    case = run.case("select mended")
    return _sends_all(case, bool(case.calls(*SELECTS)))


def _sends_all(case: Run, right: bool) -> Finding:
    read, sent, words = read_and_sent(case)
    echoed = ECHOES_EVERY_BYTE.check(case)
    words += f"; {echoed.evidence}"
    return confirmed(words) if right and read == sent > 0 and echoed.verdict == "confirmed" else failed(words)


# -- the server with callbacks -------------------------------------------------------------------------------------------


@LAB.check("the server with callbacks drops what send does not take, and then the connection", claims=("C08",))
def drops(run: Run) -> Finding:
    """A client that does not read fills the send buffer. The next send gets EAGAIN, and the program closes the connection."""
    case = run.case("callbacks")
    full, read, sent, words = without_room(case)
    closed = [connection for connection in full if connection.read < LATE_BYTES and connection.closed]
    words += f"; {count(len(closed), 'connection')} closed with data of the client unread"
    return confirmed(words) if full and len(closed) == len(full) and sent < read else failed(words)


def without_room(run: Run) -> tuple[list[Connection], int, int, str]:
    """The connections with a send that got EAGAIN, the bytes that the server read and sent on them, and the same in words."""
    full = [connection for connection in connections(run) if connection.refused]
    read, sent = sum(connection.read for connection in full), sum(connection.sent for connection in full)
    refused = count(sum(len(connection.refused) for connection in full), "send")
    words = (
        f"{refused} got EAGAIN on {count(len(full), 'connection')}; the client sent {LATE_BYTES:,} bytes to it, the server read"
        f" {read:,} and sent {sent:,}"
    )
    return full, read, sent, words


@LAB.check("the mended server waits for room to send, and sends all that it reads", claims=("C08",))
def waits_for_room(run: Run) -> Finding:
    """After EAGAIN it registers the connection for EPOLLOUT, and reads on only when all is sent."""
    case = run.case("callbacks mended")
    full, read, sent, words = without_room(case)
    waits = sum(1 for call in case.calls("epoll_ctl") if call.args[1] == EPOLL_CTL_MOD)
    words += f"; {count(waits, 'call')} of epoll_ctl changed the events of a connection"
    return confirmed(words) if full and waits and read == sent == LATE_BYTES else failed(words)


# -- the server of one message -------------------------------------------------------------------------------------------


@LAB.check("the first server of most courses serves one message of each connection", claims=("C63",))
def single(run: Run) -> Finding:
    """It reads once and closes; the clients' second messages find no reader."""
    case = run.case("one message")
    if run.traffic.messages < 2:
        return unavailable("each client sends 1 message: use --messages 2 or more")
    all_of_them = connections(case)
    once = [connection for connection in all_of_them if len(connection.reads) == 1 and connection.closed]
    lost = [client for client in case.clients if client.gave_up]
    echoed = sum(len(client.exchanges) for client in case.clients)
    words = (
        f"{len(once)} of {count(len(all_of_them), 'connection')} closed after 1 read; {count(echoed, 'message')} came back, and"
        f" {len(lost)} of {count(len(case.clients), 'client')} did not get the next one"
    )
    return confirmed(words) if once and len(once) == len(all_of_them) and len(lost) == len(case.clients) else failed(words)


@LAB.check("one recv returns one message", claims=("C63",))
def one_read_each(run: Run) -> Finding:
    """TCP is a stream of bytes: recv returns what is there, at most as much as it asked for."""
    case = run.case("one message long")
    served = [connection for connection in connections(case) if connection.reads]
    read = sum(connection.read for connection in served)
    left = [connection for connection in served if not connection.reads[-1].drained]
    words = (
        f"{count(len(served), 'message')} of {LONG:,} bytes, 1 recv(1024) each: {count(read, 'byte')} read, and"
        f" {count(len(left), 'socket')} closed with unread data"
    )
    single_read = served and all(len(connection.reads) == 1 for connection in served)
    return refuted(words) if single_read and 0 < read < LONG * len(served) and len(left) == len(served) else failed(words)


@LAB.check("a server that reads until the end of the connection answers messages of any length", claims=("C46", "C63"))
def to_the_end(run: Run) -> Finding:
    """The server calls recv until it returns 0 bytes, and answers with sendall."""
    case = run.case("one message mended")
    ended = [connection for connection in connections(case) if any(_at_end(call) for call in connection.calls)]
    return _sends_all(case, bool(ended) and len(ended) == len(connections(case)))


def _at_end(call: Call) -> bool:
    """Did the read find the end of the connection?"""
    return call.name in syscalls.READS and call.result == 0


# -- questions -----------------------------------------------------------------------------------------------------------

ALL, FIRST, PART = "all bytes", "what each client sends first, and no more", "a part of the bytes"


def comes_back(run: Run) -> Truth:
    """The bytes that came back, of those that the clients sent."""
    if not run.clients:
        raise Undecided("0 clients")
    exchanges = [len(client.exchanges) for client in run.clients]
    missing = sum(client.not_echoed for client in run.clients)
    words = (
        f"{count(sum(exchanges), 'message')} came back to {count(len(exchanges), 'client')}, {count(missing, 'byte')} did not"
    )
    return Truth(ALL if not missing else FIRST if set(exchanges) == {1} else PART, words)


COMES_BACK = Question(
    "comes-back", "How much of what the clients send comes back to them?", (ALL, FIRST, PART), comes_back
)  # fmt: skip

CLOSES, WAITS, ASLEEP = "it closes the connection", "it waits until the socket has room", "it sleeps in send"


def without_reader(run: Run) -> Truth:
    """What the server did with the connection whose client does not read."""
    full, _read, _sent, words = without_room(run)
    asleep = [connection for connection in connections(run) if any(waited(call) for call in connection.sends)]
    if not full and not asleep:
        raise Undecided("every send found room")
    if not full:
        return Truth(ASLEEP, f"{count(len(asleep), 'connection')} with a send that slept")
    return Truth(CLOSES if any(connection.read < LATE_BYTES for connection in full) else WAITS, words)


WITHOUT_READER = Question(
    "without-reader",
    "A client sends 256 KiB and reads no answer. What does the server do when a send finds no room?",
    (CLOSES, WAITS, ASLEEP),
    without_reader,
)
LAB.ask(
    MEANWHILE.at("non-blocking"),
    MEANWHILE.at("non-blocking mended"),
    COMES_BACK.at("select"),
    COMES_BACK.at("select long"),
    WITHOUT_READER.at("callbacks"),
    WITHOUT_READER.at("callbacks mended"),
    COMES_BACK.at("one message"),
    COMES_BACK.at("one message long"),
    ORDER.at("non-blocking"),
    ORDER.at("one message mended"),
)
