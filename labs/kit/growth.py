"""What one call of select, poll and epoll_wait costs with N descriptors, of which one is ready.

The calls are made by system call number: Python's own walk over its lists would grow with N as well. The ready socket is the
last of the descriptors, so that select and poll check all others first. Each figure is the fastest of many calls, the least
disturbed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select as python_select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

from labs.kit import asides
from labs.kit.lab import Finding, Run, confirmed, failed, refined, unavailable
from probes.measure.result import Call
from probes.words import count
from servers.kit.system import system_call

NOT_COUNTED = "this kernel takes no probe in its functions, so this evidence is indirect"
SIZES = (10, 100, 900)  # select ends at 1023
_STEEPER = 3  # times: caches hold the structures of few descriptors, so that many cost somewhat more each
_ROUNDS, _TIMES = 5, 60
# Seconds, ns. The long time-out never expires, as one descriptor is ready; the kernel writes back the rest after each call.
_SOON = (ctypes.c_long * 2)(1_000_000, 0)
_NOW = (ctypes.c_long * 2)(0, 0)


def measure() -> dict[str, Any]:
    """Ns of one call: {"growth": {"select": {"10": ns, ...}, "select, no wait": ..., "poll": ..., "epoll": ...}}.

    "no wait" has a time-out of 0: the kernel then calls the poll methods without a queue function, and makes no entry in a wait
    queue (fs/select.c: do_select).
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < SIZES[-1] + 100:
        return {"growth_skipped": f"RLIMIT_NOFILE allows {hard} descriptors only; ulimit -Hn 4096 allows enough"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    growth: dict[str, dict[str, int]] = {}
    for size in SIZES * _ROUNDS:  # in several rounds: a machine may be busy throughout one of them
        for name, ns in _calls(size).items():
            costs = growth.setdefault(name, {})
            costs[str(size)] = min(ns, costs.get(str(size), ns))
    return {"growth": growth}


def _calls(size: int) -> dict[str, int]:
    """The fastest call of each kind with `size` descriptors, ns."""
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(size - 1)]
        ready = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        ready.bind(("127.0.0.1", 0))
        ready.sendto(b"x", ready.getsockname())
        ready.recv(1, socket.MSG_PEEK)  # on a busy machine it may arrive a moment later
        fds = [sock.fileno() for sock in [*idle, ready]]
        wanted, nfds = bytearray(128), max(fds) + 1
        for fd in fds:
            wanted[fd // 8] |= 1 << fd % 8
        source, sets = bytes(wanted), ctypes.create_string_buffer(128)
        array = b"".join(struct.pack("ihh", fd, python_select.POLLIN, 0) for fd in fds)
        entries = ctypes.create_string_buffer(array, len(array))
        epoll = stack.enter_context(contextlib.closing(python_select.epoll()))
        for fd in fds:
            epoll.register(fd, python_select.EPOLLIN)
        events = ctypes.create_string_buffer(12 * 16)

        def select(timeout: Any) -> int:
            ctypes.memmove(sets, source, 128)  # the last call overwrote the sets with its result
            return system_call("pselect6", nfds, sets, None, None, timeout, None)

        return {
            "select": _fastest(lambda: select(_SOON)),
            "select, no wait": _fastest(lambda: select(_NOW)),
            "poll": _fastest(lambda: system_call("ppoll", entries, size, _SOON, None, 0)),
            "poll, no wait": _fastest(lambda: system_call("ppoll", entries, size, _NOW, None, 0)),
            "epoll": _fastest(lambda: system_call("epoll_pwait", epoll.fileno(), events, 16, 1000, None, 8)),
        }


def _fastest(call: Callable[[], int]) -> int:
    assert call() == 1
    best = 1 << 62
    for _ in range(_TIMES):
        begin = time.perf_counter_ns()
        call()
        best = min(best, time.perf_counter_ns() - begin)
    return best


def limit() -> dict[str, Any]:
    """How many descriptors one epoll takes until a call fails, and the system's own limits."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 256:
        return {}
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    registered, refused = 0, ""
    with contextlib.closing(python_select.epoll()) as epoll:
        reader, writer = os.pipe()
        own = [reader, writer]
        try:
            while True:
                own.append(os.dup(reader))
                epoll.register(own[-1], python_select.EPOLLIN)
                registered += 1
        except OSError as error:
            refused = f"{os.strerror(error.errno or 0)} from {'dup' if len(own) == registered + 2 else 'epoll_ctl'}"
        for fd in own:
            os.close(fd)
    return {
        "limit": {
            "nofile": 256,
            "taken": registered,
            "refused": refused,
            "file_max": _number("/proc/sys/fs/file-max"),
            "watches": _number("/proc/sys/fs/epoll/max_user_watches"),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        }
    }


def _number(path: str) -> int | None:
    try:
        with open(path) as file:  # noqa: PTH123
            return int(file.read())
    except OSError:
        return None


# -- the findings -------------------------------------------------------------------------------------------------------


def cost_grows(run: Run, name: str, calls: list[Call]) -> Finding:
    """The cost of a call grows in proportion: with the most descriptors they cause more than half of it, and a further
    descriptor costs about as much among many as among few. A cost that grew with the square would be 9 times as steep.
    """
    if lacking := missing(run, name, calls):
        return lacking
    costs = costs_of(run, name)
    few, many = _slopes(costs)
    evidence = f"{words(name, costs)}; each further descriptor costs {few / 1e3:.2f} us among {SIZES[0]} to {SIZES[1]}"
    evidence += f" and {many / 1e3:.2f} us among {SIZES[1]} to {SIZES[2]}"
    linear = few > 0 and 1 / _STEEPER < many / few < _STEEPER
    return (confirmed if share_of_descriptors(costs) > 0.5 and linear else failed)(evidence)


def cost_stays(run: Run, calls: list[Call]) -> Finding:
    """The cost of epoll_wait does not grow with the descriptors: with the most of them, they cause less than half of it."""
    if lacking := missing(run, "epoll_wait", calls):
        return lacking
    costs = costs_of(run, "epoll")
    evidence = f"{words('epoll_wait', costs)}; {words('select', costs_of(run, 'select'))}"
    return (confirmed if share_of_descriptors(costs) < 0.5 else failed)(evidence)


def limited_by_files(run: Run, calls: list[Call]) -> Finding:
    """Registering ended when the process had no more descriptors; the evidence names the other limits."""
    if (limits := asides.of(run).limit) is None:
        return unavailable(asides.NOT_RUN)
    if not calls:
        return failed("this server made 0 calls of epoll_wait")
    evidence = (
        f"with RLIMIT_NOFILE {limits.nofile}, epoll took {count(limits.taken, 'descriptor')}; the next failed: {limits.refused}"
    )
    if not limits.taken or not limits.refused.endswith("dup"):
        return failed(evidence)
    memory = limits.memory_bytes / 1e9
    if limits.file_max:
        per_gb = limits.file_max / memory
        evidence += f"; this machine has {memory:.0f} GB of memory and file-max {limits.file_max:,}"
        evidence += f" ({per_gb:,.0f} per GB)" if per_gb < 1e6 else ": its limit does not depend on the memory"
    if limits.watches:
        return refined(f"{evidence}; epoll has another limit, max_user_watches {limits.watches:,}")
    return confirmed(evidence)


def missing(run: Run, name: str, calls: list[Call]) -> Finding | None:
    """The finding where there is nothing to compare: no such call, or no experiment beside the traffic."""
    if not calls:
        return failed(f"this server made 0 calls of {name}")
    aside = asides.of(run)
    return unavailable(aside.growth_skipped or asides.NOT_RUN) if aside.growth is None else None


def costs_of(run: Run, name: str) -> Mapping[str, int]:
    """What a call costs, ns, by the number of its descriptors. `missing` has found that the experiment ran."""
    return (asides.of(run).growth or {})[name]


def share_of_descriptors(costs: Mapping[str, int]) -> float:
    """Of the cost with the most descriptors, the share that the call with the fewest does not have."""
    few, many = costs[str(SIZES[0])], costs[str(SIZES[2])]
    return 1 - few / many if many > 0 else 0


def _slopes(costs: Mapping[str, int]) -> tuple[float, float]:
    """What each further descriptor costs, ns: among few, and among many."""
    few, middle, many = (costs[str(size)] for size in SIZES)
    return (middle - few) / (SIZES[1] - SIZES[0]), (many - middle) / (SIZES[2] - SIZES[1])


def words(name: str, costs: Mapping[str, int]) -> str:
    """The costs by the number of descriptors, in a phrase."""
    durations = ", ".join(f"{ns / 1e3:.1f}" for ns in costs.values())
    return f"{name} with {', '.join(costs)} descriptors: {durations} us"
