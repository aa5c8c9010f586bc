"""A process for each connection: the same isolation as with threads, and a dearer creation."""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run

LAB = Lab(
    model="processes",
    chapter="Blocking",
    server="processes",
    question="What does a process for each connection buy, and what does it cost?",
    watch="fork copies the page tables: compare the time of clone with that of lab threads.",
    try_next=(
        "invoke lab threads  a thread instead",
        "invoke lab processes --clients 50 --messages 5  fifty address spaces",
    ),
    reading=(
        "UNP 4.8, Concurrent Servers; 30.5",
        "man 2 fork, man 2 wait",
        "kernel/fork.c: kernel_clone, dup_mm",
    ),
)


@LAB.check("connections don't wait for each other", claims=("C14",))
def isolated(run: Run) -> Finding:
    """Each connection is read by a process of its own, all asleep at the same time."""
    return evidence.one_each(run, "processes")


@LAB.check("each connection costs a process", claims=("C15",))
def price(run: Run) -> Finding:
    """As many processes are created as connections come."""
    return evidence.price_of_each(run, "processes", processes=True)
