"""What 10, 100 and 200 threads or processes cost: CPU time to create them, memory, and switches for a message each.

Each crowd has a forked process of its own, so that it finds no stack and no page of the crowd before.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from findings.evidence import created
from labs.kit import asides
from labs.kit.asides import CROWDS, Crowd
from labs.kit.lab import Finding, Run, confirmed, failed, refuted, unavailable
from probes.words import count, plural
from servers.kit.process import end_with_parent

_GROWS = 5  # the largest crowd is 20 times as large as the smallest; a busy machine may stretch the smaller figure
_ROUNDS = 3  # of the smallest crowd: the least disturbed counts


def threads() -> dict[str, Any]:
    """{"crowd": {"thread": {"10": {"cpu_ns": ..., "bytes": ..., "switches": ...}, ...}}}."""
    return _measured("thread", _threads)


def processes() -> dict[str, Any]:
    """The same of processes."""
    return _measured("process", _processes)


def _measured(unit: str, crowd: Callable[[int], dict[str, int]]) -> dict[str, Any]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CROWDS[-1] + 100
    if hard != resource.RLIM_INFINITY and hard < needed:
        return {"crowd_skipped": f"RLIMIT_NOFILE allows {hard} descriptors only; ulimit -Hn {needed} allows enough"}
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        few = min((_apart(crowd, CROWDS[0]) for _ in range(_ROUNDS)), key=lambda costs: costs["cpu_ns"])
        return {"crowd": {unit: {str(CROWDS[0]): few} | {str(size): _apart(crowd, size) for size in CROWDS[1:]}}}
    except OSError as error:
        return {"crowd_skipped": f"this machine does not allow {count(CROWDS[-1], unit)}: {error}"}


def _apart(crowd: Callable[[int], dict[str, int]], size: int) -> dict[str, int]:
    """What a crowd costs, measured in a forked process. Raises OSError if that process failed."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writer, json.dumps(crowd(size)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise OSError(f"the process with {size} of them failed")
    costs: dict[str, int] = json.loads(answer)
    return costs


def _work(sock: socket.socket, done: int) -> None:
    """Sleeps in recv until a message comes, and reports it in a pipe that all share."""
    while sock.recv(1):
        os.write(done, b"x")


def _threads(size: int) -> dict[str, int]:
    crowd, pid = _Crowd(size), os.getpid()
    before = _memory(pid)
    begin = time.process_time_ns()
    for sock in crowd.theirs:
        threading.Thread(target=_work, args=(sock, crowd.done), daemon=True).start()
    ns = time.process_time_ns() - begin
    crowd.message_each()
    tasks = [f"/proc/self/task/{name}" for name in os.listdir("/proc/self/task") if int(name) != pid]
    return {"cpu_ns": ns, "bytes": _memory(pid) - before, "switches": crowd.switches(tasks)}


def _processes(size: int) -> dict[str, int]:
    crowd, pid = _Crowd(size), os.getpid()
    before = _memory(pid)
    children = []
    begin = time.process_time_ns()
    for sock in crowd.theirs:
        if (child := os.fork()) == 0:
            end_with_parent(pid)
            _work(sock, crowd.done)
        children.append(child)
    ns = time.process_time_ns() - begin
    crowd.message_each()
    memory = sum(map(_memory, [pid, *children])) - before
    switches = crowd.switches([f"/proc/{child}" for child in children])
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return {"cpu_ns": ns, "bytes": memory, "switches": switches}


class _Crowd:
    """A socket for each thread or process, and the pipe in which they report a message. A reply on the socket itself would wake
    its sender a second time, when the reply is read (net/unix/af_unix.c: unix_write_space).
    """

    def __init__(self, size: int) -> None:
        pairs = [socket.socketpair() for _ in range(size)]
        self._ours = [here for here, _there in pairs]
        self.theirs = [there for _here, there in pairs]
        self._reports, self.done = os.pipe()

    def message_each(self) -> None:
        """Sends a message to each, one after the other, and waits for its report."""
        for sock in self._ours:
            sock.send(b"x")
            os.read(self._reports, 1)

    def switches(self, tasks: list[str]) -> int:
        """The voluntary switches of these tasks, /proc/PID or /proc/PID/task/TID, during a message for each."""
        before = _switched(tasks)
        self.message_each()
        return _switched(tasks) - before


def _switched(tasks: list[str]) -> int:
    return sum(_status(f"{task}/status", "voluntary_ctxt_switches") for task in tasks)


def _memory(pid: int) -> int:
    """Bytes of memory, what it shares with others counted in parts (PSS), and its page tables."""
    return 1024 * (_status(f"/proc/{pid}/smaps_rollup", "Pss") + _status(f"/proc/{pid}/status", "VmPTE"))


def _status(path: str, key: str) -> int:
    """A number of such a file, by its key (man 5 proc_pid_status)."""
    with open(path) as file:  # noqa: PTH123
        return next(int(line.split()[1]) for line in file if line.startswith(f"{key}:"))


def hundreds_cost(run: Run, unit: str) -> Finding:
    """Hundreds of them cost more memory, more creation time and more switches than a few: measured beside the traffic."""
    made = [thread for thread in created(run) if (thread.pid == thread.tid) == (unit == "process")]
    if not made:
        return failed(f"this server created 0 {plural(unit)} for {count(len(run.connections), 'connection')}")
    aside = asides.of(run)
    if unit not in (crowds := aside.crowd or {}):
        return unavailable(aside.crowd_skipped or asides.NOT_RUN)
    costs = [crowds[unit][str(size)] for size in CROWDS]
    most = costs[-1]
    evidence = (
        f"{', '.join(map(str, CROWDS))} {plural(unit)} took {_list(costs, 'cpu_ns', 1e6)} ms of CPU to create,"
        f" {_list(costs, 'bytes', 1e6)} MB of memory, and made {_list(costs, 'switches', 1, 0)} voluntary"
        f" switches for a message each; each of {CROWDS[-1]} cost {most.cpu_ns / CROWDS[-1] / 1e3:.0f} us and"
        f" {most.bytes / CROWDS[-1] / 1e3:.0f} kB"
    )
    few = costs[0]
    grows = {
        figure: getattr(most, figure) > _GROWS * max(getattr(few, figure), 0) for figure in ("cpu_ns", "bytes", "switches")
    }
    if not (grows["bytes"] and grows["switches"]):
        return refuted(evidence)
    return (
        confirmed(evidence) if grows["cpu_ns"] else unavailable(f"{evidence}; other work disturbed the creation: run it again")
    )


def _list(costs: list[Crowd], figure: str, unit: float, digits: int = 1) -> str:
    return ", ".join(f"{getattr(cost, figure) / unit:.{digits}f}" for cost in costs)
