"""What the clients do, and what they report about a trial: the task, the outcome, the fault."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from findings.spoke import Spoke
from labs.kit.traffic import Traffic
from probes.context import Seen

_MANY = 60


@dataclass(frozen=True)
class Task:
    """One trial of one server. `process` is a process in its network namespace; 0: the server is on the machine's own."""

    trial: str
    host: str
    port: int
    process: int
    seed: str
    protocol: str
    traffic: Traffic = dataclasses.field(default_factory=Traffic)
    one_at_a_time: bool = False  # the model serves a connection only when the connection before it has ended
    polls: bool = False  # the servers of the model never sleep
    by_signals: bool = False  # queued signals notify the servers of the model
    clients: int = _MANY


@dataclass(frozen=True)
class Outcome:
    """What the clients saw. `fault` is "" if the server did all that the trial asks for."""

    trial: str
    begin: int
    end: int
    fault: str
    seen: str
    traffic: Seen = dataclasses.field(default_factory=lambda: Seen(()))
    clients: tuple[Spoke, ...] = ()  # of a trial with a fault
    remedy: str = ""  # for the fault; "": the remedy of the criterion applies


class Fault(Exception):
    """What the server did wrong in a trial, with a remedy if one is known, and with the part of a reply that came."""

    def __init__(self, words: str, remedy: str = "", received: bytes = b"") -> None:
        super().__init__(words)
        self.remedy, self.received = remedy, received

    def within(self, words: str) -> Fault:
        """The same fault as the end of a longer sentence."""
        return Fault(f"{words}: {self}", self.remedy, self.received)


def encoded(task: Task) -> str:
    """The line that `main` reads."""
    words: dict[str, Any] = dataclasses.asdict(task)
    return json.dumps(words) + "\n"
