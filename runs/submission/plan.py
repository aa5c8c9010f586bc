"""The plan of a server's sandbox: the user, the environment, the limits and the filter of system calls."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from runs import sandbox, seccomp
from runs.sandbox import Plan
from runs.submission import isolation
from runs.submission.control_groups import MEMORY, limit_memory
from runs.submission.launch import Launch

_OURS = {"IOLAB_CALLED", "IOLAB_STARTED", "IOLAB_PREPARED"}
_FIRST_USER = 61_184  # the user ids that systemd keeps for services (systemd.exec, DynamicUser): no account has one of them
LIMITS = {"NOFILE": 4096, "NPROC": 192, "CORE": 0, "FSIZE": 64 << 20, "CPU": 120}
# LeakSanitizer, a part of AddressSanitizer, traces its own process by ptrace at the end, and fails where it may not.
_SANITIZERS = {"LSAN_OPTIONS": "detect_leaks=0"}


def plan_of(launch: Launch, number: int, port: int, invitation: int | None, groups: tuple[str, ...]) -> Plan:
    """The plan by which the sandbox starts this server."""
    environment = {key: value for key, value in os.environ.items() if key not in _OURS} | {"PORT": str(port)}
    user = None
    limits = {"CORE": 0, "NPROC": 4096}
    if launch.strict:
        user = _FIRST_USER + launch.slot if isolation.may_change_user() else None
        environment = {"PATH": _path_for_others(), "PORT": str(port), "HOME": sandbox.WORK, "LANG": "C.UTF-8"}
        environment |= _SANITIZERS
        limits = LIMITS
    elif os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        user = int(os.environ["SUDO_UID"])
    return Plan(
        command=tuple(word.replace("{port}", str(port)) for word in launch.command),
        folder=launch.folder,
        environment=environment,
        number=number,
        parent=os.getpid(),
        invitation=invitation,
        user=user,
        strict=launch.strict,
        copy=launch.strict and "mount" not in isolation.missing(),
        hidden=launch.hidden,
        missing=isolation.missing(),
        limits=limits,
        groups=groups,
        # A sanitizer maps 16 TB of shadow memory and uses little of it: RLIMIT_AS and RLIMIT_DATA would count all of it
        # (mm/mmap.c, may_expand_vm). So the memory that is used is watched where no control group limits it.
        memory=0 if not launch.strict or limit_memory(groups) else MEMORY,
        filter=_filter(launch),
    )


def _filter(launch: Launch) -> str:
    """The filter of system calls for a server that nobody has read, in hex; "" for others, and where there are no filters."""
    machine = os.uname().machine
    return seccomp.program(machine, launch.io_uring).hex() if launch.strict and not seccomp.missing(machine) else ""


def _path_for_others() -> str:
    """PATH without the folders that a user without rights can't enter, such as those in root's home."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and _others_may_enter(Path(folder)))


def _others_may_enter(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return all(place.stat().st_mode & 0o001 for place in (folder.resolve(), *folder.resolve().parents))
    return False
