"""Blocking I/O: where does the thread wait, and which other clients wait with it?

The server's thread sleeps in accept until a client connects, and in recvfrom until data arrives. The kernel shows on which wait
queue it sleeps, and what wakes it.
"""

from findings import evidence
from findings.properties.blocks_in_its_reads import BLOCKS_IN_ITS_READS
from findings.sleeps.asleep import slept_in
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, sleeps, turns, unavailable, waited
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count, ms

LAB = Lab(
    model="blocking",
    chapter="Blocking",
    server="blocking",
    question="Where does a thread wait in blocking I/O, and which clients wait with it?",
    watch="recvfrom blocks the thread in both phases; while it waits for one connection, the thread reads no other.",
    try_next=(
        "invoke lab blocking --clients 1  no other client has to wait",
        "invoke lab blocking --size 1000000  phase 2 grows with the data",
        "invoke lab epoll  one thread that no client delays",
    ),
    reading=(
        "UNP 6.2, Blocking I/O Model; 1.5, a simple daytime server",
        "man 2 recv, man 2 accept",
        "net/core/sock.c: sk_wait_data; kernel/sched/wait.c: wait_woken",
    ),
)


_O_NONBLOCK = 0o4000  # SOCK_NONBLOCK has the same value (include/linux/net.h)
_F_SETFL, _FIONBIO = 4, 0x5421


def _elsewhere(run: Run) -> str:
    """How the server waited without a sleep in accept, in a read or in a write: in words, "" if it did not."""
    on_sockets = syscalls.READS | syscalls.WRITES | syscalls.ACCEPTS
    if asleep := slept_in(call for call in run.result.calls if call.name not in on_sockets):
        return asleep[0].words
    return f"got EAGAIN from {count(again, 'call')}" if (again := _got_eagain(run)) else ""


def _got_eagain(run: Run) -> int:
    return sum(call.count for call in run.result.calls if call.errno == "EAGAIN")


def _sets_nonblocking(call: Call) -> bool:
    """fcntl(F_SETFL, O_NONBLOCK), ioctl(FIONBIO), or a socket that is made non-blocking."""
    first, second, third, fourth = (*call.args, 0, 0, 0, 0)[:4]
    return (
        (call.name == "fcntl" and second == _F_SETFL and bool(third & _O_NONBLOCK))
        or (call.name == "ioctl" and second == _FIONBIO)
        or (call.name == "accept4" and bool(fourth & _O_NONBLOCK))
        or (call.name == "socket" and bool(first and second & _O_NONBLOCK))
    )


@LAB.check("the thread sleeps in recvfrom until data arrives", claims=("C03", "C12"))
def sleeps_in_the_read(run: Run) -> Finding:
    """The reads that began before their data arrived slept on the socket's own queue.

    Data may still arrive between the start of a call and its check of the receive queue. Such a read need not sleep, so half of
    the reads are enough.
    """
    early = [call for call in run.reads if call.ready and call.ready > call.enter]
    slept = [call for call in early if any(sleep.queue == "socket" for sleep in call.sleeps)]
    words = f"{len(early)} of {count(len(run.reads), 'read')} began before their data arrived"
    if not early:
        elsewhere = _elsewhere(run)
        return failed(f"{words}; the thread {elsewhere}") if elsewhere else unavailable(f"{words}: use a --gap-ms above 0")
    words += f", and {len(slept)} of these slept on the socket's queue"
    if len(slept) < 0.5 * len(early):
        return failed(words)
    if len(slept) < len(early):
        words += f" (the data of the other {len(early) - len(slept)} arrived before they slept)"
    return confirmed(f"{words}, each for up to {ms(max(sleep.wait for sleep in sleeps(slept)))}")


LAB.holds(BLOCKS_IN_ITS_READS, claims=("C12",))


@LAB.check("sockets block by default", claims=("C12",))
def default(run: Run) -> Finding:
    """The server set no socket to non-blocking, no call got EAGAIN, and calls without data or connection slept."""
    setting = sum(1 for call in run.result.calls if _sets_nonblocking(call))
    refused = _got_eagain(run)
    sockets = "1 socket for datagrams" if run.udp else count(len(run.connections), "connection")
    words = f"{sockets}: {count(setting, 'call')} set O_NONBLOCK or FIONBIO, {count(refused, 'call')} got EAGAIN"
    if setting or refused:
        return failed(words)
    reads = sum(1 for call in run.reads if waited(call))
    accepts = sum(1 for call in run.connections if waited(call))
    words += f", {count(reads, 'read')} and {count(accepts, 'accept')} slept"
    return confirmed(words) if reads or accepts else unavailable(words)


@LAB.check("one call passes both phases: it sleeps, then it copies", claims=("C06", "C12"))
def two_phases(run: Run) -> Finding:
    """Phase 1 and phase 2 of a message lie inside one system call: the call sleeps first, then it copies the data."""
    reads = count(len(run.reads), "read")
    if run.udp and not any(call.copied for call in run.reads):
        return unavailable(f"{reads}; {evidence.NO_COPY}")
    both = [call for call in run.reads if call.sleeps and call.copied and call.sleeps[-1].on <= call.copied <= call.exit]
    if not both:
        elsewhere = _elsewhere(run)
        words = f"0 of {reads} slept and copied"
        return failed(f"{words}; the thread {elsewhere}") if elsewhere else unavailable(f"{words}: use a --gap-ms above 0")
    size = sum(call.bytes for call in both)
    asleep, copy = sum(call.wait for call in both), sum(call.copy for call in both)
    return confirmed(
        f"{len(both)} of {reads} first slept ({ms(asleep)} in all), then copied {size:,} B ({copy / 1e6:.3f} ms at most)"
        " before they returned"
    )


@LAB.check("a connection waits until the connection before it has ended", claims=("C13",))
def held_up(run: Run) -> Finding:
    """One thread served each connection to its end before it read the next, whose data was unread meanwhile."""
    if run.udp:
        return unavailable("datagrams of all clients arrive at 1 socket: without --udp there are connections")
    if len(run.connections) < 2:
        return unavailable("a single connection delays no other: use --clients 2 or more")
    connections, served = turns(run.reads)
    readers = len({call.thread for call in run.reads if call.socket})
    words = f"{count(connections, 'connection')} were served in {count(served, 'turn')} by {count(readers, 'thread')}"
    if served > connections or readers > 1:
        return failed(words)
    delays = evidence.sleeps_while_unread(run, {"socket"})
    asleep, unread = max(delays, default=(0, 0))
    if asleep < 0.1 * unread or not asleep:
        return unavailable(f"{words}; no data was unread while the thread slept in recvfrom on another connection{_use(run)}")
    delayed = sum(1 for slept, _unread in delays if slept)
    return confirmed(
        f"{words}, each to its end; {count(delayed, 'message')} of a later connection waited: one was unread for {ms(unread)},"
        f" and for {ms(asleep)} of this time the thread slept in recvfrom on another connection"
    )


def _use(run: Run) -> str:
    elsewhere = _elsewhere(run)
    return f"; the thread {elsewhere}" if elsewhere else ": use --messages 3 or more"
