"""Data that belongs to no message, in words: from which sockets, how much, and why no figure of messages has it."""

from __future__ import annotations

from collections.abc import Sequence

from findings.not_followed import NotFollowed, Reason
from probes.words import count

_KINDS = {
    Reason.UNIX: "unix sockets",
    Reason.MPTCP: "MPTCP sockets",
    Reason.VSOCK: "vsock sockets",
    Reason.SCTP: "SCTP sockets",
    Reason.RAW: "raw and packet sockets",
    Reason.OTHER: "sockets of other families",
}


def sentences(rows: Sequence[NotFollowed]) -> list[str]:
    """A sentence for each reason.

    >>> print(*sentences([NotFollowed(Reason.MPTCP, 46, 2944)]))
    not available: the messages of MPTCP sockets, whose arrival no probe reported; 46 reads took 2,944 B from them
    """
    return [_splice(row) if row.reason is Reason.SPLICE else _reads(row) for row in rows]


def _splice(row: NotFollowed) -> str:
    calls = count(row.reads, "call")
    return f"not available: messages that splice moves inside the kernel; {calls} moved {row.bytes:,} B out of sockets"


def _reads(row: NotFollowed) -> str:
    return (
        f"not available: the messages of {_KINDS[row.reason]}, whose arrival no probe reported;"
        f" {count(row.reads, 'read')} took {row.bytes:,} B from them"
    )
