"""POSIX AIO: the thread that makes the requests is free in both phases. Which threads wait, and which threads copy?"""

from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.never_spins import NEVER_SPINS
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, refuted, unavailable
from probes.kernel import syscalls
from probes.measure.result import Call, Sleep
from probes.words import count, ms

LAB = Lab(
    model="posix_aio",
    chapter="Asynchronous",
    server="posix_aio",
    question="Which thread waits and which thread copies when POSIX AIO reads a socket?",
    watch="the threads: glibc creates helper threads, and these sleep in read, one at a time for each connection.",
    try_next=(
        "invoke lab io_uring  requests that the kernel itself completes",
        "invoke lab native_aio  the kernel's older AIO",
        "invoke lab threads  a server that creates such threads itself",
    ),
    reading=(
        "UNP 6.2, Asynchronous I/O Model",
        "man 7 aio, man 3 aio_read, man 7 sigevent",
        "glibc: sysdeps/pthread/aio_misc.c, the helper threads",
    ),
)


@LAB.check("neither phase blocks the thread that makes the requests", claims=("C42",))
def free(run: Run) -> Finding:
    """The thread that makes the requests read no socket. Other threads of the same process waited and copied for it."""
    reads = sum(call.count for call in run.reads)
    own = sum(call.count for call in run.reads if call.thread == run.server.serial)
    slept = [call for call in run.reads if _slept(call)]
    size = sum(call.bytes for call in run.reads)
    words = (
        f"the thread that makes the requests made {own:,} of {count(reads, 'read')}; other threads of the same process"
        f" slept on the socket in {len(slept)} of these, and copied {size:,} B"
    )
    if own or not reads:
        return failed(f"{words}: the thread that makes the requests read the sockets itself" if own else words)
    return refined(f"{words}. The process as a whole is not free: its other threads block")


@LAB.check("the kernel waits for the data and copies it, in no thread of the process", claims=("C42", "C44"))
def helpers(run: Run) -> Finding:
    """Helper threads of glibc made every read. They try pread64 first, which a socket refuses (glibc, aio_misc.c)."""
    reads = [call for call in run.reads if call.thread != run.server.serial]
    helping = {call.thread for call in run.calls("pread64") if call.errno == "ESPIPE"}
    by_helpers = [call for call in reads if call.thread in helping]
    refused = sum(call.count for call in by_helpers if call.errno == "EAGAIN")
    slept = [call for call in by_helpers if _slept(call)]
    words = (
        f"{count(len({call.thread for call in by_helpers}), 'helper thread')} of glibc, in the same process, made"
        f" {len(by_helpers)} of {count(len(run.reads), 'read')}, and slept on the socket in {len(slept)} of these"
    )
    if len(by_helpers) < len(reads):
        return failed(f"{words}; threads of the program's own made {len(reads) - len(by_helpers)}")
    if refused > len(slept):
        return failed(f"{words}; {count(refused, 'read')} of helper threads got EAGAIN: the sockets are non-blocking")
    return refuted(f"{words}: blocking I/O in other threads, which a library starts") if slept else failed(words)


@LAB.check("the thread that makes the requests sleeps until a completion is reported", claims=("C42", "C44"))
def notified(run: Run) -> Finding:
    """A signal or aio_suspend (a futex) ended each sleep: the thread does not ask for completions again and again."""
    asleep = _sleeps_for_completions(run)
    timers = sum(1 for sleep in asleep if sleep.waker and sleep.waker.chain[0] == "timer")
    words = (
        f"the thread that makes the requests made {count(len(asleep), 'sleep')} until a completion or a connection was"
        f" reported ({ms(sum(sleep.wait for sleep in asleep))}); a timer ended {timers:,} of these;"
        f" {count(len(run.result.messages), 'message')}"
    )
    if len(asleep) - timers <= 0.3 * len(run.result.messages):
        return failed(f"{words}: for most messages the thread did not sleep until their completion")
    return confirmed(words) if asleep and timers <= 0.2 * len(asleep) else failed(words)


@LAB.check("requests of several connections wait for data at the same time", claims=("C42",))
def together(run: Run) -> Finding:
    """One request a connection is under way, whatever the other connections do."""
    sockets = {call.socket for call in run.reads if call.socket}
    spans = [(sleep.off, sleep.woken) for call in run.reads for sleep in call.sleeps if sleep.queue == "socket"]
    most = max((sum(1 for begin, end in spans if begin <= at < end) for at, _ in spans), default=0)
    words = f"{count(len(sockets), 'connection')}; at most {count(most, 'request')} waited for data at one moment"
    if len(sockets) < 2:
        return unavailable(f"{words}: --clients 3 shows several")
    return confirmed(words) if most > 1 else failed(words)


LAB.holds(NEVER_SPINS, claims=("C44",))
LAB.holds(BLOCKS_ONLY_IN_ITS_WAIT, claims=("C42",))


def _slept(call: Call) -> bool:
    return any(sleep.queue == "socket" for sleep in call.sleeps)


def _sleeps_for_completions(run: Run) -> list[Sleep]:
    """The sleeps of the server's first thread for a signal, or on a futex until a helper thread or a time-out ended them."""
    calls = [call for call in run.calls_of.get(run.server.serial, []) if call.name in syscalls.SIGNAL_WAITS | {"futex"}]
    return [sleep for call in calls for sleep in call.sleeps if not call.open]
