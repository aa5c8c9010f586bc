"""System calls by number, for those that the C library has no function for."""

from __future__ import annotations

import ctypes
import os
import platform

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
# By architecture (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h); io_uring's are the same on all.
_NUMBERS = {
    "x86_64": {
        "io_setup": 206, "io_destroy": 207, "io_getevents": 208, "io_submit": 209,
        "pselect6": 270, "ppoll": 271, "epoll_pwait": 281,
    },
    "aarch64": {
        "io_setup": 0, "io_destroy": 1, "io_submit": 2, "io_getevents": 4,
        "pselect6": 72, "ppoll": 73, "epoll_pwait": 22,
    },
}.get(platform.machine(), {}) | {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}  # fmt: skip


def system_call(name: str, *arguments: object) -> int:
    """Makes the system call; its result. Raises OSError with its errno. Integers are passed as long, the rest as it is."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = _libc.syscall(ctypes.c_long(_NUMBERS[name]), *wide)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
