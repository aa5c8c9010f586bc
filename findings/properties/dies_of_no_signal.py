"""No error signal kills a process: no signal that the process's own error brings, such as SIGSEGV, SIGABRT or SIGPIPE."""

from __future__ import annotations

import collections
from signal import Signals

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.threads.processes import Death, deaths, processes
from findings.view import Run
from probes.words import count, visible

# The kernel sends these for a fault of the program (signal(7)); abort sends SIGABRT. A user or a
# program sends the others, to end this program.
_OF_A_FAULT = {
    Signals.SIGPIPE, Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGFPE, Signals.SIGILL, Signals.SIGABRT, Signals.SIGSYS,
    Signals.SIGTRAP, Signals.SIGXCPU, Signals.SIGXFSZ,
}  # fmt: skip


def observe(run: Run) -> Observation:
    """Names the signal of each process that ended without exit, as far as the calls show it."""
    of_all = processes(run)
    ended = [process for process in of_all if process.ended]
    if not ended:
        return not_shown("no process ended while it was recorded")
    killed = deaths(run)
    faults = [death for death in killed if death.signal in _OF_A_FAULT and death.sender is None]
    if not faults:
        wanted = [death for death in killed if death.signal is not None]
        unknown = len(killed) - len(wanted)
        words = f"{len(ended) - len(killed):,} of {count(len(of_all), 'process')} ended by exit"
        words += "".join(f"; {count(number, 'process')} by {name}" for name, number in _signals(wanted).items())
        return held(words + (f"; {count(unknown, 'process')} by a signal that no record names" if unknown else ""))
    counted = ", ".join(f"{name} ended {count(number, 'process')}" for name, number in _signals(faults).items())
    worst = faults[0]
    last = _last(worst)
    names = ", ".join(sorted({visible(death.process.first.name) for death in faults}))
    return broken(
        f"{counted} ({names}){last}",
        places=[
            place_of(
                death.process.first,
                death.call.name if death.call else None,
                death.call.fd if death.call else None,
                death.process.end,
                Cost(calls=1),
            )
            for death in faults
        ],
    )


def _signals(found: list[Death]) -> dict[str, int]:
    return dict(collections.Counter(death.signal.name for death in found if death.signal).most_common())


def _last(death: Death) -> str:
    """The last call, where it explains the signal."""
    if death.call is None or death.signal is not Signals.SIGPIPE:
        return ""
    return f"; the last call was {death.call.name} on descriptor {death.call.fd}, whose peer had closed the connection (EPIPE)"


DIES_OF_NO_SIGNAL = Property(
    id="dies-of-no-signal",
    statement="no error signal kills a process (SIGSEGV, SIGPIPE and the like)",
    fault="an error signal killed a process",
    remedy="ignore SIGPIPE or send with MSG_NOSIGNAL, and handle EPIPE; look into a core dump for the other signals",
    observe=observe,
    gravity=Gravity.LOST,
)
