"""How processes ended, in words."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

from findings.threads.endings import Ended
from probes.measure.result import Thread
from probes.words import count, visible

_IDS = 4  # processes that are listed by their ids


def words(ended: Ended, name: Callable[[Thread], str]) -> str:
    """The ending of one process: "exit status 3", "killed by SIGPIPE"."""
    if not ended.by_signal:
        return "its exit status is not recorded" if ended.status is None else f"exit status {ended.status}"
    by = f", which {name(ended.sender)} sent" if ended.sender else ""
    core = " (core dumped)" if ended.core else ""
    return f"killed by {ended.signal or 'a signal that no record names'}{by}{core}"


def sentences(endings: Sequence[Ended]) -> list[str]:
    """The processes that did not end with status 0, those with the same name and ending together."""
    groups: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for ended in endings:
        if ended.by_signal or ended.status:
            groups[visible(ended.process.first.name), words(ended, _named)].append(ended.process.pid)
    return [_together(name, pids, ending) for (name, ending), pids in groups.items()]


def _named(thread: Thread) -> str:
    return f"{visible(thread.name)} {thread.pid}"


def _together(name: str, pids: Sequence[int], ending: str) -> str:
    listed = ", ".join(map(str, pids[:_IDS])) + (" ..." if len(pids) > _IDS else "")
    several = "" if len(pids) == 1 else f" ({count(len(pids), 'process')})"
    return f"{name} {listed}{several}: {ending}"
