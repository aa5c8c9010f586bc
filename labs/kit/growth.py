"""What one wait costs against the number of descriptors: select, poll and epoll asked about N sockets, of which one is ready.

By system call number, without Python's own walk over lists, which would grow as well. The socket that is ready is the last
one, so select and poll pass all the others first. Each figure is the fastest of many calls: the least disturbed.
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
from collections.abc import Callable
from typing import Any

from labs.kit.lab import Finding, Run, confirmed, failed, refined, unavailable
from probes.measure.result import Call
from servers.kit.system import system_call

NOT_COUNTED = "where fentry or kprobes can be attached, it is counted"
SIZES = (10, 100, 900)  # select ends at 1023
_ROUNDS, _TIMES = 5, 60
# Seconds, ns: a time-out that never comes, as one descriptor is ready; the kernel writes back what is left after each call.
_SOON = (ctypes.c_long * 2)(1_000_000, 0)
_NOW = (ctypes.c_long * 2)(0, 0)


def measure() -> dict[str, Any]:
    """Ns of one call: {"growth": {"select": {"10": ns, ...}, "select, no wait": ..., "poll": ..., "epoll": ...}}.

    "no wait" is with a time-out of 0: then the kernel asks the descriptors but joins no wait queue (fs/select.c: do_select
    gives the poll method no queue function).
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < SIZES[-1] + 100:
        return {"growth_skipped": f"RLIMIT_NOFILE allows {hard} descriptors only: ulimit -Hn 4096 shows it"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    found: dict[str, dict[str, int]] = {}
    for size in SIZES * _ROUNDS:  # at several times: a busy machine may be busy throughout one
        for name, ns in _calls(size).items():
            costs = found.setdefault(name, {})
            costs[str(size)] = min(ns, costs.get(str(size), ns))
    return {"growth": found}


def _calls(size: int) -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(size - 1)]
        ready = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        ready.bind(("127.0.0.1", 0))
        ready.sendto(b"x", ready.getsockname())
        ready.recv(1, socket.MSG_PEEK)  # a busy machine may deliver it a moment later
        fds = [one.fileno() for one in [*idle, ready]]
        wish = bytearray(128)
        for fd in fds:
            wish[fd // 8] |= 1 << fd % 8
        source, sets = bytes(wish), ctypes.create_string_buffer(128)
        array = b"".join(struct.pack("ihh", fd, python_select.POLLIN, 0) for fd in fds)
        entries = ctypes.create_string_buffer(array, len(array))
        epoll = stack.enter_context(contextlib.closing(python_select.epoll()))
        for fd in fds:
            epoll.register(fd, python_select.EPOLLIN)
        events = ctypes.create_string_buffer(12 * 16)

        def select(timeout: Any) -> int:
            ctypes.memmove(sets, source, 128)  # the answer took the wish's place
            return system_call("pselect6", max(fds) + 1, sets, None, None, timeout, None)

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
    """How many descriptors one epoll takes before something is refused, and what the system's own limits are."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 256:
        return {}
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken, refused = 0, ""
    with contextlib.closing(python_select.epoll()) as epoll:
        reader, writer = os.pipe()
        own = [reader, writer]
        try:
            while True:
                own.append(os.dup(reader))
                epoll.register(own[-1], python_select.EPOLLIN)
                taken += 1
        except OSError as error:
            refused = f"{os.strerror(error.errno or 0)} from {'dup' if len(own) == taken + 2 else 'epoll_ctl'}"
        for fd in own:
            os.close(fd)
    return {
        "limit": {
            "nofile": 256,
            "taken": taken,
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


# -- findings on it -----------------------------------------------------------------------------------------------------


def grows(run: Run, call: str, calls: list[Call]) -> Finding:
    """The cost of one call grows with the number of descriptors: at the most of them, most of it is theirs."""
    if missing := _missing(run, call, calls):
        return missing
    costs = run.aside["growth"][call]
    return (confirmed if _theirs(costs) > 0.5 else failed)(_words(call, costs))


def stays(run: Run, calls: list[Call]) -> Finding:
    """The cost of epoll_wait stays the same."""
    if missing := _missing(run, "epoll", calls):
        return missing
    costs = run.aside["growth"]["epoll"]
    words = f"{_words('epoll', costs)}; {_words('select', run.aside['growth']['select'])}"
    return (confirmed if _theirs(costs) < 0.5 else failed)(words)


def asks_all(run: Run, call: str, calls: list[Call]) -> Finding:
    """Every call asks every descriptor (its poll method): counted, else by the cost of a call that joins no queue."""
    if missing := _missing(run, call, calls):
        return missing
    if counted := _counted(run, calls):
        whole = [one for one, watched in counted if one.polled and one.polled % watched == 0]
        found = (
            f"{sum(one.polled or 0 for one, _ in counted):,} descriptors asked by {len(counted)} calls; {len(whole)} of them"
        )
        found += " asked all that they watched, once or after the wake-up once more"
        return (confirmed if len(whole) >= 0.9 * len(counted) else failed)(found)
    costs = run.aside["growth"][f"{call}, no wait"]
    found = f"asked without waiting, {_words(call, costs)}: as if each were asked; {NOT_COUNTED}"
    return (refined if _theirs(costs) > 0.5 else failed)(found)


def joins_all(run: Run, call: str, calls: list[Call]) -> Finding:
    """A call that may wait joins every wait queue: counted, else shown by the wake-ups and by what the joining costs."""
    if missing := _missing(run, call, calls):
        return missing
    if counted := [(one, watched) for one, watched in _counted(run, calls) if one.sleeps]:
        joined = [one for one, watched in counted if one.queued == one.unqueued == watched]
        found = (
            f"{sum(one.queued or 0 for one, _ in counted):,} entries made in wait queues by {len(counted)} calls that slept,"
        )
        found += (
            f" {sum(one.unqueued or 0 for one, _ in counted):,} taken out again; {len(joined)} joined and left the queue of"
        )
        found += " every descriptor that they watched"
        return (confirmed if len(joined) >= 0.9 * len(counted) else failed)(found)
    sockets = {one.socket for one in run.result.messages if one.notified_by in {two.name for two in calls}}
    woken = [s for one in calls for s in one.sleeps if s.waker and "pollwake" in s.waker.stack]
    growth = run.aside["growth"]
    joining = {size: ns - growth[f"{call}, no wait"][size] for size, ns in growth[call].items()}
    found = f"{len(woken)} wake-ups came through pollwake, for messages of {len(sockets)} sockets; what a call that may wait"
    found += f" costs more than one that may not, and joins no queue: {_words(call, joining)}; {NOT_COUNTED}"
    good = (
        len(woken) > 1
        and (len(sockets) > 1 or run.udp)
        and joining[str(SIZES[2])] - joining[str(SIZES[0])] > 0.2 * growth[call][str(SIZES[2])]
    )
    return (refined if good else failed)(found)


def limited(run: Run, calls: list[Call]) -> Finding:
    """Registering ended with the process's descriptors; what else limits it is told."""
    if "limit" not in run.aside:
        return unavailable("the experiment beside the traffic did not run")
    if not calls:
        return failed("this server made 0 calls of epoll_wait")
    told = run.aside["limit"]
    found = f"RLIMIT_NOFILE {told['nofile']}: {told['taken']} registered, then {told['refused']}"
    if not told["taken"] or not told["refused"].endswith("dup"):
        return failed(found)
    memory = told["memory_bytes"] / 1e9
    if told["file_max"]:
        each = told["file_max"] / memory
        found += f"; {memory:.0f} GB of memory here, file-max {told['file_max']:,}"
        found += f" ({each:,.0f} for each GB)" if each < 1e6 else ": this system sets no limit by memory"
    if told["watches"]:
        return refined(f"{found}; epoll has a limit of its own besides, max_user_watches {told['watches']:,}")
    return confirmed(found)


def _missing(run: Run, call: str, calls: list[Call]) -> Finding | None:
    if not calls:
        return failed(f"this server made 0 calls of {call}")
    if "growth" not in run.aside:
        return unavailable(str(run.aside.get("growth_skipped", "the experiment beside the traffic did not run")))
    return None


def _counted(run: Run, calls: list[Call]) -> list[tuple[Call, int]]:
    """The calls whose poll methods a probe counted, each with how many descriptors it watched: the listener, and what was open.

    A call that was interrupted by the end is left out, and one of a run.
    """
    mine = {id(one) for one in calls if one.polled is not None and one.histogram is None}
    accepted = {id(one) for one in run.connections}
    opened: set[int] = set()
    found = []
    for call in run.result.calls:
        if id(call) in mine:
            found.append((call, 1 + len(opened)))
        elif id(call) in accepted and call.result is not None:
            opened.add(call.result)
        elif call.name == "close" and call.fd is not None:
            opened.discard(call.fd)
    return found


def _theirs(costs: dict[str, int]) -> float:
    """The share of the cost with most descriptors that is not there with the fewest: what the descriptors cost."""
    few, many = costs[str(SIZES[0])], costs[str(SIZES[2])]
    return 1 - few / many if many > 0 else 0


def _words(call: str, costs: dict[str, int]) -> str:
    figures = ", ".join(f"{ns / 1e3:.1f}" for ns in costs.values())
    return f"one {call} with {', '.join(costs)} descriptors: {figures} us"
