"""Waiting for signals without a race: the signals stay blocked, and only sigwaitinfo takes them.

With a signal handler, a signal between the server's last check and its sleep would not end the sleep. The same is true for the
signal that ends the server, so the server waits for that signal together with the others.
"""

from __future__ import annotations

import signal

_ENDINGS = {signal.SIGTERM, signal.SIGINT}


def block(signals: set[int]) -> None:
    """Blocks these signals and the signals that end the server. From now on only `take` receives them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals | _ENDINGS)


def take(signals: set[int]) -> signal.struct_siginfo:
    """Sleeps until one of these signals is pending, and takes it. Raises SystemExit for SIGTERM and SIGINT."""
    info = signal.sigwaitinfo(signals | _ENDINGS)
    if info.si_signo in _ENDINGS:
        raise SystemExit
    return info
