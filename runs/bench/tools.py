"""The tools that are compared: how each is started, when it is attached, and what its output says of the calls."""

from __future__ import annotations

import contextlib
import json
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from probes.capture.bpf import KERNEL
from probes.kernel.syscalls import names as names_of
from probes.patience import PATIENCE
from probes.words import visible
from runs.bench.programs import Program
from runs.bench.workloads import ENVIRONMENT, lacking
from runs.processes import python

UNTRACED = "untraced"
_ANSWER = "answer"  # the file that a tool writes to


@dataclass(frozen=True)
class Delivered:
    """What a tool reports: calls by name (None if it reports no calls), and events that the tool itself calls lost."""

    calls: Mapping[str, int] | None
    lost: int = 0

    def of(self, names: Iterable[str]) -> int | None:
        """The calls of these names; all calls where the tool gives no names."""
        if self.calls is None:
            return None
        if self.calls.keys() == {""}:
            return self.calls[""]
        return sum(self.calls.get(name, 0) for name in names)


Reader = Callable[[str, str], Delivered]  # of the answer's text and of what the tool printed beside it


@dataclass(frozen=True)
class Tool:
    """One tool. A tool starts the program itself, or is attached to a process (`attaches`).

    `line` is its command line; {pid} and {folder} are replaced in each word. `share` is the expected share of the throughput.
    """

    name: str
    words: str
    line: tuple[str, ...]
    read: Reader
    package: str = ""
    attaches: bool = False
    attached: Callable[[Program], bool] = lambda _program: True
    needs_tracefs: bool = False
    own_headers: bool = False
    share: float = 1.0
    seconds: float = 0.4  # that start and report take on a quiet machine, to say how long a benchmark takes

    def missing(self) -> str:
        """What is not installed, with Debian's package; "" if nothing."""
        return lacking({self.line[0]: self.package}) if self.package else ""

    def command(self, folder: Path, pid: int = 0, program: Iterable[str] = ()) -> list[str]:
        """The whole command line."""
        words = [word.replace("{folder}", str(folder)).replace("{pid}", str(pid)) for word in self.line]
        return [*(_IN_OWN_MOUNTS if self.needs_tracefs else ()), *words, *program]

    def environment(self, folder: Path) -> dict[str, str]:
        """What its environment has beside the usual. Python prints each line at once."""
        return {"PYTHONUNBUFFERED": "1"} | ({"BCC_KERNEL_SOURCE": str(_headers(folder))} if self.own_headers else {})

    def delivered(self, folder: Path, program: Program) -> Delivered:
        """What it reports, after its end."""
        answer = folder / _ANSWER
        return self.read(answer.read_text(errors="replace") if answer.exists() else "", program.output + program.errors)


# perf mounts tracefs where it is not mounted, and bpftrace and BCC need it: a mount in a namespace ends with the tool
_IN_OWN_MOUNTS = (
    "unshare", "--mount", "sh", "-c",
    '[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"', "sh",
)  # fmt: skip


def _headers(folder: Path) -> Path:
    """The stub headers of the probes, and an empty linux/sched.h for BCC's tools: no kernel headers need to be installed."""
    copy = folder / "headers"
    shutil.copytree(KERNEL / "headers", copy)
    (copy / "include" / "linux" / "sched.h").touch()
    return copy


# -- what the tools print ---------------------------------------------------------------------------------------------


def no_calls(_answer: str, _beside: str) -> Delivered:
    """A tool without a report."""
    return Delivered(None)


def of_clocks(_answer: str, beside: str) -> Delivered:
    r"""What probes/capture/floor.py prints at its end.

    >>> of_clocks("", "attached\n1204 calls\n").calls
    {'': 1204}
    """
    return Delivered({"": int(beside.split()[1])})


def of_iolab(answer: str, _beside: str) -> Delivered:
    """The JSON document of `iolab trace`."""
    document = json.loads(answer)
    calls: dict[str, int] = {}
    for call in document["calls"]:
        calls[call["name"]] = calls.get(call["name"], 0) + call["count"]
    return Delivered(calls, document["events"]["lost"] + document["events"]["unmatched"])


def of_strace_table(answer: str, _beside: str) -> Delivered:
    r"""The table of strace -c: the columns are % time, seconds, usecs/call, calls, errors (may be empty), syscall.

    >>> of_strace_table(" 99.00    0.5    2   201  200 recvfrom\n  1.00    0.1    1   7           read\n", "").calls
    {'recvfrom': 201, 'read': 7}
    """
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?([a-z]\w*)$", answer, re.MULTILINE)
    return Delivered({name: int(calls) for calls, name in rows if name != "total"})


def of_strace_lines(answer: str, _beside: str) -> Delivered:
    r"""The lines of strace -f -T, one per call; a call that another thread interrupts has a second line ("resumed").

    >>> of_strace_lines("12 recvfrom(3) = -1 EAGAIN <0.1>\n12 <... recvfrom resumed>) = 1 <0.2>\n+++\n", "").calls
    {'recvfrom': 1}
    """
    return Delivered(_counted(re.findall(r"^(?:\d+ +)?([a-z]\w*)\(", answer, re.MULTILINE)))


def of_perf_table(answer: str, beside: str) -> Delivered:
    r"""The tables of perf trace -s: a table for each thread, with syscall, calls, errors, ...

    >>> of_perf_table("   recvfrom    201  200   0.8 0.0 0.0 0.1 18.93%\n", "LOST 3 events!").calls
    {'recvfrom': 201}
    """
    rows = re.findall(r"^ +([a-z]\w*) +(\d+) +\d+ +[\d.]+ ", answer, re.MULTILINE)
    calls: dict[str, int] = {}
    for name, count in rows:
        calls[name] = calls.get(name, 0) + int(count)
    return Delivered(calls, _lost(answer + beside))


def of_perf_lines(answer: str, beside: str) -> Delivered:
    r"""The lines of perf trace, one per call; a call that another thread interrupts has a second line ("continued").

    >>> of_perf_lines("  47.1 ( 0.0 ms): ls/2340 close(fd: 1) = 0\n  47.5 (    ): ls/2340 read(fd: 2) ...\n", "").calls
    {'close': 1, 'read': 1}
    """
    return Delivered(_counted(re.findall(r"^[^:]*\): (?:\S+ )?([a-z]\w*)\(", answer, re.MULTILINE)), _lost(answer + beside))


def of_bpftrace_histogram(answer: str, beside: str) -> Delivered:
    r"""The sum of the buckets: "[256, 512)   1234 |@@@@   |".

    >>> of_bpftrace_histogram("@ns: \n[256, 512)   1234 |@@@@ |\n[1K, 2K)   6 |  |\n", "").of(())
    1240
    """
    return Delivered({"": sum(map(int, re.findall(r"^[\[(].*?[)\]] +(\d+) \|", answer, re.MULTILINE)))}, _lost(beside))


def of_bpftrace_lines(answer: str, beside: str) -> Delivered:
    """Lines of a call's number, its result and its duration."""
    names = names_of(platform.machine())
    numbers = _counted(re.findall(r"^(\d+) -?\d+ \d+$", answer, re.MULTILINE))
    return Delivered({names.get(int(number), number): count for number, count in numbers.items()}, _lost(beside))


def of_syscount(_answer: str, beside: str) -> Delivered:
    r"""The table that syscount prints at its end: syscall, count, time.

    >>> of_syscount("", "SYSCALL   COUNT   TIME (us)\nrecvfrom   201   18.3\n").calls
    {'recvfrom': 201}
    """
    return Delivered({name: int(count) for name, count in re.findall(r"^([a-z]\w*) +(\d+) +[\d.]+$", beside, re.MULTILINE)})


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _lost(text: str) -> int:
    r"""Events that perf or bpftrace calls lost.

    >>> _lost("LOST 12 events!\nLost 3 events\n")
    15
    """
    return sum(map(int, re.findall(r"\blost (\d+) events", text, re.IGNORECASE)))


def versions() -> list[str]:
    """The versions of what is installed, each as the program prints it."""
    found = []
    for line in _VERSIONS:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(line, capture_output=True, text=True, timeout=5 * PATIENCE, env=ENVIRONMENT, check=False)
            found += [visible(words.strip()) for words in (done.stdout + done.stderr).splitlines()[:1] if words.strip()]
    return found


_VERSIONS = (
    ["bpftrace", "--version"], ["perf", "--version"], ["strace", "-V"], ["redis-server", "--version"], ["nginx", "-v"],
)  # fmt: skip

# -- the tools --------------------------------------------------------------------------------------------------------

_SLEEPING_IN = {"epoll_wait", "epoll_pwait", "poll", "ppoll"}


def _in_its_loop(program: Program) -> bool:
    """Is bpftrace attached? It prints nothing then; it sleeps in epoll_wait (proc(5), /proc/PID/syscall)."""
    try:
        number = Path(f"/proc/{program.pid}/syscall").read_text().split()[0]
    except OSError:
        return False
    return number.isdigit() and names_of(platform.machine()).get(int(number)) in _SLEEPING_IN


def _prints(word: str) -> Callable[[Program], bool]:
    return lambda program: word in program.output


_HISTOGRAM = """\
tracepoint:raw_syscalls:sys_enter /pid == {pid}/ { @start[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit /pid == {pid} && @start[tid]/ { @ns = hist(nsecs - @start[tid]); delete(@start[tid]); }
END { clear(@start); }"""
_LINES = """\
tracepoint:raw_syscalls:sys_enter /pid == {pid}/ { @start[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit /pid == {pid} && @start[tid]/ {
    printf("%d %d %d\\n", args->id, args->ret, nsecs - @start[tid]); delete(@start[tid]);
}
END { clear(@start); }"""
_TO_FILE = f"{{folder}}/{_ANSWER}"

TOOLS: tuple[Tool, ...] = (
    Tool(UNTRACED, "untraced", (), no_calls, seconds=0.05),
    Tool(
        "iolab", "iolab trace", (*python("tasks"), "trace", "--json", "--out", _TO_FILE, "--"), of_iolab, share=0.6, seconds=1.2
    ),
    Tool(
        "empty", "empty probes", tuple(python("probes.capture.floor")), no_calls,
        attaches=True, attached=_prints("attached"), share=0.9,
    ),
    Tool(
        "clocks", "clocks alone", (*python("probes.capture.floor"), "{pid}"), of_clocks,
        attaches=True, attached=_prints("attached"), share=0.8,
    ),
    Tool(
        "bpftrace", "bpftrace hist", ("bpftrace", "-o", _TO_FILE, "-e", _HISTOGRAM), of_bpftrace_histogram, "bpftrace",
        attaches=True, attached=_in_its_loop, needs_tracefs=True, share=0.6,
    ),
    Tool(
        "bpftrace_lines", "bpftrace lines", ("bpftrace", "-o", _TO_FILE, "-e", _LINES), of_bpftrace_lines, "bpftrace",
        attaches=True, attached=_in_its_loop, needs_tracefs=True, share=0.3,
    ),
    Tool(
        "perf_s", "perf trace -s", ("perf", "trace", "-s", "-o", _TO_FILE, "--"), of_perf_table, "linux-perf",
        needs_tracefs=True, share=0.2,
    ),
    Tool(
        "perf", "perf trace", ("perf", "trace", "-o", _TO_FILE, "--"), of_perf_lines, "linux-perf",
        needs_tracefs=True, share=0.2,
    ),
    Tool(
        "strace_c", "strace -c", ("strace", "-f", "-c", "-o", _TO_FILE, "--"), of_strace_table, "strace",
        share=0.1, seconds=0.1,
    ),
    Tool(
        "strace", "strace -f -T", ("strace", "-f", "-T", "-o", _TO_FILE, "--"), of_strace_lines, "strace",
        share=0.1, seconds=0.1,
    ),
    Tool(
        "syscount", "syscount -L", ("syscount-bpfcc", "-L", "-T", "1000", "-p", "{pid}"), of_syscount, "bpfcc-tools",
        attaches=True, attached=_prints("Tracing"), needs_tracefs=True, own_headers=True, share=0.6,
    ),
)  # fmt: skip
