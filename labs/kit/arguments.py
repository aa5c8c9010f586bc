"""What a call of select or poll leaves in the memory of its arguments, and what a second call with this memory returns.

All calls are made by system call number: Python's select copies the lists of its caller into new sets for each call, and the C
library's pselect copies the time-out (man 2 select, C library/kernel differences).
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select as python_select
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from servers.kit.system import system_call

_LONG, _SHORT = 10_000_000, 20_000  # time-outs, us
_SET = 128  # bytes: 1,024 descriptors
_HIGH = 2000  # a descriptor above FD_SETSIZE


@dataclass(frozen=True)
class Overwritten:
    """What select left of its set and of its time-outs."""

    named: int = 0  # descriptors in the set before the first call
    left: int = 0  # and after it
    again: int = 0  # what a second call with the same set returned, after data had come for the other descriptor
    time_out_us: int = 0  # a time-out before a call that returned at once
    time_left_us: int = 0  # and after it
    expired_us: int = 0  # a time-out before a call in which it expired
    expired_left_us: int = 0  # and after it


@dataclass(frozen=True)
class Kept:
    """What poll left of its array and of its time-out."""

    events: int = 0  # of the ready descriptor, after the first call
    revents: int = 0
    first: int = 0  # what the first call returned
    again: int = 0  # what a second call with the same array returned, after data had come for the other descriptor
    high: int = 0  # a descriptor above FD_SETSIZE that poll took,
    high_ready: int = 0  # and what this call returned
    many: int = 0  # entries in one array, more than FD_SETSIZE,
    many_ready: int = 0  # and what this call returned; 0 of each where RLIMIT_NOFILE does not allow them
    too_many: int = 0  # entries above RLIMIT_NOFILE in one array,
    refused: str = ""  # and the error of this call


def of_select() -> dict[str, Any]:
    """Selects two pipes, a byte in one of them; then a byte in the other one, with the set as the first call left it."""
    (first, to_first), (second, to_second) = os.pipe(), os.pipe()
    os.write(to_first, b"x")
    sets = ctypes.create_string_buffer(_SET)
    for fd in (first, second):
        sets[fd // 8] = bytes((sets.raw[fd // 8] | 1 << fd % 8,))
    named, time_out = _named(sets), _time_out(_LONG)
    _select(sets, time_out)
    left = _named(sets)
    os.read(first, 1)
    os.write(to_second, b"x")
    again = _select(sets, _time_out(0))
    expiring = _time_out(_SHORT)
    _select(ctypes.create_string_buffer(_SET), expiring)
    return {
        "overwritten": asdict(
            Overwritten(
                named=named,
                left=left,
                again=again,
                time_out_us=_LONG,
                time_left_us=_us(time_out),
                expired_us=_SHORT,
                expired_left_us=_us(expiring),
            )
        )
    }


def of_poll() -> dict[str, Any]:
    """Polls two pipes in the same way; then a descriptor above 1023, more than 1,024 entries, and too many entries."""
    (first, to_first), (second, to_second) = os.pipe(), os.pipe()
    os.write(to_first, b"x")
    array = _array((first, second))
    ready = _poll(array, 2)
    _fd, events, revents = struct.unpack_from("ihh", array)
    os.read(first, 1)
    os.write(to_second, b"x")
    again = _poll(array, 2)
    allowed = _allow(_HIGH + 1)
    high_ready = many_ready = 0
    if allowed > _HIGH:
        os.dup2(second, _HIGH)
        high_ready = _poll(_array((_HIGH,)), 1)
        many_ready = _poll(_array((second,) * _HIGH), _HIGH)
    try:
        _poll(_array((second,) * (allowed + 1)), allowed + 1)
        refused = ""
    except OSError as error:
        refused = errno.errorcode.get(error.errno or 0, str(error))
    return {
        "kept": asdict(
            Kept(
                events=events,
                revents=revents,
                first=ready,
                again=again,
                high=_HIGH if high_ready else 0,
                high_ready=high_ready,
                many=_HIGH if many_ready else 0,
                many_ready=many_ready,
                too_many=allowed + 1,
                refused=refused,
            )
        )
    }


def _allow(descriptors: int) -> int:
    """Sets the soft RLIMIT_NOFILE to so many descriptors, or to the hard limit where that is lower; what it is then."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def _select(sets: Any, time_out: Any) -> int:
    return system_call("pselect6", 8 * _SET, sets, None, None, time_out, None)


def _poll(array: Any, entries: int) -> int:
    return system_call("ppoll", array, entries, _time_out(0), None, 0)


def _array(fds: Sequence[int]) -> Any:
    array = b"".join(struct.pack("ihh", fd, python_select.POLLIN, 0) for fd in fds)
    return ctypes.create_string_buffer(array, len(array))


def _named(sets: Any) -> int:
    return sum(byte.bit_count() for byte in sets.raw)


def _time_out(us: int) -> Any:
    return (ctypes.c_long * 2)(us // 1_000_000, us % 1_000_000 * 1000)


def _us(time_out: Any) -> int:
    return int(time_out[0]) * 1_000_000 + int(time_out[1]) // 1000
