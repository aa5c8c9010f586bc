"""A process for each connection: connections as independent as with threads, and a more expensive creation."""

import signal

from findings import evidence
from findings.properties.blocks_in_its_reads import BLOCKS_IN_ITS_READS
from findings.threads import concurrency
from labs.kit import crowd
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, unavailable
from probes.words import count

LAB = Lab(
    model="processes",
    chapter="Blocking",
    server="processes",
    question="What does a process for each connection achieve, and what does it cost?",
    watch="the time of clone, compared with that of lab threads: fork copies the page tables.",
    try_next=(
        "invoke lab threads  threads instead",
        "invoke lab processes --clients 50 --messages 5  fifty processes",
    ),
    asides=("labs.kit.crowd:processes",),
    reading=(
        "UNP 4.8, Concurrent Servers; 30.5",
        "man 2 fork, man 2 wait",
        "kernel/fork.c: kernel_clone, dup_mm",
    ),
)


LAB.holds(BLOCKS_IN_ITS_READS, claims=("C12",))


@LAB.check("connections do not wait for each other", claims=("C14",))
def isolated(run: Run) -> Finding:
    """Each connection had a process of its own that read it, and these processes waited at the same time."""
    return concurrency.own_reader_each(run, "process")


@LAB.check("every connection has a process, created for it and ended with it", claims=("C14",))
def created_for_it(run: Run) -> Finding:
    """The server created as many processes as connections arrived, each after its connection, and no process stayed."""
    return concurrency.cost_of_each(run, "process")


@LAB.check("no process that has ended stays a zombie", claims=("C66",))
def reaped(run: Run) -> Finding:
    """The parent waited for its children, or set what SIGCHLD does: to ignore it lets the kernel reap them (wait(2))."""
    made = [thread for thread in evidence.created(run) if thread.pid == thread.tid]
    if not made:
        return failed(f"the server created 0 processes for {count(len(run.connections), 'connection')}")
    ended = [thread for thread in made if thread.end < run.server.end]
    own = run.calls_of.get(run.server.serial, [])
    waits = [call for call in own if call.name in ("wait4", "waitid")]
    found = sum(1 for call in waits if call.errno is None and call.result)
    set_for = [call for call in own if call.name == "rt_sigaction" and call.args[0] == signal.SIGCHLD and call.args[1]]
    words = f"{count(len(ended), 'process')} ended before the server; {count(len(waits), 'call')} of wait4 or waitid"
    words += f" returned {count(found, 'ended process')}" if waits else ""
    words += f"; {count(len(set_for), 'call')} of rt_sigaction set what SIGCHLD does"
    if not ended:
        return unavailable(words)
    if not waits and not set_for:
        return failed(f"{words}: the ended processes stay zombies")
    return confirmed(words) if found or set_for else unavailable(f"{words}: none had ended when the parent looked for them")


@LAB.check("hundreds of processes cost creation time, memory and switches", claims=("C15",))
def hundreds(run: Run) -> Finding:
    """Measured beside the traffic, in processes that are not followed."""
    return crowd.hundreds_cost(run, "process")
