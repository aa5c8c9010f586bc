"""The descriptors that a program opens: by which call, when it used each for the last time, and whether it closed it."""

from __future__ import annotations

from dataclasses import dataclass

from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call

_F_DUPFD, _F_DUPFD_CLOEXEC = 0, 1030  # uapi/linux/fcntl.h
# The result of these calls is a new descriptor.
_OPENS = syscalls.ACCEPTS | {
    "open", "openat", "openat2", "creat", "socket", "epoll_create", "epoll_create1", "eventfd", "eventfd2", "timerfd_create",
    "signalfd", "signalfd4", "inotify_init", "inotify_init1", "memfd_create", "dup", "pidfd_open", "userfaultfd",
    "io_uring_setup", "perf_event_open",
}  # fmt: skip


@dataclass
class Descriptor:
    """One descriptor of a process, from its opening to its close. A number may serve several, one after the other."""

    process: int
    fd: int
    opened: Call
    used: Call | None = None  # the last call on it, apart from its close
    closed: Call | None = None


def descriptors(run: Run) -> list[Descriptor]:
    """The descriptors, in the order of their opening. No record has the numbers that pipe and socketpair return."""
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    found: list[Descriptor] = []
    is_open: dict[int, dict[int, Descriptor]] = {}
    for call in run.result.calls:
        own = is_open.setdefault(processes[call.thread], {})
        if call.name == "execve" and call.result == 0:
            own.clear()  # it closes what has FD_CLOEXEC, and the rest belongs to another program
        elif call.name == "close_range" and call.result == 0 and len(call.args) > 1:
            for fd in [fd for fd in own if call.args[0] <= fd <= call.args[1]]:
                own.pop(fd).closed = call
        elif call.name == "close" and call.fd in own:
            own.pop(call.fd).closed = call
        elif (fd := _used(call)) in own:
            own[fd].used = call
        if _opens(call) and call.result is not None:
            found.append(Descriptor(processes[call.thread], call.result, call))
            own[call.result] = found[-1]
    return found


def _used(call: Call) -> int:
    if call.name == "epoll_ctl" and len(call.args) > 2:
        return call.args[2] & 0xFFFFFFFF
    return call.fd if call.fd is not None else -1


def _opens(call: Call) -> bool:
    if call.result is None or call.result < 0:
        return False
    return call.name in _OPENS or (call.name == "fcntl" and call.args[1] in (_F_DUPFD, _F_DUPFD_CLOEXEC))
