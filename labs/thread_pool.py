"""A pool of four threads serves six clients: what happens to the fifth?"""

from findings.properties.blocks_in_its_reads import BLOCKS_IN_ITS_READS
from findings.threads import concurrency
from labs.kit.lab import Finding, Lab, Run
from labs.kit.traffic import Traffic
from servers.thread_pool import WORKERS

LAB = Lab(
    model="thread_pool",
    chapter="Blocking",
    server="thread_pool",
    question="What does a pool of threads save, and which clients must wait if all threads are busy?",
    watch="the fifth client is accepted, and waits until one of the first four has ended.",
    try_next=(
        "invoke lab thread_pool --clients 4  as many clients as threads",
        "invoke lab threads --clients 6  a thread for each client",
    ),
    reading=(
        "UNP 30.11 and 30.12, prethreaded servers",
        "docs.python.org, concurrent.futures.ThreadPoolExecutor",
        "kernel/futex/waitwake.c: futex_wait, futex_wake",
    ),
    traffic=Traffic(clients=6, messages=11),
)


LAB.holds(BLOCKS_IN_ITS_READS, claims=("C12",))


@LAB.check("the server creates no more threads than the pool has", claims=("C16",))
def few(run: Run) -> Finding:
    """Most connections cost no new thread: the saving of a pool."""
    return concurrency.at_most(run, concurrency.pool_size(run, WORKERS, "thread"))


@LAB.check("connections beyond the pool's size wait", claims=("C16",))
def ceiling(run: Run) -> Finding:
    """At most four connections were served at the same time, and the others waited for the end of one of these."""
    return concurrency.ceiling(run, concurrency.pool_size(run, WORKERS, "thread"), "thread")
