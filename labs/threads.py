"""A thread for each connection: does a silent client still delay the others, and what does each connection cost?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run

LAB = Lab(
    model="threads",
    chapter="Blocking",
    server="threads",
    question="What does a thread for each connection give, and what does it cost?",
    watch="every thread blocks like the single thread in lab blocking, but each only for its own client.",
    try_next=(
        "invoke lab threads --clients 100 --messages 5  a hundred stacks",
        "invoke lab thread_pool  four threads, no more",
        "invoke lab blocking  all in one thread",
    ),
    reading=(
        "UNP 26.4, TCP echo server using threads; 30.10",
        "man 3 pthread_create, man 2 clone",
        "kernel/fork.c: kernel_clone; kernel/futex: where Python's threads wait for their lock",
    ),
)


@LAB.check("connections do not wait for each other", claims=("C14",))
def isolated(run: Run) -> Finding:
    """Each connection had a thread of its own that read it, and these threads waited at the same time."""
    return evidence.own_reader_each(run, "thread")


@LAB.check("every connection costs a thread", claims=("C15",))
def price(run: Run) -> Finding:
    """The server created as many threads as connections arrived."""
    return evidence.cost_of_each(run, "thread", processes=False)
