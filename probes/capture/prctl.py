"""What a process of ours says to the kernel about itself, by prctl: follow me; end me with my parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

MARKER = 0x494F4C41  # "IOLA"
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def _prctl(option: int, argument: int) -> None:
    ctypes.CDLL(None).prctl(*(ctypes.c_long(one) for one in (option, argument, 0, 0, 0)))


def new_cookie() -> int:
    """A number that no other process will say by chance."""
    return int.from_bytes(os.urandom(7), "little") | 1  # not by the module secrets, whose OpenSSL every server would load


@contextlib.contextmanager
def handed_over(cookie: int) -> Iterator[int]:
    """A descriptor to inherit, from which one process reads the cookie (`read_invitation`).

    A command line and an environment can be read by others (proc(5)), a pipe by nobody but its owner and root.
    """
    reader, writer = os.pipe()
    try:
        os.write(writer, str(cookie).encode())
        os.close(writer)
        yield reader
    finally:
        os.close(reader)


def read_invitation(descriptor: int) -> int:
    """The cookie that was handed over on this descriptor, which is closed."""
    with os.fdopen(descriptor, "rb") as pipe:
        return int(pipe.read())


def follow_me(cookie: int) -> None:
    """Asks to be followed: from the return of this call on, the calling thread and all that it starts are.

    BPF sees the host's thread ids, a process in a container its own. So the process makes a system call that means nothing
    to anybody else: the kernel knows no option MARKER and answers EINVAL, but the instrument, attached at sys_enter, finds
    its cookie in the arguments, and the thread that said it is the current one.
    """
    _prctl(MARKER, cookie)


def end_with_parent(parent: int) -> None:
    """From here on the kernel kills the calling process when the thread that started it ends, however it ends.

    `parent` is that thread's process: if it has ended already, the calling process ends here and now.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def name_me(name: str) -> None:
    """Sets the calling thread's name (comm, at most 15 bytes), as ps and the reports show it."""
    ctypes.CDLL(None).prctl(ctypes.c_long(_PR_SET_NAME), ctypes.c_char_p(name.encode()[:15]))
