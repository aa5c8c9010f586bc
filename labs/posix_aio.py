"""POSIX AIO: the process's thread is free in both phases. Then who waits, and who copies?"""

from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined

LAB = Lab(
    model="posix_aio",
    chapter="Asynchronous",
    server="posix_aio",
    question="Who waits and who copies when POSIX AIO reads a socket?",
    watch="look at the threads: glibc made them, and they sleep in read, one for each connection.",
    try_next=(
        "invoke lab io_uring  asynchronous in the kernel",
        "invoke lab native_aio  the kernel's older AIO",
        "invoke lab threads  the same threads, in plain sight",
    ),
    reading=(
        "UNP 6.2, Asynchronous I/O Model",
        "man 7 aio, man 3 aio_read, man 7 sigevent",
        "glibc: sysdeps/pthread/aio_misc.c, the helper threads",
    ),
)


@LAB.check("neither phase holds the thread that asked", claims=("C42",))
def free(run: Run) -> Finding:
    """The thread that started the requests made no read of a socket at all."""
    own = [one for one in run.reads if one.thread == run.server.serial]
    taken = [one for one in run.calls("rt_sigtimedwait") if (one.result or 0) > 0]
    found = f"the thread that asked made {len(own)} of {len(run.reads)} reads, and took {len(taken)} signals"
    return confirmed(found) if run.reads and not own and taken else failed(found)


@LAB.check("but helper threads wait and copy", claims=("C44",))
def helpers(run: Run) -> Finding:
    """Every read was made, slept in and copied by a thread that glibc had started."""
    helping = {one.serial for one in run.result.threads if one.parent}
    theirs = [one for one in run.reads if one.thread in helping]
    slept = [one for one in theirs if any(sleep.queue == "socket" for sleep in one.sleeps)]
    found = (
        f"{len(helping)} helper threads made {len(theirs)} of {len(run.reads)} reads, and slept on the socket in {len(slept)}"
    )
    return refined(f"{found}: blocking I/O after all, in other threads") if theirs and slept else failed(found)
