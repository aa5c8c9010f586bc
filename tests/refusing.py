"""`python -m tests.refusing NUMBER ERRNO CMD ARGS`: runs CMD under a seccomp filter that answers one system call with an error.

As a container's filter does it, or an older kernel (man 2 seccomp).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_SET_SECCOMP, _SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x50000, 0x7FFF0000


def refuse(number: int, error: int) -> None:
    """From now on the call of that number fails with this errno, in this process and in the programs that it executes."""
    steps = [(_LOAD, 0, 0, 0), (_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc, zero = ctypes.CDLL(None, use_errno=True), ctypes.c_long(0)
    for line in ((_SET_NO_NEW_PRIVS, ctypes.c_long(1), zero, zero, zero), (_SET_SECCOMP, ctypes.c_long(_FILTER), program)):
        if libc.prctl(*line):
            raise OSError(ctypes.get_errno(), "no seccomp filter here")


if __name__ == "__main__":
    refuse(int(sys.argv[1]), int(sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])
