"""What the labs of select, poll and selectors check alike: a loop with one wait, and handlers that never block."""

from __future__ import annotations

from findings import evidence
from findings.properties.accepts_every_connection import ACCEPTS_EVERY_CONNECTION
from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.closes_ended_connections import CLOSES_ENDED_CONNECTIONS
from findings.properties.computes_little import COMPUTES_LITTLE
from findings.properties.leaves_no_data_unread import LEAVES_NO_DATA_UNREAD
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from findings.properties.non_blocking_connections import NON_BLOCKING_CONNECTIONS
from findings.properties.one_mechanism import ONE_MECHANISM
from findings.properties.property import broken_of
from findings.properties.serves_in_turn import SERVES_IN_TURN
from findings.view import Finding, Run, confirmed, failed
from probes.measure.result import Verdict
from probes.words import count


def sleeps_only_in(run: Run, queue: str) -> Finding:
    """The thread sleeps on the queue of this multiplexer while it has nothing to do, and nowhere else.

    Beside the sleeps themselves: the thread does not spin, does not poll after short time-outs, does not block in a handler,
    and does not wait by a second mechanism. The evidence of a failure is that of the broken properties.
    """
    asleep = evidence.slept_only_on(run, queue)
    broken = broken_of(
        run, NEVER_SPINS, NEEDS_NO_SHORT_TIME_OUT, BLOCKS_ONLY_IN_ITS_WAIT, NON_BLOCKING_CONNECTIONS, ONE_MECHANISM
    )
    if asleep.verdict is Verdict.FAILED:
        return failed(f"{asleep.evidence}; {broken}" if broken else asleep.evidence)
    if broken:
        return failed(broken)
    turns, time_outs = NEVER_SPINS.observe(run).evidence, NEEDS_NO_SHORT_TIME_OUT.observe(run).evidence
    return confirmed(f"{asleep.evidence}; {turns}; {time_outs}")


def serves_all(run: Run) -> Finding:
    """One thread accepts, reads and closes all connections; it neither sleeps nor computes while one of them has data."""
    broken = broken_of(
        run,
        ACCEPTS_EVERY_CONNECTION,
        CLOSES_ENDED_CONNECTIONS,
        LEAVES_NO_DATA_UNREAD,
        SERVES_IN_TURN,
        COMPUTES_LITTLE,
    )
    threads, sockets = (
        len({call.thread for call in run.reads if call.socket}),
        len({call.socket for call in run.reads} - {None}),
    )
    words = f"{count(threads, 'thread')} read {count(sockets, 'socket')}"
    if broken or threads != 1:
        return failed(broken or words)
    return confirmed(f"{words}; {LEAVES_NO_DATA_UNREAD.observe(run).evidence}; {COMPUTES_LITTLE.observe(run).evidence}")
