"""A classic mistake: edge-triggered, drained as the text says, and one client that never stops sending."""

import bisect
import collections

from findings.evidence import ms
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.traffic import Traffic
from servers.mistakes.edge_starvation import TURN

LAB = Lab(
    model="epoll_edge",
    chapter="Classic mistakes",
    question="What if there is always one more byte to drain?",
    watch="how many reads of the busy connection are made while another's data lies ready.",
    try_next=(
        "invoke lab epoll_edge  drained, with well-behaved clients",
        "invoke lab epoll       told again, so nothing needs to be drained",
    ),
    reading=(
        "man 7 epoll: Starvation (edge-triggered)",
        "fs/eventpoll.c: ep_send_events",
    ),
    cases=(Case("broken", "mistakes.edge_starvation:broken"), Case("mended", "mistakes.edge_starvation:mended")),
    traffic=Traffic(clients=2, messages=6, gap_ms=10, flood_ms=80),
)


def passed_over(run: Run) -> tuple[int, int]:
    """The most reads of the flooding connection made while another connection's data lay ready; and for how long, ns."""
    reads = [one for one in run.result.named("recvfrom") if one.bytes and one.socket]
    if not reads:
        return 0, 0
    (flooding, _count), *_ = collections.Counter(one.socket for one in reads).most_common()
    begins = [one.enter for one in reads if one.socket == flooding]
    waits = [one for one in run.result.messages if one.socket != flooding]
    found = [(bisect.bisect(begins, one.read) - bisect.bisect(begins, one.ready), one.read - one.ready) for one in waits]
    return max(found, default=(0, 0))


def passed_over_any(run: Run) -> bool:
    """Did anybody else send while the flood went on?"""
    reads = [one for one in run.result.named("recvfrom") if one.bytes and one.socket]
    busiest = collections.Counter(one.socket for one in reads).most_common(1)
    spans = [one for one in reads if busiest and one.socket == busiest[0][0]]
    return bool(spans) and any(
        spans[0].enter < one.ready < spans[-1].exit for one in run.result.messages if one.socket != spans[0].socket
    )


@LAB.check("drained without a limit, one sender starves the rest", claims=("C35",))
def starved(run: Run) -> Finding:
    """It read one connection for as long as that had data, while others' data lay ready."""
    broken = run.case("broken")
    count, lay = passed_over(broken)
    found = f"{count:,} reads of the flooding connection while another's data lay ready, for {ms(lay)};"
    found += f" the slowest answer to the others took {ms(broken.round_trips[-1])}"
    if count > 8 * TURN:
        return confirmed(found)
    if not passed_over_any(broken):
        return unavailable(f"{found}; nobody else sent while the flood went on: use a smaller --gap-ms")
    return unavailable(f"{found}; the link is slower than the server reads") if run.link else failed(found)


@LAB.check("a turn for each serves them all", claims=("C36",))
def turns(run: Run) -> Finding:
    """Its own list of ready connections remembers what the kernel tells only once, and each gets its turn."""
    mended = run.case("mended")
    count, lay = passed_over(mended)
    found = f"at most {count} reads of the flooding connection while another's data lay ready, for {ms(lay)};"
    found += f" the slowest answer to the others took {ms(mended.round_trips[-1])}, beside a flood of {ms(run.flood_ns)}"
    if not passed_over_any(mended):
        return unavailable(f"{found}; nobody else sent while the flood went on: use a smaller --gap-ms")
    return confirmed(found) if 0 < count <= 4 * TURN else failed(found)
