"""No connection is read again and again while another's data is unread."""

from __future__ import annotations

from findings.evidence import reads_while_unread
from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run
from probes.words import count, ms

_MANY = 100  # reads of one connection while another waits; a fair server makes at most a few dozen


def observe(run: Run) -> Observation:
    """Counts the reads of the busiest connection while a message of another was unread."""
    if len({message.socket for message in run.result.messages}) < 2:
        return not_shown("fewer than 2 connections had messages")
    reads, unread = reads_while_unread(run)
    evidence = f"at most {count(reads, 'read')} of the busiest connection while another's data was unread, for {ms(unread)}"
    return broken(evidence) if reads > _MANY else held(evidence)


SERVES_IN_TURN = Property(
    id="serves-in-turn",
    statement="all connections are served in turn",
    remedy="read each ready connection once, or at most a fixed number of bytes, before the next connection's turn",
    observe=observe,
)
