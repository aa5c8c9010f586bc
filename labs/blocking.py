"""Blocking I/O: where does the thread wait, and what does that do to the other clients?

The server sleeps in accept, in recv, in whatever has nothing to give; the kernel shows on which queue, and who wakes it.
"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, sleeps, turns, unavailable

LAB = Lab(
    model="blocking",
    chapter="Blocking",
    server="blocking",
    question="Where does a thread wait in blocking I/O, and who else waits with it?",
    watch="recvfrom holds the thread in both phases, and one client's pauses are every other client's delay.",
    try_next=(
        "invoke lab blocking --clients 1  alone, nobody waits behind it",
        "invoke lab blocking --size 1000000  phase 2 grows with the data",
        "invoke lab epoll  the same traffic, nobody held up",
    ),
    reading=(
        "UNP 6.2, Blocking I/O Model; 1.5, a simple daytime server",
        "man 2 recv, man 2 accept",
        "net/core/sock.c: sk_wait_data; kernel/sched/wait.c: wait_woken",
    ),
)


@LAB.check("asleep in recvfrom", claims=("C03", "C12"))
def asleep_in_the_read(run: Run) -> Finding:
    """The reads that began before their data was there slept on the socket's own queue.

    Between the start of a call and its look at the queue data may still come: such a read need not sleep. It is the exception.
    """
    early = [one for one in run.reads if one.ready and one.ready > one.enter]
    slept = [one for one in early if any(sleep.queue == "socket" for sleep in one.sleeps)]
    if not early:
        return failed(f"no read began before its data was there ({len(run.reads)} reads): the thread waited elsewhere")
    found = f"{len(slept)} of {len(early)} reads that came before their data slept on the socket's queue"
    if len(slept) < 0.5 * len(early):
        return failed(found)
    if len(slept) < len(early):
        found += f" ({len(early) - len(slept)} found it just come)"
    longest = max(sleep.wait for sleep in sleeps(slept))
    return confirmed(f"{found}, up to {longest / 1e6:.1f} ms at a time; {len(run.reads)} reads in all")


@LAB.check("sockets block by default", claims=("C12",))
def nothing_set(run: Run) -> Finding:
    """The server never asked for non-blocking sockets, and never got EAGAIN."""
    asked = [one for one in run.calls("fcntl") if one.args[1] == 4 and one.args[2] & 0o4000]  # F_SETFL, O_NONBLOCK
    asked += [one for one in run.calls("ioctl") if one.args[1] == 0x5421]  # FIONBIO
    asked += [one for one in run.connections if one.name == "accept4" and one.args[3] & 0o4000]  # SOCK_NONBLOCK
    refused = sum(one.count for one in run.result.calls if one.errno == "EAGAIN")
    if asked or refused:
        return failed(f"{len(asked)} calls asked for non-blocking sockets, {refused} calls got EAGAIN")
    return confirmed(f"no call asked for anything on {len(run.connections)} connections, no call got EAGAIN")


@LAB.check("both phases in one call", claims=("C06", "C18"))
def two_phases(run: Run) -> Finding:
    """Phase 1 and phase 2 of one message lie inside one system call: asleep first, then the copy."""
    both = [one for one in run.reads if one.sleeps and one.copied and one.sleeps[-1].on <= one.copied <= one.exit]
    if run.udp and not any(one.copied for one in run.reads):
        return unavailable(f"{len(run.reads)} reads; {evidence.NO_COPY}")
    if not both:
        return failed(f"none of {len(run.reads)} reads both slept and copied: the phases are in different calls")
    size = sum(one.bytes for one in both)
    wait, copy = sum(one.wait for one in both), sum(one.copy for one in both)
    return confirmed(
        f"{len(both)} reads first slept ({wait / 1e6:.1f} ms), then copied their {size:,} B ({copy / 1e6:.3f} ms at most)"
        " before they returned"
    )


@LAB.check("one silent client holds up the rest", claims=("C13",))
def held_up(run: Run) -> Finding:
    """Connections are served strictly one after the other, while data of the next ones lies ready."""
    if run.udp:
        return unavailable("datagrams of all clients come to 1 socket: without --udp there are connections")
    if len(run.connections) < 2:
        return unavailable("one connection has nobody to hold up: use --clients 2 or more")
    count, served = turns(run.reads)
    if served > count:
        return failed(f"{count} connections were served in {served} turns: none waited for another's end")
    worst, lay = evidence.held_up(run, "socket")
    found = f"{count} connections in {served} turns, each to its end"
    if not worst:
        return unavailable(f"{found}; no data lay ready while the thread slept on another: use --messages 3 or more")
    return confirmed(
        f"{found}; data of one lay ready for {lay / 1e6:.0f} ms, for {worst / 1e6:.0f} ms of which the thread slept in"
        " recvfrom on another"
    )
