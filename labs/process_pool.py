"""Four processes, forked beforehand, that all accept from one listener, and six clients."""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from labs.kit.traffic import Traffic
from servers.process_pool import WORKERS

LAB = Lab(
    model="process_pool",
    chapter="Blocking",
    server="process_pool",
    question="What do processes forked beforehand save, and who pays for their ceiling?",
    watch="no fork after the first client came; the fifth client waits in the backlog.",
    try_next=(
        "invoke lab process_pool --clients 4  within the ceiling",
        "invoke lab processes --clients 6  a fork for each",
    ),
    reading=(
        "UNP 30.6, preforked server without locking",
        "man 2 accept",
        "net/ipv4/inet_connection_sock.c: inet_csk_wait_for_connect (an exclusive wait)",
    ),
    traffic=Traffic(clients=6, messages=11),
)


@LAB.check("nothing is created for a connection", claims=("C16",))
def nothing_created(run: Run) -> Finding:
    """Every process was there before the first connection was accepted."""
    first = min((one.exit for one in run.connections), default=0)
    late = [one for one in evidence.created(run) if one.start > first]
    made = len(evidence.created(run))
    found = f"{made} processes were created, {len(late)} of them after the first of {len(run.connections)} accepts"
    return confirmed(found) if made and not late else failed(found)


@LAB.check("beyond its size, connections wait", claims=("C16",))
def ceiling(run: Run) -> Finding:
    """Never more than four connections are served at a time."""
    return evidence.ceiling(run, WORKERS, "processes")
