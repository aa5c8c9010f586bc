"""asyncio: does `await` make the I/O asynchronous?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed

LAB = Lab(
    model="asyncio",
    chapter="Asynchronous",
    server="asyncio",
    question="Is asyncio asynchronous I/O?",
    watch="the thread sleeps in epoll_wait and copies in recvfrom, like that of lab epoll; plus waits that don't wait.",
    try_next=(
        "invoke lab epoll  without the coroutines",
        "invoke lab io_uring  asynchronous below, too",
    ),
    reading=(
        "docs.python.org, asyncio: Event Loop",
        "UNP 6.2 on multiplexing: where the loop sleeps",
        "fs/eventpoll.c: ep_poll",
    ),
)


@LAB.check("multiplexing underneath", claims=("C45",))
def multiplexing(run: Run) -> Finding:
    """It sleeps in epoll_wait only, and reads by itself what epoll told of."""
    return evidence.together(evidence.asleep_only_in(run, "epoll"), evidence.read_without_waiting(run))


@LAB.check("waits that don't wait", claims=("C45",))
def zero_timeouts(run: Run) -> Finding:
    """Before it may sleep the loop runs what is due, and looks at epoll with a time-out of 0 in between."""
    waits = [one for one in run.waits if one.name.startswith("epoll")]
    looks = [one for one in waits if not one.sleeps and one.result is not None]  # they may find what has come meanwhile
    looked, empty = (sum(one.count for one in calls) for calls in (looks, [one for one in looks if one.result == 0]))
    slept = sum(1 for one in waits if one.sleeps)
    found = f"{looked} epoll_wait did not sleep, {empty} of them came back empty; {slept} slept, for"
    found += f" {len(run.result.messages)} messages"
    return confirmed(found) if looked > 0.5 * len(run.result.messages) > 0 else failed(found)
