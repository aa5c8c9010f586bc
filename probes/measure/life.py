"""A thread while its records are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from probes.measure.messages import Family
from probes.measure.result import Call, ReadyListEvent, Sleep, SocketCopy


@dataclass
class Life:
    """What the records say of a thread so far."""

    birth: Any
    name: str
    calls: list[Call] = field(default_factory=list)
    sleeps: list[Sleep] = field(default_factory=list)  # of the call that has not been reported yet
    outside: list[Sleep] = field(default_factory=list)
    socket_copies: list[SocketCopy] = field(default_factory=list)
    listed: list[ReadyListEvent] = field(default_factory=list)
    end: Any = None
    state: Any = None  # of a recording that was cut off: what the thread was in when its last sums were taken
    bursts: int = 0

    @property
    def family(self) -> Family:
        """The process and the creator of the thread."""
        worker = bool(getattr(self.birth, "worker", 0))
        return Family(self.birth.parent if worker else 0, self.birth.ns_tgid, tuple(self.outside) if worker else ())
