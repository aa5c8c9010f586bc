"""The calls of prctl(2) with which a server sets its name, asks to be followed, and ends with its parent."""

from __future__ import annotations

import ctypes
import os
import signal

_FOLLOW_ME = 0x494F4C41  # "IOLA": no option of the kernel's (EINVAL), but the probes see the call (probes/capture/prctl.py)
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def _prctl(option: int, argument: int) -> None:
    ctypes.CDLL(None).prctl(*(ctypes.c_long(word) for word in (option, argument, 0, 0, 0)))


def read_invitation(descriptor: int) -> int:
    """The cookie that the starter of this process wrote into a pipe for it; the descriptor is closed."""
    with os.fdopen(descriptor, "rb") as pipe:
        return int(pipe.read())


def follow_me(cookie: int) -> None:
    """Asks the probes to follow the calling thread, and all that it starts, from the return of this call on."""
    _prctl(_FOLLOW_ME, cookie)


def end_with_parent(parent: int) -> None:
    """Makes the kernel kill the calling process when the thread that started it ends (PR_SET_PDEATHSIG).

    `parent` is the process id of that thread. If it has ended already, the calling process ends now.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def name_me(name: str) -> None:
    """Sets the name of the calling thread (comm, at most 15 bytes), as ps and the reports show it."""
    ctypes.CDLL(None).prctl(ctypes.c_long(_PR_SET_NAME), ctypes.c_char_p(name.encode()[:15]))
