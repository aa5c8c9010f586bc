"""A process for each connection: connections as independent as with threads, and a more expensive creation."""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run

LAB = Lab(
    model="processes",
    chapter="Blocking",
    server="processes",
    question="What does a process for each connection give, and what does it cost?",
    watch="the time of clone, compared with that of lab threads: fork copies the page tables.",
    try_next=(
        "invoke lab threads  threads instead",
        "invoke lab processes --clients 50 --messages 5  fifty address spaces",
    ),
    reading=(
        "UNP 4.8, Concurrent Servers; 30.5",
        "man 2 fork, man 2 wait",
        "kernel/fork.c: kernel_clone, dup_mm",
    ),
)


@LAB.check("connections do not wait for each other", claims=("C14",))
def isolated(run: Run) -> Finding:
    """Each connection had a process of its own that read it, and these processes waited at the same time."""
    return evidence.own_reader_each(run, "process")


@LAB.check("every connection costs a process", claims=("C15",))
def price(run: Run) -> Finding:
    """The server created as many processes as connections arrived."""
    return evidence.cost_of_each(run, "process", processes=True)
