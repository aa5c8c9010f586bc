"""What a container could change on its host: the state before and after, compared.

A container shares the kernel with its host, and with it sysctls, BPF programs and cgroups. A Docker daemon adds namespaces,
mounts, network links and processes. When all containers have ended, all of these must be as before.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from probes.kernel import syscalls

_BPF_PROG_GET_NEXT_ID = 11  # bpf(2)
_SYSCTLS = ("fs", "kernel", "net", "vm")
# These change all the time: counters and random values.
_RESTLESS = (
    "fs/aio-nr", "fs/dentry-state", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "fs/quota/", "kernel/ns_last_pid",
    "kernel/perf_event_max_sample_rate", "kernel/pty/nr", "kernel/random/", "net/netfilter/nf_conntrack_count",
    "vm/stat_refresh",
)  # fmt: skip


@dataclass(frozen=True)
class Host:
    """The state at one moment. Each field is a set of facts in words, so that a difference can be printed."""

    sysctls: frozenset[str]
    bpf_programs: frozenset[str]
    namespaces: frozenset[str]
    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    cgroups: frozenset[str]


def look() -> Host:
    """The state now. Needs root, to see every process and every BPF program."""
    processes, namespaces = _processes()
    return Host(
        sysctls=_sysctls(),
        bpf_programs=_bpf_programs(),
        namespaces=namespaces,
        processes=processes,
        mounts=frozenset(line.split(" ", 3)[3] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        links=frozenset(os.listdir("/sys/class/net")),
        cgroups=frozenset(
            str(path) for path in Path("/sys/fs/cgroup").rglob("*/") if any(word in str(path) for word in ("iolab", "docker"))
        ),
    )


def differences(before: Host, seconds: float = 20) -> list[str]:
    """The differences between `before` and now. Waits at most `seconds` for changes of other processes to go away."""
    end = time.monotonic() + seconds
    while True:
        now = look()
        changes = [
            f"{field.replace('_', ' ')}: {sign}{fact}"
            for field in before.__dataclass_fields__
            for sign, facts in (
                ("+", getattr(now, field) - getattr(before, field)),
                ("-", getattr(before, field) - getattr(now, field) if field in _KEPT else ()),
            )
            for fact in sorted(facts)
        ]
        if not changes or time.monotonic() > end:
            return changes
        time.sleep(0.5)


# Of these, a fact that is gone is a difference. Of the others it is not: other processes end in the meantime.
_KEPT = ("sysctls", "mounts", "links")


def _sysctls() -> frozenset[str]:
    values = set()
    for folder in _SYSCTLS:
        for path in Path("/proc/sys", folder).rglob("*"):
            name = str(path.relative_to("/proc/sys"))
            if not name.startswith(_RESTLESS):
                with contextlib.suppress(OSError):  # a folder, a write-only file, or a file that has just gone
                    values.add(f"{name} = {path.read_text(errors='replace').strip()}")
    return frozenset(values)


def _bpf_programs() -> frozenset[str]:
    """The ids of all loaded BPF programs. The kernel gives each id once until its counter wraps."""
    library = ctypes.CDLL(None, use_errno=True)
    number = syscalls.numbers(syscalls.architecture().name)["bpf"]
    programs: set[str] = set()
    last = 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("=III", last, 0, 0))
        if library.syscall(ctypes.c_long(number), _BPF_PROG_GET_NEXT_ID, attributes, 12) != 0:
            return frozenset(programs)
        last = struct.unpack_from("=I", attributes, 4)[0]
        programs.add(f"program {last}")


def _namespace(pid: str, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def _processes() -> tuple[frozenset[str], frozenset[str]]:
    """The processes in another mount or pid namespace than this process, and the namespaces of all processes."""
    processes, namespaces = set(), set()
    mine = {kind: _namespace("self", kind) for kind in ("mnt", "pid")}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # the process has just ended
            held = {kind: _namespace(pid, kind) for kind in os.listdir(f"/proc/{pid}/ns")}
            namespaces |= {namespace for kind, namespace in held.items() if not kind.endswith("_for_children")}
            if any(held[kind] != own for kind, own in mine.items()):
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                processes.add(f"{pid} {line[:80]}")
    return frozenset(processes), frozenset(namespaces)
