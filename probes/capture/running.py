"""What /proc says of threads that run already, so that a recording can begin in the middle of their life (proc_pid_*(5))."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from probes.capture import system
from probes.errors import CannotTrace, WrongUsage
from probes.kernel.records import LAYOUTS, STACK_FRAMES, Kind, encode

_INITIAL = 0xEFFFFFFC  # the inode of the initial pid namespace (include/linux/proc_ns.h, PROC_PID_INIT_INO)
_FRAME = re.compile(r"\] ([\w.]+)\+0x")
_ENDED = ("Z", "X")  # zombie, dead (fs/proc/array.c, task_state_array)
RUNNING, ASLEEP_OUTSIDE, ASLEEP_IN_CALL = range(3)


@dataclass(frozen=True)
class Known:
    """One thread as /proc describes it. `frames`: the kernel functions that it sleeps in, innermost first."""

    tid: int
    ns_tid: int
    ns_tgid: int
    comm: str
    state: int
    number: int = 0
    args: tuple[int, int, int, int] = (0, 0, 0, 0)
    frames: tuple[str, ...] = ()


def need_process(pid: int) -> str:
    """The command line of a process. Raises WrongUsage if there is none, CannotTrace if its ids can't be found out."""
    import psutil

    try:
        process = psutil.Process(pid)
        command = process.cmdline() or [process.name()]
    except (psutil.Error, ValueError, OverflowError) as error:
        raise WrongUsage(f"there is no process {pid}", "ps -e lists the processes and their ids") from error
    if pid == os.getpid():
        raise WrongUsage("iolab can't trace itself", "name another process")
    if Path("/proc/self/ns/pid").stat().st_ino != _INITIAL:
        raise CannotTrace(
            "a process can be joined only where iolab sees the machine's own process ids",
            "in a container: docker run --pid host",
        )
    return "\0".join(command)


def tasks(pid: int) -> Iterator[int]:
    """The threads of a process and of its descendants; one that ends meanwhile is left out."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(OSError):
                yield from (int(entry.name) for entry in Path(f"/proc/{each.pid}/task").iterdir())


def known(tid: int) -> Known | None:
    """What /proc says of a thread; None if it has ended. A zombie has ended, and still has a folder."""
    folder = Path(f"/proc/{tid}")
    try:
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
        call = (folder / "syscall").read_text().split()
    except OSError:
        return None
    if status["State"][:1] in _ENDED:
        return None
    ids = int(status["NSpid"].split()[-1]), int(status["NStgid"].split()[-1])
    if call[0] == "running":
        return Known(tid, *ids, status["Name"], RUNNING)
    number, words = int(call[0]), [int(word, 16) for word in call[1:5]]
    if number == -1:
        return Known(tid, *ids, status["Name"], ASLEEP_OUTSIDE, frames=_frames(folder))
    args = (words[0], words[1], words[2], words[3])
    return Known(tid, *ids, status["Name"], ASLEEP_IN_CALL, number, args, _frames(folder))


def sockets(pid: int) -> Iterator[tuple[int, int, int]]:
    """The sockets of a process and of its descendants: the process, its descriptor, and a descriptor of the same socket in this
    process (pidfd_getfd(2)), which is closed when the next socket is asked for.
    """
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(OSError):
                yield from _sockets_of(each.pid)


def _sockets_of(pid: int) -> Iterator[tuple[int, int, int]]:
    handle = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(entry.readlink()).startswith("socket:"):
                    own = system.pidfd_getfd(handle, int(entry.name))
                    try:
                        yield pid, int(entry.name), own
                    finally:
                        os.close(own)
    finally:
        os.close(handle)


def words(thread: Known, stack: int) -> tuple[int, ...]:
    """The thread as the kernel side takes it (struct known); `stack` is the id of its frames, 0 if none are known."""
    comm = struct.unpack("=QQ", thread.comm.encode(errors="replace")[:15].ljust(16, b"\0"))
    return (thread.tid, thread.ns_tid, thread.ns_tgid, thread.state, thread.number, *thread.args, stack, *comm)


def stack_record(frames: tuple[str, ...], address: Callable[[str], int]) -> tuple[int, bytes]:
    """An id for these frames, and the record that says what the id means; 0 and nothing without frames."""
    addresses = [found for name in frames[:STACK_FRAMES] if (found := address(name))]
    if not addresses:
        return 0, b""
    number = int.from_bytes(hashlib.sha256(repr(addresses).encode()).digest()[:8], "little") | 1
    padded = (*addresses, *[0] * (STACK_FRAMES - len(addresses)))
    layout = LAYOUTS[Kind.STACK]
    return number, encode(layout.record(kind=int(Kind.STACK), thread=0, id=number, depth=len(addresses), frames=padded))


def _frames(folder: Path) -> tuple[str, ...]:
    """The kernel functions of a sleeping thread; none where the kernel does not show them."""
    with contextlib.suppress(OSError):
        return tuple(_FRAME.findall((folder / "stack").read_text()))
    return ()
