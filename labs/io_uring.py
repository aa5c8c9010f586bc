"""io_uring: asked for before there is data, completed when it is in the buffer. Who copied it there?"""

from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined

LAB = Lab(
    model="io_uring",
    chapter="Asynchronous",
    server="io_uring",
    question="Who waits and who copies when io_uring receives?",
    watch="no recvfrom, no sendto: one call for everything, and the copy is made inside it.",
    try_next=(
        "invoke lab epoll  told first, then read",
        "invoke lab posix_aio  other threads instead",
    ),
)


@LAB.check("asked for beforehand, told when it is done", claims=("C42",))
def completion(run: Run) -> Finding:
    """No call reads a socket; the data comes with the return of io_uring_enter."""
    enters = run.calls("io_uring_enter")
    reads = run.calls("read", "recvfrom", "recvmsg")
    on_sockets = [one for one in reads if one.socket]
    slept = [one for one in enters if any(sleep.queue == "io_uring" for sleep in one.sleeps)]
    found = f"{len(slept)} of {len(enters)} io_uring_enter slept on the ring's queue; {len(on_sockets)} calls read a socket"
    return confirmed(found) if enters and slept and not on_sockets else failed(found)


@LAB.check("the thread itself copies, inside that call", claims=("C43", "C44"))
def own_copy(run: Run) -> Finding:
    """By the text the process is not held in phase 2. The copy was made in its own thread, by work it was woken for."""
    own = [one for one in run.calls("io_uring_enter") if one.copied and one.thread == run.server.serial]
    woken = [one for one in own if one.sleeps and one.sleeps[-1].on <= (one.copied or 0)]
    found = f"{len(own)} io_uring_enter of the process's own thread copied data, {len(woken)} when woken for it"
    return refined(f"{found}: no thread of the kernel did, so phase 2 still took this thread's time") if own else failed(found)
