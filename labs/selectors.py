"""The module selectors: which system calls lie under the callbacks?"""

from __future__ import annotations

import ast
import collections
import inspect
import selectors
from typing import Any

from findings import evidence
from labs.kit import asides, loop
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, unavailable
from probes.measure.result import Verdict
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
    asides=("labs.selectors:preference",),
)
EPOLL_CTL_ADD = 1


@LAB.check("DefaultSelector waits in epoll_wait", claims=("C39",))
def epoll(run: Run) -> Finding:
    """The server calls epoll_wait and no other multiplexer. The module's source has the order in which it chooses."""
    waits: collections.Counter[str] = collections.Counter()
    for call in run.waits:
        waits[call.name] += call.count
    calls = ", ".join(f"{count(number, 'call')} of {name}" for name, number in waits.most_common())
    registering = sum(call.count for call in run.calls("epoll_ctl"))
    words = f"{calls or '0 calls of a multiplexer'}, {count(registering, 'call')} of epoll_ctl"
    if not waits or not all(name.startswith("epoll") for name in waits):
        return failed(words)
    chosen = asides.of(run).chosen
    if not chosen:
        return confirmed(words)
    words += f"; DefaultSelector is {chosen}. The module measures nothing: it takes the first of a fixed order"
    return refined(words) if chosen == "EpollSelector" else failed(words)


@LAB.check("on other systems DefaultSelector waits in kqueue, /dev/poll or select", claims=("C62",))
def elsewhere(run: Run) -> Finding:
    """Linux has only epoll, and cannot show the other multiplexers. The evidence quotes the source of the standard library."""
    if not any(call.name.startswith("epoll") for call in run.waits):
        return failed("this server made 0 calls of epoll_wait: it does not use DefaultSelector")
    order = asides.of(run).order
    if not order:
        return unavailable(asides.NOT_RUN)
    return unavailable(
        "this kernel is Linux, and has no kqueue and no /dev/poll. The source of the module selectors on this machine says that"
        f" DefaultSelector takes the first of these {len(order)} that a system offers: {', '.join(order)}. On Windows that is"
        " select, which takes only sockets there (docs.python.org, select)"
    )


@LAB.check("the thread sleeps in epoll_wait while it has nothing to do, and nowhere else", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in epoll_wait only. It did not spin, did not poll after short time-outs, and no handler blocked."""
    return loop.sleeps_only_in(run, "epoll")


@LAB.check("the selector registers each descriptor once, and not at every wait", claims=("C32",))
def registered_once(run: Run) -> Finding:
    """One EPOLL_CTL_ADD for each descriptor: the listener and the connections. A change of the events is EPOLL_CTL_MOD."""
    added = [call for call in run.calls("epoll_ctl") if call.args[1:2] == (EPOLL_CTL_ADD,)]
    descriptors, waits = len(run.connections) + 1, sum(call.count for call in run.waits)
    words = f"{len(added)} EPOLL_CTL_ADD for {count(descriptors, 'descriptor')}; {count(waits, 'wait')}"
    return confirmed(words) if len(added) == descriptors else failed(words)


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
    if reading.verdict is Verdict.FAILED or not len(notified) > 0.9 * messages > 0:
        return failed(words)
    return refined(f"{words}. The kernel sees the order of wait and handler; the callbacks themselves exist only in Python")


@LAB.check("one thread serves all connections, and keeps none of them waiting", claims=("C24",))
def serves(run: Run) -> Finding:
    """The thread accepts, reads and closes all connections; it neither sleeps nor computes while one of them has data."""
    return loop.serves_all(run)


def preference() -> dict[str, Any]:
    """What the module selectors of this Python prefers, by its source: each `if _can_use(NAME): DefaultSelector = ...`."""
    order = [
        str(node.test.args[0].value)
        for node in ast.walk(ast.parse(inspect.getsource(selectors)))
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Call)
        and isinstance(node.test.func, ast.Name)
        and node.test.func.id == "_can_use"
        and isinstance(node.test.args[0], ast.Constant)
    ]
    return {"order": [*order, "select"], "chosen": selectors.DefaultSelector.__name__}
