"""How calls ended, in words: what neither the count of a call nor its errors show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from findings.never_began import NeverBegan
from findings.outcomes import CallOutcomes, Outcome
from probes.kernel import syscalls
from probes.measure.result import AnsweredBy
from probes.words import count, times

_WORDS = {
    Outcome.TIMED_OUT: "timed out",
    Outcome.INTERRUPTED: "ended with EINTR after a signal",
    Outcome.RESTARTED: "restarted after a signal (the program does not notice)",
    Outcome.CUT_OFF: "ended with a signal and did not resume",
    Outcome.END: "returned 0 B (the end of the data)",
}


def sentences(rows: Sequence[CallOutcomes], made: Mapping[str, int] | None = None) -> list[str]:
    """A sentence for each call that ended in a way that the other figures do not show.

    `made` has how many calls of each name there were: of a long run only a part is recorded one by one.

    >>> sentences([CallOutcomes("read", {Outcome.DONE: 1, Outcome.INTERRUPTED: 10, Outcome.END: 2})])
    ['read: of 13 calls 10 ended with EINTR after a signal, 2 returned 0 B (the end of the data)']
    """
    found = []
    for row in rows:
        whole = sum(row.counts.values())
        parts = [_short(row)] if _is_short(row) else []
        parts += [f"{row.counts[kind]:,} {words}" for kind, words in _WORDS.items() if row.counts.get(kind)]
        if parts:
            recorded = "recorded call" if made and whole < made.get(row.name, 0) else "call"
            found.append(f"{row.name}: of {count(whole, recorded)} {', '.join(parts)}")
    return found


def _is_short(row: CallOutcomes) -> bool:
    """A read may ask for more than there is; a write that takes a part leaves the rest to the program."""
    return bool(row.counts.get(Outcome.SHORT)) and row.name in syscalls.WRITES


def _short(row: CallOutcomes) -> str:
    return f"{row.counts[Outcome.SHORT]:,} took only a part ({row.short_moved:,} of {row.short_asked:,} B)"


def never_began(rows: Sequence[NeverBegan]) -> str:
    """Calls that never began: "clone3 7 times EPERM".

    >>> by_supervisor = NeverBegan("getppid", None, 4711, 1, True, AnsweredBy.SUPERVISOR)
    >>> never_began([NeverBegan("clone3", "EPERM", None, 7, False), by_supervisor])
    'clone3 7 times EPERM, getppid once with the result 4711 (its supervisor answered)'
    """
    return ", ".join(f"{row.name} {times(row.count)} {_answer(row)}" for row in rows)


def _answer(row: NeverBegan) -> str:
    if row.by is AnsweredBy.SIGNAL:
        return "at which the thread died"
    answer = row.errno or ("SIGSYS" if row.result is None else f"with the result {row.result}")
    supervisor = "its supervisor answered" if row.by is AnsweredBy.SUPERVISOR else "a supervisor may have answered"
    return answer + (f" ({supervisor})" if row.supervised else "")
