"""The cost of each kind of attach point on this kernel: `python -m probes.capture.cost` measures them in one run.

The same program, which increments one counter, is attached to each kind of hook in turn. One short system call (getppid) is
made many times with the program and without it, by turns. The cost of one hit is the difference of the fastest rounds. In an
emulator only the ratios are valid. An idle program is attached to the exit of system calls all the time: while any process
traces system calls, the kernel takes a slower path through each call (SYSCALL_WORK_SYSCALL_TRACEPOINT), and no hook causes
that cost.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from probes.capture.bpf import ENDS, compile_bpf, complaint, program_on, quiet

_CALLS, _ROUNDS = 50, 400  # with many short rounds, some run undisturbed
_TURNS = 6  # with the program and without it; the speed of a machine changes with time
_FUNCTION = "__task_pid_nr_ns"  # getppid calls it once, on every architecture
_TEXT = """
BPF_PERCPU_ARRAY(hits, u64, 1);
static inline int one(void) { int zero = 0; u64 *n = hits.lookup(&zero); if (n) (*n)++; return 0; }
int idle(void *ctx) { return 0; }
int tracepoint(void *ctx) { return one(); }
int kprobe(void *ctx) { return one(); }
KFUNC_PROBE(FUNCTION) { return one(); }
KRETFUNC_PROBE(FUNCTION) { return one(); }
"""


@dataclass(frozen=True)
class Cost:
    """One kind of hook: ns per hit, or None, with the reason in `refused`."""

    kind: str
    ns: float | None
    refused: str = ""


def _fastest() -> float:
    """Ns per call, of the fastest round."""

    def once() -> int:
        start = time.thread_time_ns()
        for _ in itertools.repeat(None, _CALLS):
            os.getppid()
        return time.thread_time_ns() - start

    return min(once() for _ in range(_ROUNDS)) / _CALLS


def measure() -> list[Cost]:
    """The call itself, then each kind. Raises CannotTrace without BCC, Exception if BCC can't compile."""
    found = [Cost("the call itself", _fastest())]
    with quiet():
        bpf = compile_bpf(_TEXT.replace("FUNCTION", _FUNCTION).encode())
    try:
        return found + _by_kind(bpf)
    finally:
        bpf.cleanup()


def _refusal(attach: Callable[[], object]) -> str:
    """Attaches the program. The reason if that fails, "" otherwise."""
    with quiet() as said:
        try:
            attach()
        except Exception as error:
            failure = str(error)
        else:
            return ""
    return complaint(said[-1]) or failure


def _by_kind(bpf: Any) -> list[Cost]:
    found: list[Cost] = []
    kfunc, kretfunc = (program_on(bpf, ENDS[kind], _FUNCTION) for kind in ("fentry", "fexit"))
    bpf.attach_raw_tracepoint(b"sys_exit", b"idle")
    function = {"event": _FUNCTION.encode()}
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "raw tracepoint": (
            lambda: bpf.attach_raw_tracepoint(b"sys_enter", b"tracepoint"), lambda: bpf.detach_raw_tracepoint(b"sys_enter"),
        ),
        "fentry": (lambda: bpf.attach_kfunc(fn_name=kfunc), lambda: bpf.detach_kfunc(fn_name=kfunc)),
        "fexit": (lambda: bpf.attach_kretfunc(fn_name=kretfunc), lambda: bpf.detach_kretfunc(fn_name=kretfunc)),
        "kprobe": (lambda: bpf.attach_kprobe(fn_name=b"kprobe", **function), lambda: bpf.detach_kprobe(**function)),
        "kretprobe": (lambda: bpf.attach_kretprobe(fn_name=b"kprobe", **function), lambda: bpf.detach_kretprobe(**function)),
    }  # fmt: skip
    for kind, (attach, detach) in ways.items():
        hits = sum(bpf[b"hits"][0])
        without, traced = _fastest(), math.inf
        refused = _refusal(attach)
        for _ in range(_TURNS):
            if refused:
                break
            traced = min(traced, _fastest())
            detach()
            without = min(without, _fastest())
            refused = _refusal(attach)  # before 5.15 the kernel takes a loaded fentry program only once
        else:
            detach()
        ns = traced - without
        if traced == math.inf:
            found.append(Cost(kind, None, refused))
            continue
        if sum(bpf[b"hits"][0]) == hits:
            found.append(Cost(kind, None, "it was attached, but it never ran"))
        elif ns <= 0:
            found.append(Cost(kind, None, "the difference is too small beside what else this machine did at the same time"))
        else:
            found.append(Cost(kind, ns))
    return found


if __name__ == "__main__":
    costs = measure()
    point = next((cost.ns for cost in costs if cost.kind == "raw tracepoint" and cost.ns), None)
    for cost in costs:
        times = f"  x{cost.ns / point:.1f}" if cost.ns and point and cost.kind != "the call itself" else ""
        print(f"{cost.kind:>16}  " + (f"{cost.ns:7.0f} ns{times}" if cost.ns is not None else f"no figure: {cost.refused}"))
