"""A filter of system calls for a server that nobody has read (seccomp(2)): calls that no server needs get EPERM.

The kernel runs the filter before each system call, as a classic BPF program over `struct seccomp_data`: the call's number, the
ABI, and the arguments. A filter stays through execve, and no process can remove it. A filter that decides by number and ABI
alone costs about nothing: the kernel keeps a bitmap of the numbers that it always allows (kernel/seccomp.c, since Linux 5.11).

`program` makes the filter; the sandbox gives it to the server (`runs.sandbox.filtered`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from probes.kernel import syscalls

# What the calls are for that no server of a course needs. Most of them need a capability that a submission lacks in any case;
# all of them are ways into the kernel that its own faults may open.
REFUSED: dict[str, tuple[str, ...]] = {
    "other processes": ("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"),
    "mounts": (
        "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig",
        "fsmount", "fspick", "mount_setattr",
    ),
    "namespaces": ("setns",),
    "the kernel": ("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module", "reboot"),
    "probes": ("bpf", "perf_event_open", "userfaultfd", "syslog", "fanotify_init", "lookup_dcookie"),
    "keys": ("add_key", "request_key", "keyctl"),
    "the machine": (
        "acct", "swapon", "swapoff", "quotactl", "quotactl_fd", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex",
        "sethostname", "setdomainname", "vhangup", "iopl", "ioperm", "modify_ldt", "uselib", "ustat", "sysfs", "_sysctl",
        "nfsservctl", "open_by_handle_at",
    ),
}  # fmt: skip
IO_URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")
# A socket of another family is not in the server's network namespace (AF_VSOCK reaches the host of a virtual machine), or is
# an interface of the kernel that no server needs (AF_ALG, AF_PACKET). Netlink lists the interfaces for getaddrinfo.
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
_NEW_NAMESPACES = 0x7E02_0000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (uapi: sched.h)
_NEW_TIME = 0x80  # CLONE_NEWTIME, in unshare; in clone these bits are the signal of the child's end

_AUDIT_ARCH = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}  # uapi: audit.h; a 32-bit ABI has a value of its own
_X32 = 0x4000_0000  # __X32_SYSCALL_BIT: the x32 ABI has the value of x86_64, and numbers from here on
_LOAD, _EQUAL, _FROM, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # uapi: bpf_common.h
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the low half of args[0], as both ABIs are little-endian
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000  # SECCOMP_RET_
_GET_ACTION_AVAIL = 2  # SECCOMP_GET_ACTION_AVAIL


@dataclass(frozen=True)
class _Step:
    """One instruction; the labels say where a jump leads, and "" is the next instruction."""

    code: int
    value: int
    true: str = ""
    false: str = ""
    label: str = ""


def refused(io_uring: bool) -> tuple[str, ...]:
    """The calls that get EPERM whatever their arguments are."""
    names = [name for group in REFUSED.values() for name in group]
    return (*names, *(() if io_uring else IO_URING))


def program(machine: str, io_uring: bool) -> bytes:
    """The filter for `machine` (platform.machine()) as an array of struct sock_filter. b"": no filter for this machine.

    clone3 gets ENOSYS, as in Docker's filter: its flags are in memory, which no filter reads. The C library then calls clone.
    """
    if machine not in _AUDIT_ARCH:
        return b""
    number = syscalls.numbers(machine)
    steps = [
        _Step(_LOAD, _ARCH),
        _Step(_EQUAL, _AUDIT_ARCH[machine], false="refuse"),
        _Step(_LOAD, _NUMBER),
        *([_Step(_FROM, _X32, true="refuse")] if machine == "x86_64" else []),
        *(_Step(_EQUAL, number[name], true="refuse") for name in refused(io_uring) if name in number),
        _Step(_EQUAL, number["clone3"], true="unknown"),
        _Step(_EQUAL, number["clone"], true="clone"),
        _Step(_EQUAL, number["unshare"], true="unshare"),
        _Step(_EQUAL, number["socket"], true="socket", false="allow"),
        _Step(_LOAD, _ARGUMENT, label="clone"),
        _Step(_ANY_BIT, _NEW_NAMESPACES, true="refuse", false="allow"),
        _Step(_LOAD, _ARGUMENT, label="unshare"),
        _Step(_ANY_BIT, _NEW_NAMESPACES | _NEW_TIME, true="refuse", false="allow"),
        _Step(_LOAD, _ARGUMENT, label="socket"),
        *(_Step(_EQUAL, family, true="allow") for family in _FAMILIES.values()),
        _Step(_RETURN, _ERRNO | errno.EPERM, label="refuse"),
        _Step(_RETURN, _ERRNO | errno.ENOSYS, label="unknown"),
        _Step(_RETURN, _ALLOW, label="allow"),
    ]
    return _assembled(steps)


def _assembled(steps: list[_Step]) -> bytes:
    places = {step.label: place for place, step in enumerate(steps) if step.label}

    def jump(label: str, place: int) -> int:
        return places[label] - place - 1 if label else 0

    return b"".join(
        struct.pack("=HBBI", step.code, jump(step.true, place), jump(step.false, place), step.value)
        for place, step in enumerate(steps)
    )


def missing(machine: str) -> str:
    """Why this machine can't filter system calls; "" where it can."""
    if machine not in _AUDIT_ARCH:
        return f"iolab has no filter for {machine}"
    libc, action = ctypes.CDLL(None, use_errno=True), ctypes.c_uint32(_ERRNO)
    number = ctypes.c_long(syscalls.numbers(machine)["seccomp"])
    if libc.syscall(number, ctypes.c_long(_GET_ACTION_AVAIL), ctypes.c_long(0), ctypes.byref(action)):
        return f"this kernel has no filters of system calls ({os.strerror(ctypes.get_errno())})"
    return ""


def words_of(names: Iterable[tuple[str, int]]) -> str:
    """The calls that the filter refused: "mount, ptrace (3 times)"."""
    return ", ".join(name if number == 1 else f"{name} ({number:,} times)" for name, number in names)
