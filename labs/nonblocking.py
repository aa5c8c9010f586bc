"""Non-blocking I/O: what does it cost never to sleep?"""

from dataclasses import dataclass

from findings import evidence
from findings.properties.property import Holds
from findings.properties.serves_in_turn import SERVES_IN_TURN
from findings.sleeps.asleep import slept_in
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, unavailable
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count

LAB = Lab(
    model="nonblocking",
    chapter="Non-blocking",
    server="nonblocking",
    question="What does a thread do if it never sleeps, and how much CPU time does it take?",
    watch="thousands of calls per message, nearly all of them without result (EAGAIN), and a core that is never idle.",
    try_next=(
        "invoke lab nonblocking --clients 20  twenty calls in each round",
        "invoke lab select  a sleep until data is ready",
        "invoke lab blocking  a sleep in recvfrom",
    ),
    reading=(
        "UNP 6.2, Nonblocking I/O Model; 16.1 and 16.2",
        "man 2 fcntl (O_NONBLOCK)",
        "net/ipv4/tcp.c: tcp_recvmsg_locked, which returns EAGAIN for a time-out of 0",
    ),
)


@LAB.check("a call without data gets EAGAIN at once, and no call sleeps", claims=("C05", "C17"))
def never_asleep(run: Run) -> Finding:
    """Calls without data got EAGAIN, and no call slept: not on a socket, in a multiplexer or for a time."""
    refused = sum(call.count for call in run.result.calls if call.errno == "EAGAIN")
    words = f"{count(len(run.result.messages), 'message')}: {count(refused, 'call')} got EAGAIN"
    if asleep := slept_in(run.result.calls):
        return failed(f"{words}; the server {asleep[0].words}")
    return (confirmed if refused else failed)(f"{words}, 0 calls slept")


@LAB.check("the call that succeeds copies the data itself", claims=("C06", "C18"))
def copies(run: Run) -> Finding:
    """The recvfrom that returns the data makes the copy, without a sleep."""
    return evidence.read_without_waiting(run)


@LAB.check("the polling thread takes a whole core", claims=("C19",))
def whole_core(run: Run) -> Finding:
    """The thread was runnable all its life: on a CPU, or waiting for a CPU; never asleep."""
    server = run.server
    runnable = server.wall - server.wait
    on_cpu = runnable - server.sched_delay - server.preempted
    words = (
        f"the thread was runnable for {runnable / server.wall:.1%} of its life: on a CPU for {on_cpu / server.wall:.1%}, and"
        f" waiting for a CPU that other threads had for {(runnable - on_cpu) / server.wall:.1%}"
    )
    return confirmed(words) if runnable > 0.95 * server.wall else failed(words)


@LAB.check("each round makes one call for every connection, ready or not", claims=("C17", "C21"))
def call_each(run: Run) -> Finding:
    """A round begins with accept and then reads every connection, even a connection whose last read got EAGAIN.

    So no connection has more reads than the server has rounds, and between the arrival of a message and its read there is at
    most one round of reads of other connections.
    """
    if run.udp:
        return unavailable("datagrams of all clients arrive at 1 socket: without --udp there are connections")
    accepted = {call.result for call in run.connections}
    polls = {fd: _Polls() for fd in accepted if fd is not None}
    for call in run.result.named(*syscalls.READS):
        if call.fd in polls:
            polls[call.fd].add(call)
    rounds = sum(call.count for call in run.result.named(*syscalls.ACCEPTS))
    words = f"{count(rounds, 'round')} of {count(len(run.connections), 'connection')}"
    if len(run.connections) < 2:
        return unavailable(f"{words}: use --clients 2 or more")
    numbers = sorted(each.reads for each in polls.values())
    with_data = sum(each.with_data for each in polls.values())
    in_turn = SERVES_IN_TURN.observe(run)
    words += (
        f"; each descriptor was read {numbers[0]:,} to {numbers[-1]:,} times, {count(with_data, 'read')} returned data;"
        f" {in_turn.evidence}"
    )
    repeated = all(each.repeated for each in polls.values()) and sum(numbers) > 2 * with_data
    return confirmed(words) if repeated and numbers[-1] <= rounds and in_turn.holds is not Holds.BROKEN else failed(words)


@dataclass
class _Polls:
    """The reads of one descriptor, in order."""

    reads: int = 0
    with_data: int = 0
    repeated: int = 0  # EAGAIN, right after EAGAIN
    last: str | None = None

    def add(self, call: Call) -> None:
        self.reads += call.count
        self.with_data += call.bytes > 0
        if call.errno == "EAGAIN":
            self.repeated += call.count - (self.last != "EAGAIN")
        self.last = call.errno
