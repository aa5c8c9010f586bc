"""Waiting for signals without losing one: they are blocked throughout, and taken only by sigwaitinfo.

With a handler instead, a signal that comes after the last look and before the process goes to sleep would wake nobody. That
holds for the signal that ends the server, too: it is waited for together with the others.
"""

from __future__ import annotations

import signal

_ENDINGS = {signal.SIGTERM, signal.SIGINT}


def block(signals: set[int]) -> None:
    """From here on these signals, and those that end the server, are only seen by `take`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals | _ENDINGS)


def take(signals: set[int]) -> signal.struct_siginfo:
    """Sleeps until one of them is there. Ends the server, by SystemExit, on SIGTERM and SIGINT."""
    info = signal.sigwaitinfo(signals | _ENDINGS)
    if info.si_signo in _ENDINGS:
        raise SystemExit
    return info
