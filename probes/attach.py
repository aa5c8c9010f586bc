"""What is attached where: each probe with its candidates, tried in order until the kernel takes one.

A candidate is a hook and the program that serves it. Whether the kernel has the hook is asked of its BTF; whether it takes
the program, by loading it. A probe that finds no candidate is reported as unavailable, with the reason; only the required
ones stop the instrument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probes.btf import Btf
from probes.errors import CannotTrace
from probes.records import Hit
from probes.result import Probe, Quality


@dataclass(frozen=True)
class Hook:
    """One place in the kernel and the program for it. `kind` is tracepoint (raw), later fentry and kprobe as well."""

    place: str
    program: str
    quality: Quality = Quality.MEASURED
    kind: str = "tracepoint"


@dataclass(frozen=True)
class Wanted:
    """A probe by what it shows, its candidates in order of preference, and what is lost without it."""

    name: str
    hit: Hit | None
    hooks: tuple[Hook, ...]
    without: str
    required: bool = False


PROBES = (
    Wanted("call enter", Hit.ENTER, (Hook("raw_syscalls:sys_enter", "on_enter"),), "no system calls", required=True),
    Wanted("call exit", Hit.EXIT, (Hook("raw_syscalls:sys_exit", "on_exit"),), "no system calls", required=True),
    Wanted("switch", Hit.SWITCH, (Hook("sched:sched_switch", "on_switch"),), "no sleeps", required=True),
    Wanted("wake-up", Hit.WAKING, (Hook("sched:sched_waking", "on_waking"),), "no wakers", required=True),
    Wanted("fork", Hit.FORK, (Hook("sched:sched_process_fork", "on_fork"),), "children are not followed", required=True),
    Wanted("kernel worker", Hit.START, (Hook("sched:sched_wakeup_new", "on_start"),), "workers of the kernel are not followed"),
    Wanted("rename", Hit.NAME, (Hook("task:task_rename", "on_name"),), "new names of threads show only at their end"),
    Wanted("exec", Hit.EXEC, (Hook("sched:sched_process_exec", "on_exec"),), "programs are not named", required=True),
    Wanted("exit", Hit.GONE, (Hook("sched:sched_process_exit", "on_gone"),), "threads have no end", required=True),
    Wanted(
        "data ready",
        Hit.READY,
        (
            Hook("sock:sk_data_ready", "on_ready"),
            Hook("tcp:tcp_probe", "on_segment", Quality.BOUNDED),
        ),
        "when data became ready",
    ),
    Wanted("new connection", None, (Hook("sock:inet_sock_set_state", "on_state"),), "when data became ready"),
    Wanted("copy", Hit.COPY, (Hook("skb:skb_copy_datagram_iovec", "on_copy", Quality.BOUNDED),), "the copy to user space"),
    Wanted(
        "copied", Hit.COPIED, (Hook("tcp:tcp_rcv_space_adjust", "on_copied"),), "the end of the copy, and which socket it was"
    ),
    Wanted("datagram taken", Hit.RECEIVED, (Hook("sock:sock_recv_length", "on_received"),), "messages over UDP"),
)


def attach(btf: Btf, load: Callable[[Hook], None], wanted: tuple[Wanted, ...] = PROBES) -> list[Probe]:
    """Attaches each probe's first candidate that works, by calling `load`, which raises OSError when refused.

    Raises CannotTrace if a required one finds none.
    """
    attached = []
    for one in wanted:
        reasons = []
        for hook in one.hooks:
            if btf.tracepoint(hook.place.split(":")[1]) is None:
                reasons.append(f"{hook.kind}:{hook.place}: this kernel has none")
                continue
            try:
                load(hook)
            except OSError as error:
                reasons.append(f"{hook.kind}:{hook.place}: {error}")
                continue
            attached.append(Probe(one.name, f"{hook.kind}:{hook.place}", hook.quality))
            break
        else:
            why = "; ".join(reasons)
            if one.required:
                raise CannotTrace(f"the kernel takes no probe for {one.name} ({why})", "invoke doctor says what is missing")
            attached.append(Probe(one.name, None, Quality.UNAVAILABLE, f"{why}; without it: {one.without}"))
    return attached
