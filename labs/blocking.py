"""Blocking I/O: where does the thread wait, and what does that do to the other clients?

The server sleeps in accept, in recv, in whatever has nothing to give; the kernel shows on which queue, and who wakes it.
"""

from labs.kit.lab import Finding, Lab, Run, confirmed, failed, sleeps, turns, unavailable

LAB = Lab(
    model="blocking",
    server="blocking",
    question="Where does a thread wait in blocking I/O, and who else waits with it?",
    watch="recvfrom holds the thread in both phases, and one client's pauses are every other client's delay.",
    try_next=(
        "invoke lab blocking --clients 1  alone, nobody waits behind it",
        "invoke lab blocking --size 1000000  phase 2 grows with the data",
        "invoke lab epoll  the same traffic, nobody held up",
    ),
)


@LAB.check("asleep in recvfrom", claims=("C03", "C12"))
def asleep_in_the_read(run: Run) -> Finding:
    """Every read that began before its data was there slept on the socket's own queue."""
    early = [one for one in run.reads if one.ready and one.ready > one.enter]
    slept = [one for one in early if any(sleep.queue == "socket" for sleep in one.sleeps)]
    if not early:
        return failed(f"no read began before its data was there ({len(run.reads)} reads): the thread waited elsewhere")
    evidence = f"{len(slept)} of {len(early)} reads that came before their data slept on the socket's queue"
    if len(slept) < len(early):
        return failed(evidence)
    longest = max(sleep.wait for sleep in sleeps(slept))
    return confirmed(f"{evidence}, up to {longest / 1e6:.1f} ms at a time; {len(run.reads)} reads in all")


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
    if len(run.connections) < 2:
        return unavailable("one connection has nobody to hold up: use --clients 2 or more")
    count, served = turns(run.reads)
    if served > count:
        return failed(f"{count} connections were served in {served} turns: none waited for another's end")
    lay = [m.told - m.ready for m in run.result.messages if m.told_by.startswith("recv")]
    worst = max(lay, default=0)
    asleep = sum(one.wait for one in run.reads)
    return confirmed(
        f"{count} connections in {served} turns, each to its end; the thread slept {asleep / 1e6:.0f} ms in recvfrom on one of"
        f" them while the first message of the last lay ready for {worst / 1e6:.0f} ms"
    )
