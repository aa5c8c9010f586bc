"""A thread for each connection: does a silent client still hold up the others, and what does each connection cost?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run

LAB = Lab(
    model="threads",
    chapter="Blocking",
    server="threads",
    question="What does a thread for each connection buy, and what does it cost?",
    watch="every thread is blocked like the single one in lab blocking, but each only for its own client.",
    try_next=(
        "invoke lab threads --clients 100 --messages 5  a hundred stacks",
        "invoke lab thread_pool  four threads, no more",
        "invoke lab blocking  the same code, one thread",
    ),
    reading=(
        "UNP 26.4, TCP echo server using threads; 30.10",
        "man 3 pthread_create, man 2 clone",
        "kernel/fork.c: kernel_clone; kernel/futex: where Python's threads wait for their lock",
    ),
)


@LAB.check("connections don't wait for each other", claims=("C14",))
def isolated(run: Run) -> Finding:
    """Each connection is read by a thread of its own, all asleep at the same time."""
    return evidence.one_each(run, "threads")


@LAB.check("each connection costs a thread", claims=("C15",))
def price(run: Run) -> Finding:
    """As many threads are created as connections come."""
    return evidence.price_of_each(run, "threads", processes=False)
