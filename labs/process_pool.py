"""Four processes, forked beforehand, accept from one listener. Six clients connect: what happens to the fifth?"""

from findings import evidence
from findings.properties.blocks_in_its_reads import BLOCKS_IN_ITS_READS
from findings.threads import concurrency
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.traffic import Traffic
from probes.words import count
from servers.process_pool import WORKERS

LAB = Lab(
    model="process_pool",
    chapter="Blocking",
    server="process_pool",
    question="What does a pool of processes save, and which clients must wait if all processes are busy?",
    watch="no fork after the first client has connected; the fifth client waits in the backlog.",
    try_next=(
        "invoke lab process_pool --clients 4  as many clients as processes",
        "invoke lab processes --clients 6  a fork for each client",
    ),
    reading=(
        "UNP 30.6, preforked server without locking",
        "man 2 accept",
        "net/ipv4/inet_connection_sock.c: inet_csk_wait_for_connect (an exclusive wait)",
    ),
    traffic=Traffic(clients=6, messages=11),
)


LAB.holds(BLOCKS_IN_ITS_READS, claims=("C12",))


@LAB.check("no process is created for a connection", claims=("C16",))
def nothing_created(run: Run) -> Finding:
    """The server created every process before it accepted the first connection."""
    first = min((call.exit for call in run.connections), default=0)
    made = evidence.created(run)
    late = [thread for thread in made if thread.start > first]
    words = (
        f"the server created {count(len(made), 'process')}, {len(late)} of these after the first of"
        f" {count(len(run.connections), 'accept')}"
    )
    return confirmed(words) if made and not late else failed(words)


@LAB.check("connections beyond the pool's size wait", claims=("C16",))
def ceiling(run: Run) -> Finding:
    """At most four connections were served at the same time, and the others waited for the end of one of these."""
    return concurrency.ceiling(run, concurrency.pool_size(run, WORKERS, "process"), "process")
