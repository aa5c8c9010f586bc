"""POSIX AIO: the thread that makes the requests is free in both phases. Which threads wait, and which threads copy?"""

from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined
from probes.words import count

LAB = Lab(
    model="posix_aio",
    chapter="Asynchronous",
    server="posix_aio",
    question="Which thread waits and which thread copies when POSIX AIO reads a socket?",
    watch="the threads: glibc creates helper threads, and these sleep in read, one for each connection.",
    try_next=(
        "invoke lab io_uring  requests that the kernel itself completes",
        "invoke lab native_aio  the kernel's older AIO",
        "invoke lab threads  such threads, created by the server",
    ),
    reading=(
        "UNP 6.2, Asynchronous I/O Model",
        "man 7 aio, man 3 aio_read, man 7 sigevent",
        "glibc: sysdeps/pthread/aio_misc.c, the helper threads",
    ),
)


@LAB.check("neither phase blocks the thread that makes the requests", claims=("C42",))
def free(run: Run) -> Finding:
    """The thread that made the requests read no socket; signals notified it of the completions."""
    own = [call for call in run.reads if call.thread == run.server.serial]
    taken = [call for call in run.calls("rt_sigtimedwait") if (call.result or 0) > 0]
    words = (
        f"the thread that made the requests made {len(own)} of {count(len(run.reads), 'read')}, and took"
        f" {count(len(taken), 'signal')}"
    )
    return confirmed(words) if run.reads and not own and taken else failed(words)


@LAB.check("the thread that makes the requests neither checks for data nor copies it", claims=("C44",))
def helpers(run: Run) -> Finding:
    """Helper threads of glibc made every read: they slept in it, and they copied."""
    helping = {thread.serial for thread in run.result.threads if thread.parent}
    reads = [call for call in run.reads if call.thread in helping]
    slept = [call for call in reads if any(sleep.queue == "socket" for sleep in call.sleeps)]
    words = (
        f"{count(len(helping), 'helper thread')} of the same process made {len(reads)} of {count(len(run.reads), 'read')},"
        f" and slept on the socket in {len(slept)} of these"
    )
    return refined(f"{words}: blocking I/O in other threads") if reads and slept else failed(words)
