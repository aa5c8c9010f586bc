"""What a container could have changed on the machine it ran on: looked at before and after, and held against each other.

A container shares the kernel with its host. sysctls, BPF programs and cgroups are the kernel's; a daemon adds namespaces,
mounts, network links and processes. All of it must be as it was when everything has ended.
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
# These count or draw by themselves, whatever anybody does.
_RESTLESS = (
    "fs/aio-nr", "fs/dentry-state", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "fs/quota/", "kernel/ns_last_pid",
    "kernel/perf_event_max_sample_rate", "kernel/pty/nr", "kernel/random/", "net/netfilter/nf_conntrack_count",
    "vm/stat_refresh",
)  # fmt: skip


@dataclass(frozen=True)
class Host:
    """One look. Each field is a set of facts in words, so that a difference can be printed as it is."""

    sysctls: frozenset[str]
    bpf_programs: frozenset[str]
    namespaces: frozenset[str]
    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    cgroups: frozenset[str]


def look() -> Host:
    """Everything, now. Needs root, to see every process and program."""
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
    """What is not as it was, waiting at most so long for what others on this machine are just doing to pass."""
    end = time.monotonic() + seconds
    while True:
        now = look()
        found = [
            f"{field.replace('_', ' ')}: {sign}{fact}"
            for field in before.__dataclass_fields__
            for sign, facts in (
                ("+", getattr(now, field) - getattr(before, field)),
                ("-", getattr(before, field) - getattr(now, field) if field in _KEPT else ()),
            )
            for fact in sorted(facts)
        ]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.5)


_KEPT = ("sysctls", "mounts", "links")  # what others end in the meantime is no change of ours; these nobody ends


def _sysctls() -> frozenset[str]:
    found = set()
    for room in _SYSCTLS:
        for path in Path("/proc/sys", room).rglob("*"):
            name = str(path.relative_to("/proc/sys"))
            if not name.startswith(_RESTLESS):
                with contextlib.suppress(OSError):  # a folder, one that may only be written, one that has just gone
                    found.add(f"{name} = {path.read_text(errors='replace').strip()}")
    return frozenset(found)


def _bpf_programs() -> frozenset[str]:
    """The ids of all loaded programs, of whoever: the kernel never gives one twice until it has counted through."""
    library = ctypes.CDLL(None, use_errno=True)
    number = syscalls.numbers(syscalls.architecture().name)["bpf"]
    found: set[str] = set()
    last = 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("=III", last, 0, 0))
        if library.syscall(ctypes.c_long(number), _BPF_PROG_GET_NEXT_ID, attributes, 12) != 0:
            return frozenset(found)
        last = struct.unpack_from("=I", attributes, 4)[0]
        found.add(f"program {last}")


def _namespace(pid: str, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def _processes() -> tuple[frozenset[str], frozenset[str]]:
    """The processes that live in another mount or pid namespace than this one, and all namespaces that any process is in."""
    processes, namespaces = set(), set()
    mine = {kind: _namespace("self", kind) for kind in ("mnt", "pid")}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has just ended
            held = {kind: _namespace(pid, kind) for kind in os.listdir(f"/proc/{pid}/ns")}
            namespaces |= {one for kind, one in held.items() if not kind.endswith("_for_children")}
            if any(held[kind] != own for kind, own in mine.items()):
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                processes.add(f"{pid} {line[:80]}")
    return frozenset(processes), frozenset(namespaces)
