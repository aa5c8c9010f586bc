"""What one call of select and one of poll cost on the same descriptors: a few or many, with low or high numbers.

select brings a bit for each number up to the highest, for each of its sets, and the kernel passes over 64 numbers at a time of
which no set has one. poll brings 8 bytes for each descriptor that it names. Both then poll the same descriptors, of which the
last one is ready. Each figure is the fastest of many calls, in rounds that take turns.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select as python_select
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labs.kit import asides
from labs.kit.lab import Finding, Run, confirmed, failed, refined, refuted, unavailable
from probes.measure import result
from servers.kit.system import system_call

# By name: how many descriptors, and the highest of their numbers. The middle one is the highest that a C program may select.
SHAPES = {
    "10 descriptors up to 1,023": (10, 1023),
    "10 descriptors up to 10,000": (10, 10_000),
    "900 descriptors up to 1,023": (900, 1023),
}
CHEAPER = 1.1  # times the cost of the other call: less is within the spread of these figures
_ROUNDS, _TIMES = 5, 100
_NOW = (ctypes.c_long * 2)(0, 0)


def measure() -> dict[str, Any]:
    """Ns of one call with time-out 0: {"efficiency": {"10 descriptors up to 1,023": {"select": ns, "poll": ns}, ...}}.

    Shapes that RLIMIT_NOFILE does not allow are left out.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = {name: shape for name, shape in SHAPES.items() if shape[1] < hard}
    highest = max((high for _number, high in allowed.values()), default=0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(_soft, highest + 1), hard))
    costs: dict[str, dict[str, int]] = {}
    for name, (number, high) in allowed.items():
        with _descriptors(number, high) as fds:
            calls = {"select": _select(fds), "poll": _poll(fds)}
            for _ in range(_ROUNDS):
                for call, make in calls.items():
                    best = costs.setdefault(name, {})
                    best[call] = min(best.get(call, 1 << 62), _fastest(make))
    return {"efficiency": costs}


@dataclass(frozen=True)
class Call:
    """A system call, and what its caller does before each: the time of `make` alone counts."""

    prepare: Callable[[], object]
    make: Callable[[], int]


@contextlib.contextmanager
def _descriptors(number: int, high: int) -> Iterator[list[int]]:
    """Duplicates of an empty pipe's reader, and of a full one's with the highest number."""
    (empty, _one), (full, writer) = os.pipe(), os.pipe()
    os.write(writer, b"x")
    fds = [*(os.dup2(empty, fd) for fd in range(high - number + 1, high)), os.dup2(full, high)]
    try:
        yield fds
    finally:
        for fd in (*fds, empty, _one, full, writer):
            os.close(fd)


def _select(fds: Sequence[int]) -> Call:
    nfds = max(fds) + 1
    wanted = bytearray((nfds // 64 + 1) * 8)
    for fd in fds:
        wanted[fd // 8] |= 1 << fd % 8
    source, sets = bytes(wanted), ctypes.create_string_buffer(len(wanted))
    return Call(
        lambda: ctypes.memmove(sets, source, len(source)),  # the last call overwrote the set
        lambda: system_call("pselect6", nfds, sets, None, None, _NOW, None),
    )


def _poll(fds: Sequence[int]) -> Call:
    array = b"".join(struct.pack("ihh", fd, python_select.POLLIN, 0) for fd in fds)
    entries = ctypes.create_string_buffer(array, len(array))
    number = len(fds)
    return Call(lambda: None, lambda: system_call("ppoll", entries, number, _NOW, None, 0))


def _fastest(call: Call) -> int:
    best = 1 << 62
    for _ in range(_TIMES):
        call.prepare()
        begin = time.perf_counter_ns()
        ready = call.make()
        best = min(best, time.perf_counter_ns() - begin)
        assert ready == 1
    return best


def poll_is_cheaper(run: Run, calls: list[result.Call]) -> Finding:
    """A call of poll costs less than a call of select on the same descriptors. The evidence has the cost for each shape of the
    set.
    """
    if not calls:
        return failed("this server made 0 calls of poll")
    shapes = asides.of(run).efficiency or {}
    if len(shapes) < 2:
        return unavailable("RLIMIT_NOFILE allows too few descriptors: ulimit -Hn 16384 allows enough")
    ratios = {name: costs.select / costs.poll for name, costs in shapes.items()}
    words = "; ".join(
        f"{name}: select {costs.select / 1e3:.1f} us, poll {costs.poll / 1e3:.1f} us (x{ratios[name]:.2f})"
        for name, costs in shapes.items()
    )
    cheaper = [name for name, ratio in ratios.items() if ratio > CHEAPER]
    if len(cheaper) == len(ratios):
        return confirmed(words)
    if cheaper:
        return refined(f"{words}. poll is cheaper by a tenth or more for {' and '.join(cheaper)} only")
    return refuted(words)
