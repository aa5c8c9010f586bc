"""The signals that end a run, held back while the run needs them as data.

A blocked signal stays pending, also where its disposition is to ignore it (kernel/signal.c, sig_ignored), and sigtimedwait(2)
takes it with its siginfo. No handler is installed, so a program that is started meanwhile inherits the user's dispositions.
"""

from __future__ import annotations

import signal

ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
_SI_KERNEL = 0x80  # si_code of a signal that the kernel sent: here, the terminal's driver (n_tty.c, isig)


class HeldSignals:
    """Blocks the signals of ENDING, and SIGCHLD, in the calling thread, which must be the main thread of the process.

    All other threads must block them, too: the kernel gives a signal to any thread that does not block it.
    """

    def __init__(self) -> None:
        self._before: set[int] | None = None

    def hold(self) -> None:
        """Blocks the signals from now on."""
        self._before = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ENDING | {signal.SIGCHLD})}

    def release(self) -> None:
        """Restores the signal mask. A signal that is pending then takes its usual effect."""
        if self._before is not None:
            before, self._before = self._before, None
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def blocked_before(self) -> set[int]:
        """The signals that were blocked before `hold`."""
        return self._before or set()

    def take(self, seconds: float) -> signal.struct_siginfo | None:
        """The next held signal; None if none comes within that time."""
        return signal.sigtimedwait(ENDING | {signal.SIGCHLD}, seconds)


def from_the_terminal(info: signal.struct_siginfo) -> bool:
    """Whether the kernel sent the signal to the whole foreground process group: for Ctrl-C or a hang-up, for example."""
    return info.si_code == _SI_KERNEL
