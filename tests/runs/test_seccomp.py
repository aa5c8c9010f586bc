"""The filter of system calls: run instruction by instruction, and in the kernel against a program that tries each call."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.kernel import syscalls
from runs import sandbox, seccomp
from runs.submission import isolation, plan
from runs.submission.launch import Launch
from runs.submission.server import Submission
from tests.runs.submission.programs import printed

ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
NEW_USER, NEW_TIME, THREAD = 0x10000000, 0x80, 0x3D0F00  # the last are the flags of pthread_create


def answer(filter_: bytes, number: int, arch: int, *arguments: int) -> int:
    """What the filter returns for a call, by the meaning of the instructions in the kernel (net/core/filter.c)."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    steps, at, loaded = list(struct.iter_unpack("=HBBI", filter_)), 0, 0
    while True:
        code, true, false, value = steps[at]
        if code == 0x06:
            return int(value)
        if code == 0x20:
            loaded, held = struct.unpack_from("<I", data, value)[0], None
        else:
            held = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
        at += 1 + (0 if held is None else true if held else false)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_refuses_each_call_of_its_list_and_no_call_of_a_server(machine: str) -> None:
    numbers, arch = syscalls.numbers(machine), MACHINES[machine]
    filter_ = seccomp.program(machine, io_uring=False)
    refused = {name for name, number in numbers.items() if answer(filter_, number, arch, 2) == EPERM}
    assert refused == set(seccomp.refused(io_uring=False)) & numbers.keys()
    assert {"ptrace", "mount", "bpf", "setns", "keyctl", "perf_event_open", "finit_module", "io_uring_setup"} <= refused
    others = {name for name, number in numbers.items() if answer(filter_, number, arch, 2) != ALLOW} - refused
    assert others == {"clone3"} and answer(filter_, numbers["clone3"], arch) == ENOSYS
    assert answer(seccomp.program(machine, io_uring=True), numbers["io_uring_setup"], arch) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide_about_namespaces_and_families(machine: str) -> None:
    numbers, arch, filter_ = syscalls.numbers(machine), MACHINES[machine], seccomp.program(machine, io_uring=False)
    asked = {
        ("clone", THREAD): ALLOW, ("clone", NEW_USER | 17): EPERM, ("clone", 0x4000_0000): EPERM, ("unshare", 0x200): ALLOW,
        ("unshare", NEW_USER): EPERM, ("unshare", NEW_TIME): EPERM, ("socket", 1): ALLOW, ("socket", 10): ALLOW,
        ("socket", 16): ALLOW, ("socket", 17): EPERM, ("socket", 38): EPERM, ("socket", 40): EPERM,
    }  # fmt: skip
    for (name, argument), expected in asked.items():
        assert answer(filter_, numbers[name], arch, argument) == expected, (name, hex(argument))


def test_another_abi_is_no_way_round_the_filter() -> None:
    filter_ = seccomp.program("x86_64", io_uring=True)
    assert answer(filter_, 0x40000000 | 1, MACHINES["x86_64"]) == EPERM  # x32
    assert answer(filter_, 4, I386) == EPERM
    assert seccomp.program("riscv64", io_uring=True) == b""
    assert "iolab has no filter for riscv64" in seccomp.missing("riscv64")


def test_the_sandbox_and_the_table_have_the_same_number() -> None:
    assert {machine: syscalls.numbers(machine)["seccomp"] for machine in MACHINES} == sandbox._SECCOMP


PROGRAM = """
import ctypes, errno, os, signal, socket
libc = ctypes.CDLL(None, use_errno=True)
for line in open("calls").read().splitlines():
    name, *words = line.split()
    child = os.fork() if name != "clone" else 1
    if child == 0:
        ctypes.set_errno(0)
        done = libc.syscall(*(ctypes.c_long(int(word)) for word in words))
        print(name, errno.errorcode.get(ctypes.get_errno(), "done") if done == -1 else "done", flush=True)
        os._exit(0)
    if name == "clone":
        done = libc.syscall(*(ctypes.c_long(int(word)) for word in words))
        if done == 0:
            os._exit(0)
        print(name, "EPERM" if done == -1 and ctypes.get_errno() == errno.EPERM else "done", flush=True)
    else:
        os.waitpid(child, 0)
print("end", flush=True)
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
signal.pause()
"""
TRIED = {  # the arguments with which a user without rights would get further than EPERM, where there are any
    "ptrace": (0,), "process_vm_readv": (1, 0, 0, 0, 0, 0), "kcmp": (1, 1, 0, 0, 0), "unshare": (NEW_USER,),
    "userfaultfd": (1,), "add_key": (0, 0, 0, 0, -3), "keyctl": (0, -3, 1), "clone": (NEW_USER | 17, 0, 0, 0, 0),
    "socket": (38, 5, 0), "fsopen": (0, 0), "io_uring_setup": (4, 0), "pidfd_getfd": (-1, 0, 0), "request_key": (0, 0, 0, 0),
}  # fmt: skip


@pytest.fixture
def tried(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Runs a program that makes each of these calls as a submission that nobody has read: what each call returned."""
    if os.geteuid() != 0 or isolation.missing() or seccomp.missing(os.uname().machine):
        pytest.skip("only root can make the namespaces; to make it run: sudo, or a container with --privileged")

    def of(names: list[str], io_uring: bool = False) -> dict[str, str]:
        numbers = syscalls.numbers(os.uname().machine)
        calls = [" ".join(map(str, (name, numbers[name], *TRIED.get(name, (0,) * 6)))) for name in names if name in numbers]
        folder = tmp_path / "submission"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        (folder / "calls").write_text("\n".join(calls))
        (folder / "server.py").write_text(PROGRAM)
        launch = Launch(("/usr/bin/python3", "server.py"), str(folder), strict=True, io_uring=io_uring)
        with Submission(launch, 300, 23_456) as server:
            server.listening()
            lines = dict(line.split(maxsplit=1) for line in printed(server, "\nend").splitlines() if " " in line)
            assert server.terminate().left == 0
        return lines

    return of


@pytest.mark.live
def test_a_hostile_program_gets_eperm_from_each_call(
    kernel: None, tried: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [*seccomp.refused(io_uring=False), "clone", "unshare", "socket"]
    found = tried(names)
    assert len(found) > 50 and set(found.values()) == {"EPERM"}, found
    assert tried(["io_uring_setup"], io_uring=True) != {"io_uring_setup": "EPERM"}
    monkeypatch.setattr(plan, "_filter", lambda _launch: "")
    without = {name: what for name, what in tried(list(TRIED)).items() if what != "EPERM"}
    assert {"ptrace", "clone", "unshare", "keyctl", "io_uring_setup"} <= without.keys()  # the filter alone refuses these


@pytest.mark.live
def test_a_machine_without_filters_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_AUDIT_ARCH", {})
    assert any("may make every system call" in words for words in isolation.unprotected(strict=True))
    assert plan._filter(Launch(("true",), ".", strict=True)) == ""
