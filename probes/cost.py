"""What each kind of attach point costs on this kernel: `python -m probes.cost` measures them beside each other.

The same program, which counts in one slot, is attached to each kind of hook in turn, and one short system call (getppid) is
made many times with it and, right before and after, without. The difference of the fastest rounds is what one hit costs; in
an emulator only the ratios say something.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from probes.bpf import compile_bpf, complaint, program_on, quiet

_CALLS, _ROUNDS = 1_000, 100  # many short rounds: some of them run undisturbed
_FUNCTION = "__task_pid_nr_ns"  # getppid calls it once, on every architecture
_TEXT = """
BPF_PERCPU_ARRAY(hits, u64, 1);
static inline int one(void) { int zero = 0; u64 *n = hits.lookup(&zero); if (n) (*n)++; return 0; }
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
    """Every kind, the plain call's own time first. Raises CannotTrace where BPF can't be compiled or BTF is missing."""
    ways: dict[str, Callable[[Any], None]] = {
        "raw tracepoint": lambda bpf: bpf.attach_raw_tracepoint(b"sys_enter", b"tracepoint"),
        "fentry": lambda bpf: bpf.attach_kfunc(fn_name=program_on(bpf, "kfunc", _FUNCTION)),
        "fexit": lambda bpf: bpf.attach_kretfunc(fn_name=program_on(bpf, "kretfunc", _FUNCTION)),
        "kprobe": lambda bpf: bpf.attach_kprobe(event=_FUNCTION.encode(), fn_name=b"kprobe"),
        "kretprobe": lambda bpf: bpf.attach_kretprobe(event=_FUNCTION.encode(), fn_name=b"kprobe"),
    }
    found = [Cost("the call itself", _fastest())]
    for kind, way in ways.items():
        refused = ""
        with quiet() as said:
            bpf = compile_bpf(_TEXT.replace("FUNCTION", _FUNCTION).encode())
            before = _fastest()
            try:
                if kind == "raw tracepoint":
                    bpf.load_func(b"tracepoint", bpf.RAW_TRACEPOINT)
                way(bpf)
                traced = _fastest()
                hits = sum(bpf[b"hits"][0])
            except Exception as error:
                traced, hits, refused = 0.0, 0, str(error)
            finally:
                bpf.cleanup()
            ns = traced - min(before, _fastest())
        if refused:
            refused = complaint(said[-1]) or refused
        elif not hits:
            refused = "it was attached, and never ran"
        elif ns <= 0:
            refused = "it can't be told from what else this machine did at the same time"
        found.append(Cost(kind, None, refused) if refused else Cost(kind, ns))
    return found


if __name__ == "__main__":
    costs = measure()
    point = next((one.ns for one in costs if one.kind == "raw tracepoint" and one.ns), None)
    for cost in costs:
        times = f"  x{cost.ns / point:.1f}" if cost.ns and point and cost.kind != "the call itself" else ""
        print(f"{cost.kind:>16}  " + (f"{cost.ns:7.0f} ns{times}" if cost.ns is not None else f"no figure: {cost.refused}"))
