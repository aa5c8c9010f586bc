"""System calls by number, for calls without a function in Python's standard library."""

from __future__ import annotations

import ctypes
import os
import platform

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
# The numbers differ by architecture (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). io_uring's
# numbers are the same on both.
_NUMBERS = {
    "x86_64": {
        "io_setup": 206, "io_destroy": 207, "io_getevents": 208, "io_submit": 209,
        "pselect6": 270, "ppoll": 271, "epoll_pwait": 281, "signalfd4": 289,
    },
    "aarch64": {
        "io_setup": 0, "io_destroy": 1, "io_submit": 2, "io_getevents": 4,
        "pselect6": 72, "ppoll": 73, "epoll_pwait": 22, "signalfd4": 74,
    },
}.get(platform.machine(), {}) | {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}  # fmt: skip


def system_call(name: str, *arguments: object) -> int:
    """Makes the system call and returns its result. Raises OSError with the errno of the call.

    Integers are passed as C long. Other arguments are passed unchanged.
    """
    wide = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result: int = _libc.syscall(ctypes.c_long(_NUMBERS[name]), *wide)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
