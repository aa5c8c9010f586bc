"""System calls by number, for those that the C library has no function for."""

from __future__ import annotations

import ctypes
import os
import platform

from probes.syscalls import numbers

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_NUMBERS = numbers(platform.machine())  # read here, at import: a server's own calls are to be the model's only


def system_call(name: str, *arguments: object) -> int:
    """Makes the system call; its result. Raises OSError with its errno. Integers are passed as long, the rest as it is."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = _libc.syscall(ctypes.c_long(_NUMBERS[name]), *wide)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
