"""The calls of prctl(2) with which a process of iolab asks to be followed, to end with its parent, or to be renamed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

MARKER = 0x494F4C41  # "IOLA"
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def _prctl(option: int, argument: int) -> None:
    ctypes.CDLL(None).prctl(*(ctypes.c_long(word) for word in (option, argument, 0, 0, 0)))


def new_cookie() -> int:
    """A secret number, which no other process presents by chance."""
    return int.from_bytes(os.urandom(7), "little") | 1  # the module secrets would load OpenSSL into each server


@contextlib.contextmanager
def handed_over(cookie: int) -> Iterator[int]:
    """A descriptor that one process inherits, and from which it reads the cookie (`read_invitation`).

    Other users can read a command line; each process of the same user can read the environment, too (proc(5)). A pipe can be
    read only by a process that inherits it, by root, and by a process that may trace its owner.
    """
    reader, writer = os.pipe()
    try:
        os.write(writer, str(cookie).encode())
        os.close(writer)
        yield reader
    finally:
        os.close(reader)


def read_invitation(descriptor: int) -> int:
    """The cookie from the pipe of `handed_over`. The descriptor is closed."""
    with os.fdopen(descriptor, "rb") as pipe:
        return int(pipe.read())


def follow_me(cookie: int) -> None:
    """Asks the probes to follow the calling thread, and all that it starts, from the return of this call on.

    BPF sees thread ids of the initial pid namespace, a process in a container sees those of its own. So the thread itself
    makes a system call: the kernel has no option MARKER and returns EINVAL, and the probe at sys_enter finds the cookie in the
    arguments. The thread to follow is the current thread there.
    """
    _prctl(MARKER, cookie)


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
