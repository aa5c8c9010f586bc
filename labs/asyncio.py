"""asyncio: does `await` make the I/O asynchronous?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
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


@LAB.check("asyncio's loop sleeps in epoll_wait, and reads without a sleep", claims=("C45",))
def multiplexing(run: Run) -> Finding:
    """The thread slept in epoll_wait only, and its own calls read the data that epoll_wait had reported."""
    return evidence.all_of(evidence.slept_only_on(run, "epoll"), evidence.read_without_waiting(run))


@LAB.check("the loop also calls epoll_wait without sleeping", claims=("C45",))
def zero_timeouts(run: Run) -> Finding:
    """While callbacks are due, the loop calls epoll_wait with a time-out of 0 before it runs them."""
    waits = [call for call in run.waits if call.name.startswith("epoll")]
    awake = [call for call in waits if not call.sleeps and call.result is not None]
    number = sum(call.count for call in awake)
    slept = sum(1 for call in waits if call.sleeps)
    empty = sum(call.count for call in awake if call.result == 0)
    messages = len(run.result.messages)
    words = (
        f"{count(number, 'call')} of epoll_wait did not sleep, and {empty} of these returned 0 events;"
        f" {count(slept, 'call')} slept; {count(messages, 'message')}"
    )
    return confirmed(words) if number > 0.5 * messages > 0 else failed(words)
