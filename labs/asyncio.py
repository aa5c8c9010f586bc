"""asyncio: does `await` make the I/O asynchronous?"""

from findings import evidence
from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.leaves_no_data_unread import LEAVES_NO_DATA_UNREAD
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count

LAB = Lab(
    model="asyncio",
    chapter="Asynchronous",
    server="asyncio",
    question="Is asyncio asynchronous I/O?",
    watch="the thread sleeps in epoll_wait and copies in recvfrom, as in lab epoll; some calls of epoll_wait have a time-out of"
    " 0 and never sleep.",
    try_next=(
        "invoke lab epoll  the same calls without coroutines",
        "invoke lab io_uring  requests that the kernel itself completes",
    ),
    reading=(
        "docs.python.org, asyncio: Event Loop",
        "UNP 6.2 on multiplexing: where the loop sleeps",
        "fs/eventpoll.c: ep_poll",
    ),
)


@LAB.check("asyncio's default loop sleeps in epoll_wait", claims=("C45",))
def multiplexing(run: Run) -> Finding:
    """The thread slept in epoll_wait only: `await` suspends a coroutine, and the loop waits for all of them."""
    found = evidence.slept_only_on(run, "epoll")
    others = sorted({call.name for call in run.waits if call.name not in syscalls.EPOLL_WAITS})
    return failed(f"the loop waits in {' and '.join(others)}; {found.evidence}") if others else found


@LAB.check("the thread of the loop copies the data in its own recvfrom", claims=("C43", "C45"))
def own_copy(run: Run) -> Finding:
    """The interface is asynchronous, the I/O is not: the loop's thread reads what epoll_wait has reported, without a sleep."""
    loops = {call.thread for call in run.waits}
    reads = [call for call in run.reads if call.bytes]
    own = [call for call in reads if call.thread in loops]
    words = f"the thread of the loop made {len(own)} of {count(len(reads), 'read')} with data"
    if len(own) < len(reads) or not reads:
        slept = [call for call in reads if call.sleeps and call.thread not in loops]
        return failed(f"{words}; {count(len(slept), 'read')} of other threads slept on their sockets")
    return evidence.all_of(confirmed(words), evidence.read_without_waiting(run))


@LAB.check("while a callback is due, the loop calls epoll_wait with a time-out of 0", claims=("C45",))
def zero_timeouts(run: Run) -> Finding:
    """A callback that is due runs only after epoll_wait, which must not sleep then (BaseEventLoop._run_once)."""
    waits = [call for call in run.waits if call.name in syscalls.EPOLL_WAITS]
    zero = [call for call in waits if _has_no_time(call)]
    empty = sum(call.count for call in zero if call.result == 0)
    at_once = sum(call.count for call in waits if not call.sleeps and not _has_no_time(call))
    slept = sum(1 for call in waits if call.sleeps)
    number = sum(call.count for call in zero)
    words = (
        f"{count(number, 'call')} of epoll_wait had a time-out of 0, and {empty:,} of these returned 0 events;"
        f" {count(slept, 'call')} slept, and {count(at_once, 'call')} with another time-out returned at once;"
        f" {count(len(run.result.messages), 'message')}"
    )
    return confirmed(words) if number else failed(words)


def _has_no_time(call: Call) -> bool:
    """Was the time-out 0? A burst, which has no arguments, returned 0 events without a sleep."""
    return call.args[3] & 0xFFFFFFFF == 0 if len(call.args) > 3 else call.result == 0


LAB.holds(NEVER_SPINS, claims=("C45",))
LAB.holds(NEEDS_NO_SHORT_TIME_OUT, claims=("C45",))
LAB.holds(BLOCKS_ONLY_IN_ITS_WAIT, claims=("C45",))
LAB.holds(LEAVES_NO_DATA_UNREAD, claims=("C45",))
