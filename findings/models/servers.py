"""The servers of one run: a script or a supervisor may start several programs, each with clients of its own."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from findings.models.behaviour import Behaviour
from findings.models.descriptors import Descriptor, Kind


def servers(seen: Behaviour) -> list[Behaviour]:
    """The behaviour of each server; all as one server if the listeners do not tell the servers apart.

    The server of the run's first process comes first, then those that read most.

    Processes belong to one server if they read connections of one listener, or if one of them accepts or waits for what another
    one reads. Listeners with SO_REUSEPORT may share a port, so they count as one. If any connection came from a listener that
    the recording does not know (a socket that a program inherited, a joined process), nothing is divided.
    """
    groups = _Groups()
    for connection in seen.connections:
        if not connection.readers:
            continue
        if connection.kind is not Kind.CONNECTION or connection.listener is None or not connection.listener.thread:
            return [seen]
        threads = (connection.thread, *connection.readers)
        groups.join({_key(connection.listener), *(seen.process_of[thread] for thread in threads)})
    for use in seen.uses.values():
        groups.join({seen.process_of[thread] for thread in (use.serial, *use.handed)} if use.served else set())
    found = groups.processes()
    if len(found) < 2:
        return [seen]
    divided = [_without(seen, {process for other in found if other is not own for process in other}) for own in found]
    first = next(iter(seen.uses))
    return sorted(divided, key=lambda each: (first not in each.uses, -sum(use.served for use in each.uses.values())))


def _key(listener: Descriptor) -> object:
    return "SO_REUSEPORT" if listener.reuseport else listener


class _Groups:
    """Sets of processes (serial numbers) and listeners that belong together."""

    def __init__(self) -> None:
        self._groups: list[set[object]] = []

    def join(self, members: Set[object]) -> None:
        """These belong to one group, together with the groups that they belonged to."""
        touched = [group for group in self._groups if group & members]
        self._groups = [group for group in self._groups if not group & members]
        if members:
            self._groups.append(set(members).union(*touched))

    def processes(self) -> list[set[int]]:
        """The processes of each group."""
        return [{member for member in group if isinstance(member, int)} for group in self._groups]


def _without(seen: Behaviour, others: Set[int]) -> Behaviour:
    """What the threads of all processes but these did."""
    process_of = seen.process_of
    return replace(
        seen,
        uses={serial: use for serial, use in seen.uses.items() if process_of[serial] not in others},
        connections=[each for each in seen.connections if not {process_of[reader] for reader in each.readers} & others],
        sets=[each for each in seen.sets if not {process_of[waiter] for waiter in each.waiters} & others],
        began={process: at for process, at in seen.began.items() if process not in others},
    )
