"""The tools and servers of a benchmark, each in a process group of its own: bounded in time, measured, and ended with the run.

Each program has a session of its own, so Ctrl-C in the terminal reaches the runner only. The runner kills the whole group.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from probes.errors import LabBroken
from probes.patience import PATIENCE
from runs.processes import python

_SAMPLE_EVERY = 0.02  # seconds; VmHWM is a maximum, so only growth after the last sample is missed
_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program ended early, or was not done in time. The text says which program, and why."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: its status (a signal's number negative), and what the program itself used, without its children."""

    status: int
    cpu_s: float
    memory_bytes: int  # the highest resident set, sampled


@contextlib.contextmanager
def _without_interrupt() -> Iterator[None]:
    """Delays Ctrl-C until the block has ended. A blocked signal would stay blocked in a program that is started meanwhile."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


class Guard:
    """The process that kills the groups which are left when the runner dies. At the end it removes the folder."""

    def __init__(self, folder: Path) -> None:
        line = [*python("runs.bench.guard"), str(folder)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)

    def note(self, sign: str, group: int) -> None:
        """A group has started (+) or ended (-)."""
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{sign}{group}\n")
        except BrokenPipeError:
            raise LabBroken("the guard of the benchmark has ended", "start the command again") from None

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


class Program:
    """A program in a process group of its own. At the end of the `with` block the group is killed.

    stdout and stderr go to files in `folder`, as `name`.out and `name`.err.
    """

    def __init__(self, guard: Guard, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        self._guard, self._memory = guard, 0
        with self._out.open("wb") as out, self._err.open("wb") as err, _without_interrupt():
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, cwd=folder, start_new_session=True
            )
            guard.note("+", self.pid)
        self._watch = os.pidfd_open(self.pid)

    @property
    def pid(self) -> int:
        """Its process id, which is the id of its group, too."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has printed on stdout."""
        return self._out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """What it has printed on stderr."""
        return self._err.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Does it still run? A process that has ended stays a zombie until `wait` or the end of the block."""
        return not select.select([self._watch], [], [], 0)[0]

    def interrupt(self) -> None:
        """Sends SIGINT to the program alone: a tracer then prints its report."""
        os.kill(self.pid, signal.SIGINT)

    def sample(self) -> None:
        """Reads the highest resident set of the program until now (proc(5), VmHWM)."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._memory = max(self._memory, int(line.split()[1]) * 1024)

    def wait(self, seconds: float) -> Ended:
        """Waits for the end of the program. Raises Failed if it takes longer; then the group is killed."""
        deadline = time.monotonic() + seconds * PATIENCE
        self.sample()
        while not select.select([self._watch], [], [], _SAMPLE_EVERY)[0]:
            self.sample()
            if time.monotonic() > deadline:
                self._kill()
                raise Failed(f"{self.name} was not done after {seconds * PATIENCE:g} s and was killed")
        end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)  # a zombie keeps the number of its group
        assert end is not None
        return Ended(end.si_status if end.si_code == os.CLD_EXITED else -end.si_status, self._cpu(), self._memory)

    def _cpu(self) -> float:
        """User and system time of a zombie, which its children's times are not part of (proc(5), stat, fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def complaint(self) -> str:
        """The last line of its stderr, or of its stdout."""
        lines = [line.strip() for text in (self.errors, self.output) for line in text.splitlines()[-1:] if line.strip()]
        return lines[0][:200] if lines else "it printed no reason"

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._kill()  # also when the program itself has ended: the group lives as long as one of its processes
        self._process.wait()
        self._guard.note("-", self.pid)
        os.close(self._watch)
