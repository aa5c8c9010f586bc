"""The module selectors: which system calls lie under the callbacks?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from probes.words import count

LAB = Lab(
    model="selectors",
    chapter="Multiplexing",
    server="selectors",
    question="Which multiplexer does Python's selectors module use, and what is a Reactor?",
    watch="the system calls are those of lab epoll; the callbacks exist only in Python.",
    try_next=(
        "invoke lab epoll  the same calls without callbacks",
        "invoke lab asyncio  coroutines on top of a selector",
    ),
    reading=(
        "docs.python.org, selectors",
        "D. C. Schmidt, Reactor: an object behavioral pattern for demultiplexing and dispatching handles",
        "UNP 6.2",
    ),
)


@LAB.check("DefaultSelector waits in epoll_wait", claims=("C39",))
def epoll(run: Run) -> Finding:
    """The server calls epoll_wait and no other multiplexer."""
    names = sorted({call.name for call in run.waits})
    words = (
        f"{count(sum(call.count for call in run.waits), 'call')} of {', '.join(names) or 'a multiplexer'},"
        f" {count(len(run.calls('epoll_ctl')), 'call')} of epoll_ctl"
    )
    return confirmed(words) if names and all(name.startswith("epoll") for name in names) else failed(words)


@LAB.check("the loop waits, then calls a handler: the Reactor pattern", claims=("C40",))
def reactor(run: Run) -> Finding:
    """For every message epoll_wait notified the loop before the handler read it, and the handler's read did not wait."""
    notified = [message for message in run.result.messages if message.notified_by.startswith("epoll")]
    reading = evidence.read_without_waiting(run)
    messages = len(run.result.messages)
    words = (
        f"epoll_wait notified the thread of {len(notified)} of {count(messages, 'message')} before it read them;"
        f" {reading.evidence}"
    )
    return confirmed(words) if len(notified) > 0.9 * messages > 0 and reading.verdict == "confirmed" else failed(words)
