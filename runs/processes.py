"""iolab's Python modules as processes: started, read from, and ended with the runner, even after kill -9."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from probes.capture.cgroup import killed_for_memory
from probes.capture.prctl import handed_over
from probes.errors import LabBroken
from probes.patience import PATIENCE

_AGAIN = 0.5  # seconds
_PART = 1 << 16  # bytes that are read at a time


ROOT = Path(__file__).resolve().parents[1]


def python(module: str) -> list[str]:
    """The command line that runs one of our modules, with no folder on its path that others can write (runs/start.py).

    -B: a file of bytecode written by a followed process would be in the recording.
    """
    return [sys.executable, "-I", "-B", str(ROOT / "runs" / "start.py"), module]


class ChildEnded(LabBroken):
    """A process of iolab ended before it printed its result."""

    def __init__(self, name: str, status: int, complaint: str) -> None:
        how = f"was killed by {_signal(-status)}" if status < 0 else f"ended early with status {status}"
        super().__init__(f"{name} {how}", complaint or _out_of_memory(status) or "it printed no reason")
        self.status, self.complaint = status, complaint


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _out_of_memory(status: int) -> str:
    """Whether the kernel's out-of-memory killer may have sent that SIGKILL."""
    if status != -signal.SIGKILL:
        return ""
    if killed_for_memory():
        return "the kernel's out-of-memory killer is at work in this cgroup: raise its limit (memory.max)"
    return "perhaps the kernel's out-of-memory killer: `dmesg` says"


class Child:
    """A Python module of iolab in a process of its own: `Child("servers", "epoll")` runs `python -m servers epoll`.

    The runner reads its stdout, and keeps its stderr for the error message. At the end of the `with` block the process is
    killed, if it still runs. `invitation` is a cookie for the probes, handed over as `--follow FD`. `within` is a
    command that runs it somewhere else (nsenter, for a namespace).
    """

    def __init__(
        self, module: str, *arguments: str, within: Sequence[str] = (), invitation: int | None = None, answered: bool = False
    ) -> None:
        self.name = " ".join((module, *arguments[:1]))
        self._printed = b""  # bytes that the process printed, and `line` has not returned yet
        self._errors = os.fdopen(os.memfd_create("iolab-stderr"), "w+b")
        with contextlib.ExitStack() as stack:
            inherited = () if invitation is None else (stack.enter_context(handed_over(invitation)),)
            follow = [word for descriptor in inherited for word in ("--follow", str(descriptor))]
            self._process = subprocess.Popen(
                [*within, *python(module), *arguments, *follow],
                cwd=ROOT,
                stdin=subprocess.PIPE if answered else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                pass_fds=inherited,
                start_new_session=True,  # Ctrl-C in the terminal reaches the runner only, which ends its children in order
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its status if it has ended, a signal's number negative; None while it runs."""
        return self._process.poll()

    @property
    def complaint(self) -> str:
        """The last lines of its stderr."""
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode(errors="replace").strip().splitlines()[-8:])

    def line(self, seconds: float) -> str:
        """The next line that it prints. Raises LabBroken if it ends or stays silent that long."""
        assert self._process.stdout is not None
        descriptor, seconds = self._process.stdout.fileno(), seconds * PATIENCE
        while b"\n" not in self._printed:
            if not select.select([descriptor], [], [], seconds)[0]:
                raise LabBroken(f"{self.name} said nothing for {seconds:g} s", "is the machine overloaded? run it again")
            part = os.read(descriptor, _PART)
            if not part:
                raise ChildEnded(self.name, self._process.wait(), self.complaint)
            self._printed += part
        line, _, self._printed = self._printed.partition(b"\n")
        return line.decode().strip()

    def answer(self, line: str = "") -> None:
        """Writes a line to its stdin, if it was started with `answered`. The process may have ended before."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def rest(self, seconds: float) -> str:
        """All that it prints until it ends. Raises LabBroken if it fails or takes longer than that."""
        seconds *= PATIENCE
        try:
            out, _ = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise LabBroken(
                f"{self.name} was not done after {seconds:g} s", "fewer --messages or a smaller --gap-ms"
            ) from error
        if self._process.returncode:
            raise ChildEnded(self.name, self._process.returncode, self.complaint)
        return str((self._printed + out).decode())

    def wait(self, seconds: float) -> int:
        """Waits for its end; its status. Raises subprocess.TimeoutExpired."""
        return self._process.wait(seconds * PATIENCE)

    def end(self, seconds: float = 5) -> int:
        """Sends SIGTERM; its exit status. Raises LabBroken if the process does not end in time.

        Python checks for signals between two bytecodes. A signal between this check and a system call that sleeps does not wake
        the thread, so SIGTERM is sent again.
        """
        for _ in range(round(seconds * PATIENCE / _AGAIN)):
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(_AGAIN)
        raise LabBroken(f"{self.name} did not end on SIGTERM", "the server must leave its loop when SIGTERM comes")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it did not read the last line
                self._process.stdin.close()
        self._errors.close()
