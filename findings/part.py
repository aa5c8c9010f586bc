"""What a report is about, if not the whole run. This file imports nothing that a start would have to wait for."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from probes.measure.result import Call


class Named(Protocol):
    """A thread with its ids and its name."""

    @property
    def tid(self) -> int:
        """In its own pid namespace."""

    @property
    def host_tid(self) -> int:
        """In the machine's."""

    @property
    def name(self) -> str:
        """As the kernel has it (comm)."""


@dataclass(frozen=True)
class Part:
    """What a report is about: all that matches each of these; an empty field matches everything.

    `threads`: ids, or patterns of names (as a shell matches file names). `calls`: patterns of names of system calls.
    """

    threads: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    fds: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()  # of either end of a socket

    def __bool__(self) -> bool:
        return bool(self.threads or self.calls or self.of_descriptors)

    @property
    def of_descriptors(self) -> bool:
        """Is it a part of some descriptors?"""
        return bool(self.fds or self.ports)

    @property
    def words(self) -> str:
        """As in "thread 12, calls read and write, descriptor 5".

        >>> Part(threads=("12", "pool*"), fds=(5,), ports=(80,)).words
        'thread 12 or pool*, descriptor 5, port 80'
        """
        parts = [
            ("thread", self.threads),
            ("call", self.calls),
            ("descriptor", tuple(map(str, self.fds))),
            ("port", tuple(map(str, self.ports))),
        ]
        return ", ".join(f"{what} {' or '.join(wanted)}" for what, wanted in parts if wanted)

    def has_thread(self, thread: Named) -> bool:
        """Does the part have that thread's calls?"""
        ids = {str(thread.tid), str(thread.host_tid)}
        return not self.threads or any(wanted in ids or fnmatch.fnmatchcase(thread.name, wanted) for wanted in self.threads)

    def has_name(self, name: str) -> bool:
        """Does the part have calls of that name?"""
        return not self.calls or any(fnmatch.fnmatchcase(name, wanted) for wanted in self.calls)

    def has_call(self, call: Call) -> bool:
        """Does the part have that call, if it has its thread and its port?"""
        return self.has_name(call.name) and (not self.fds or call.fd in self.fds)
