"""What tracing requires of this process: each command that loads a probe checks it first."""

from __future__ import annotations

import ctypes
import enum
import importlib.util
import itertools
import os
import platform
import resource
import struct
from dataclasses import dataclass
from pathlib import Path

from probes.capture.cgroup import memory_limit
from probes.errors import CannotTrace
from probes.kernel.syscalls import ARCHITECTURES, numbers

_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_SYSLOG": 34, "CAP_PERFMON": 38, "CAP_BPF": 39}
_BPF_MAP_CREATE, _ARRAY = 0, 2  # uapi/linux/bpf.h: bpf_cmd, bpf_map_type
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO
DESCRIPTORS = 100  # for 18 maps, 20 programs, 20 links, and the files of the run itself
MEMORY = 256 << 20  # bytes: 110 MB of maps, and Python for the runner, the server and the clients
_WITH_PRIVILEGES = "docker run --privileged ..., as root of the image (no --user); docs/docker.md lists the least privileges"


class State(enum.StrEnum):
    """How far a capability is available."""

    YES = "yes"
    LIMITED = "limited"  # the labs run, and show less than on other machines
    NO = "no"  # tracing is impossible without it
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One capability: its state, a description, and the remedy if it is missing."""

    name: str
    state: State
    found: str
    remedy: str = ""


def need_privileges() -> None:
    """Raises CannotTrace if this process may not load a probe, or could not read the names of kernel functions."""
    if platform.system() != "Linux":
        return
    if (place := container()).state is State.NO:
        raise CannotTrace(place.found, place.remedy)
    if (held := capabilities()).state is State.NO:
        raise CannotTrace("tracing needs root (CAP_BPF and CAP_PERFMON at least)", held.remedy)
    if (asked := bpf_call()).state is State.NO:
        raise CannotTrace(asked.found, asked.remedy)
    for room in (descriptors(), memory()):
        if room.state is State.NO:
            raise CannotTrace(room.found, room.remedy)
    if (names := symbols()).state is State.NO:  # without names, checks about wait queues would fail
        raise CannotTrace(names.found, names.remedy)


def need_bcc() -> None:
    """Raises CannotTrace where BCC is not installed. Does not import BCC: a start with cached programs does not need it."""
    if importlib.util.find_spec("bcc") is None:
        raise CannotTrace("BCC is missing", "apt-get install python3-bpfcc, or start ./iolab, which installs it")


def status(field: str) -> str:
    """One field of our own /proc/PID/status; "" if there is none."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field + ":")), "")


def filtered() -> bool:
    """Whether a seccomp filter decides which calls we may make, as in a container without --privileged."""
    return status("Seccomp") not in ("0", "")


def _missing() -> list[str]:
    held = int(status("CapEff") or "0", 16)
    return [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]


def capabilities() -> Finding:
    """The capabilities that loading a probe needs (man 7 capabilities)."""
    missing = _missing()
    user = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    admin = "CAP_SYS_ADMIN" not in missing
    if admin or not {"CAP_BPF", "CAP_PERFMON"} & set(missing):
        state = State.YES if not missing or missing == ["CAP_SYS_RESOURCE"] else State.LIMITED
        return Finding(
            "privileges",
            state,
            f"{user} has all needed capabilities" + (f" (without {', '.join(missing)})" if missing else ""),
        )
    return Finding(
        "privileges", State.NO, f"{user} without {', '.join(missing)}",
        _WITH_PRIVILEGES if _signs() else "sudo ./iolab ...",
    )  # fmt: skip


def bpf_call() -> Finding:
    """Whether bpf(2) can be called: a seccomp filter may refuse it despite every capability (Podman's own filter does).

    Makes the smallest possible map, and closes it.
    """
    machine = platform.machine()
    number = numbers(machine)["bpf"] if machine in ARCHITECTURES else None
    if number is None:
        return Finding("bpf()", State.INFO, f"not checked on {machine}")
    library = ctypes.CDLL(None, use_errno=True)
    attributes = ctypes.create_string_buffer(struct.pack("=4I", _ARRAY, 4, 4, 1), 128)
    descriptor = library.syscall(ctypes.c_long(number), ctypes.c_long(_BPF_MAP_CREATE), attributes, ctypes.c_long(128))
    if descriptor >= 0:
        os.close(descriptor)
        return Finding("bpf()", State.YES, "bpf() created a map")
    words = os.strerror(ctypes.get_errno())
    if capabilities().state is State.NO:
        return Finding("bpf()", State.INFO, f"refused: {words}; privileges are missing")
    if filtered():
        return Finding(
            "bpf()", State.NO, f"a seccomp filter refuses bpf() here ({words}), whatever the capabilities",
            "--security-opt seccomp=unconfined, or --privileged, which has no filter",
        )  # fmt: skip
    return Finding(
        "bpf()", State.NO, f"bpf() is refused here ({words}), though the capabilities are there",
        "a kernel with CONFIG_BPF_SYSCALL, and a security module (SELinux, AppArmor, lockdown) that lets root use it",
    )  # fmt: skip


def descriptors() -> Finding:
    """Whether this process may open as many descriptors as the probes' programs, links and maps need."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = limit - len(os.listdir("/proc/self/fd"))
    if free >= DESCRIPTORS:
        return Finding("open files", State.YES, f"{limit:,} descriptors are allowed")
    return Finding(
        "open files", State.NO, f"this shell allows {limit:,} open files, of which {max(free, 0)} are free; the probes need"
        f" {DESCRIPTORS}", "ulimit -n 1024",
    )  # fmt: skip


def memory() -> Finding:
    """Whether the control group allows the memory of a run: with less memory the kernel kills a process of the run."""
    limit = memory_limit()
    if limit is None or limit >= MEMORY:
        return Finding("memory", State.YES, "no limit" if limit is None else f"{limit >> 20:,} MB are allowed")
    return Finding(
        "memory", State.NO, f"this control group allows {limit >> 20:,} MB of memory, and tracing needs {MEMORY >> 20} MB",
        "raise its limit (memory.max; docker run --memory 512m), or leave the limit out",
    )  # fmt: skip


def symbols() -> Finding:
    """Whether the kernel shows the addresses of its functions: without them no wait queue has a name."""
    try:
        with Path("/proc/kallsyms").open() as file:
            shown = any(int(line.split()[0], 16) for line in itertools.islice(file, 1000))  # per-CPU symbols have the address 0
    except (OSError, IndexError, ValueError):
        shown = False
    if shown:
        return Finding("kernel symbols", State.YES, "/proc/kallsyms shows addresses, so the report can name queues and wakers")
    return Finding(
        "kernel symbols", State.NO, "/proc/kallsyms hides addresses: no wait queue could be named",
        "run as root with CAP_SYSLOG (in a container: --privileged, or --cap-add SYSLOG);"
        " kernel.kptr_restrict=2 hides them from all users",
    )  # fmt: skip


def _namespace(kind: str) -> int:
    return os.stat(f"/proc/self/ns/{kind}").st_ino  # noqa: PTH116 (follows the link, which pathlib reads as text)


def _signs() -> list[str]:
    signs = [sign for sign in ("/.dockerenv", "/run/.containerenv") if Path(sign).exists()]
    return signs or ["a pid namespace of its own"] * (_namespace("pid") != _INITIAL_PID_NAMESPACE)


def container() -> Finding:
    """Whether this is a container, and whether root in it is root of the initial user namespace."""
    signs = _signs()
    if _namespace("user") != _INITIAL_USER_NAMESPACE:
        return Finding(
            "container", State.NO, "this is root of a user namespace only (rootless Docker or Podman, userns-remap, unshare)",
            "the kernel lets only its own root trace: sudo docker run --privileged ... (sudo podman), and --userns=host where"
            " the daemon remaps users",
        )  # fmt: skip
    if not signs:
        return Finding("container", State.INFO, "no")
    return Finding("container", State.INFO, f"yes ({', '.join(signs)}); --pid=host is not needed")
