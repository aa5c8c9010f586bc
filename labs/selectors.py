"""The module selectors: what is under the callbacks?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed

LAB = Lab(
    model="selectors",
    chapter="Multiplexing",
    server="selectors",
    question="Which multiplexer does Python's selectors module use, and what is a Reactor?",
    watch="system calls like those of lab epoll; the callbacks are Python's alone.",
    try_next=(
        "invoke lab epoll  the same without callbacks",
        "invoke lab asyncio  coroutines on top of a selector",
    ),
    reading=(
        "docs.python.org, selectors",
        "D. C. Schmidt, Reactor: an object behavioral pattern for demultiplexing and dispatching handles",
        "UNP 6.2",
    ),
)


@LAB.check("epoll underneath", claims=("C39",))
def epoll(run: Run) -> Finding:
    """DefaultSelector waits by epoll_wait, and no other multiplexer is called."""
    names = sorted({one.name for one in run.waits})
    found = f"{len(run.waits)} calls of {', '.join(names) or 'no multiplexer'}, {len(run.calls('epoll_ctl'))} of epoll_ctl"
    return confirmed(found) if names and all(one.startswith("epoll") for one in names) else failed(found)


@LAB.check("wait, then dispatch: the Reactor", claims=("C40",))
def reactor(run: Run) -> Finding:
    """Every message was told of by the multiplexer before its handler read it, without waiting."""
    told = [one for one in run.result.messages if one.notified_by.startswith("epoll")]
    waited = evidence.read_without_waiting(run)
    messages = len(run.result.messages)
    found = f"{len(told)} of {messages} messages were told of by epoll_wait before they were read; {waited.evidence}"
    return confirmed(found) if len(told) > 0.9 * messages > 0 and waited.verdict == "confirmed" else failed(found)
