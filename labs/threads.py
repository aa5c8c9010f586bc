"""A thread for each connection: does a silent client still delay the others, and what does each connection cost?"""

from findings.properties.blocks_in_its_reads import BLOCKS_IN_ITS_READS
from findings.threads import concurrency
from labs.kit import crowd
from labs.kit.lab import Finding, Lab, Run

LAB = Lab(
    model="threads",
    chapter="Blocking",
    server="threads",
    question="What does a thread for each connection achieve, and what does it cost?",
    watch="every thread blocks like the single thread in lab blocking, but each only for its own client.",
    try_next=(
        "invoke lab threads --clients 100 --messages 5  a hundred threads",
        "invoke lab thread_pool  four threads, no more",
        "invoke lab blocking  a single thread",
    ),
    asides=("labs.kit.crowd:threads",),
    reading=(
        "UNP 26.4, TCP echo server using threads; 30.10",
        "man 3 pthread_create, man 2 clone",
        "kernel/fork.c: kernel_clone; kernel/futex: where Python's threads wait for their lock",
    ),
)


LAB.holds(BLOCKS_IN_ITS_READS, claims=("C12",))


@LAB.check("connections do not wait for each other", claims=("C14",))
def isolated(run: Run) -> Finding:
    """Each connection had a thread of its own that read it, and these threads waited at the same time."""
    return concurrency.own_reader_each(run, "thread")


@LAB.check("every connection has a thread, created for it and ended with it", claims=("C14",))
def created_for_it(run: Run) -> Finding:
    """The server created as many threads as connections arrived, each after its connection, and no thread stayed."""
    return concurrency.cost_of_each(run, "thread")


@LAB.check("hundreds of threads cost creation time, memory and switches", claims=("C15",))
def hundreds(run: Run) -> Finding:
    """Measured beside the traffic, in processes that are not followed."""
    return crowd.hundreds_cost(run, "thread")
