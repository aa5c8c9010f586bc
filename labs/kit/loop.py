"""What the labs of select, poll and selectors check alike: a loop with one wait, and handlers that never block."""

from __future__ import annotations

from findings import evidence
from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from findings.properties.one_mechanism import ONE_MECHANISM
from findings.view import Finding, Run, confirmed, failed
from probes.measure.result import Verdict


def sleeps_only_in(run: Run, queue: str) -> Finding:
    """The thread sleeps on the queue of this multiplexer while it has nothing to do, and nowhere else.

    Four properties at once, beside the sleeps themselves: the thread does not spin, does not poll after short time-outs, does
    not block in a handler, and does not wait by a second mechanism. The evidence of a failure is that of the broken ones.
    """
    asleep = evidence.slept_only_on(run, queue)
    others = [each.check(run) for each in (NEVER_SPINS, NEEDS_NO_SHORT_TIME_OUT, BLOCKS_ONLY_IN_ITS_WAIT, ONE_MECHANISM)]
    broken = [finding.evidence for finding in (asleep, *others) if finding.verdict is Verdict.FAILED]
    if broken:
        return failed("; ".join(broken))
    turns, time_outs = others[0].evidence, others[1].evidence
    return confirmed(f"{asleep.evidence}; {turns}; {time_outs}")
