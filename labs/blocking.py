"""Blocking I/O: where does the thread wait, and what does its wait mean for the other clients?

The server's thread sleeps in accept until a client connects, and in recvfrom until data arrives. The kernel shows on which wait
queue it sleeps, and what wakes it.
"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, sleeps, turns, unavailable
from probes.words import count, ms

LAB = Lab(
    model="blocking",
    chapter="Blocking",
    server="blocking",
    question="Where does a thread wait in blocking I/O, and which clients wait with it?",
    watch="recvfrom blocks the thread in both phases, and the pauses of one client delay all other clients.",
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


@LAB.check("the thread sleeps in recvfrom until data arrives", claims=("C03", "C12"))
def sleeps_in_the_read(run: Run) -> Finding:
    """The reads that began before their data arrived slept on the socket's own queue.

    Data may still arrive between the start of a call and its check of the receive queue. Such a read need not sleep, so half of
    the reads are enough.
    """
    early = [call for call in run.reads if call.ready and call.ready > call.enter]
    slept = [call for call in early if any(sleep.queue == "socket" for sleep in call.sleeps)]
    if not early:
        return failed(f"0 of {count(len(run.reads), 'read')} began before the data arrived: the thread waited in another call")
    words = f"{len(slept)} of {count(len(early), 'read')} that began before their data arrived slept on the socket's queue"
    if len(slept) < 0.5 * len(early):
        return failed(words)
    if len(slept) < len(early):
        words += f" (the data of the other {len(early) - len(slept)} arrived before they slept)"
    longest = max(sleep.wait for sleep in sleeps(slept))
    return confirmed(f"{words}, each for up to {ms(longest)}; {count(len(run.reads), 'read')} in all")


@LAB.check("sockets block by default", claims=("C12",))
def default(run: Run) -> Finding:
    """The server set no socket to non-blocking, and no call got EAGAIN."""
    setting = [call for call in run.calls("fcntl") if call.args[1] == 4 and call.args[2] & 0o4000]  # F_SETFL, O_NONBLOCK
    setting += [call for call in run.calls("ioctl") if call.args[1] == 0x5421]  # FIONBIO
    setting += [call for call in run.connections if call.name == "accept4" and call.args[3] & 0o4000]  # SOCK_NONBLOCK
    refused = sum(call.count for call in run.result.calls if call.errno == "EAGAIN")
    words = (
        f"{count(len(run.connections), 'connection')}: {count(len(setting), 'call')} set O_NONBLOCK or FIONBIO,"
        f" {count(refused, 'call')} got EAGAIN"
    )
    return failed(words) if setting or refused else confirmed(words)


@LAB.check("one call passes both phases: it sleeps, then it copies", claims=("C06", "C18"))
def two_phases(run: Run) -> Finding:
    """Phase 1 and phase 2 of a message lie inside one system call: the call sleeps first, then it copies the data."""
    if run.udp and not any(call.copied for call in run.reads):
        return unavailable(f"{count(len(run.reads), 'read')}; {evidence.NO_COPY}")
    both = [call for call in run.reads if call.sleeps and call.copied and call.sleeps[-1].on <= call.copied <= call.exit]
    if not both:
        return failed(f"0 of {count(len(run.reads), 'read')} both slept and copied: the phases are in different calls")
    size = sum(call.bytes for call in both)
    asleep, copy = sum(call.wait for call in both), sum(call.copy for call in both)
    return confirmed(
        f"{count(len(both), 'read')} first slept ({ms(asleep)} in all), then copied {size:,} B ({copy / 1e6:.3f} ms at most)"
        " before they returned"
    )


@LAB.check("a connection waits until the connection before it has ended", claims=("C13",))
def held_up(run: Run) -> Finding:
    """The server served one connection to its end before it read the next, whose data was unread meanwhile."""
    if run.udp:
        return unavailable("datagrams of all clients arrive at 1 socket: without --udp there are connections")
    if len(run.connections) < 2:
        return unavailable("a single connection delays no other: use --clients 2 or more")
    connections, served = turns(run.reads)
    words = f"{count(connections, 'connection')} were served in {count(served, 'turn')}"
    if served > connections:
        return failed(f"{words}: no connection waited for the end of another")
    longest, unread = evidence.slept_while_unread(run, "socket")
    if not longest:
        return unavailable(f"{words}; no data was unread while the thread slept for another client: use --messages 3 or more")
    return confirmed(
        f"{words}, each to its end; data of one connection was unread for {ms(unread)}, and for {ms(longest)} of this time the"
        " thread slept in recvfrom on another connection"
    )
