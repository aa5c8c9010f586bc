"""Every byte that the clients of a lab send comes back."""

from __future__ import annotations

import collections

from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run
from probes.kernel import syscalls
from probes.words import count


def observe(run: Run) -> Observation:
    """The clients compare each echo with their message, and give up after some seconds of silence (runs/clients.py)."""
    if not run.clients:
        return not_shown("this run had no clients of iolab")
    echoes = sum(len(client.exchanges) for client in run.clients)
    gave_up = [client for client in run.clients if client.gave_up]
    if not gave_up:
        return held(f"{count(echoes, 'message')} came back whole to {count(len(run.clients), 'client')}")
    reasons = collections.Counter(client.gave_up for client in gave_up)
    why = "; ".join(f"{count(number, 'client')}: {reason}" for reason, number in reasons.most_common())
    missing = sum(client.not_echoed for client in gave_up)
    return broken(
        f"{count(missing, 'byte')} of {count(len(gave_up), 'client')} were never echoed"
        f" ({why}); {count(echoes, 'message')} came back{_calls_on_connections(run)}"
    )


def _calls_on_connections(run: Run) -> str:
    """What reading and writing calls did with the data, as an addition to evidence; "" where none read a socket."""
    reads = [call for call in run.reads if call.socket]
    if not reads:
        return ""
    read, connections = sum(call.bytes for call in reads), {(call.thread, call.fd) for call in reads}
    sent = sum(call.bytes for call in run.calls(*syscalls.WRITES) if (call.thread, call.fd) in connections)
    words = f"; calls of the server read {count(read, 'byte')} and sent {sent:,}"
    sockets = len({call.socket for call in reads})
    return f"{words}; of {count(len(run.clients), 'client')} they read {sockets}" if sockets < len(run.clients) else words


ECHOES_EVERY_BYTE = Property(
    id="echoes-every-byte",
    statement="every byte that the clients send comes back",
    remedy="read all data that is there, send all of it, and keep what a short send left over",
    observe=observe,
)
