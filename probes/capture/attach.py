"""The probes and the places that they are attached to. Each probe has candidates, which are tried in order.

A candidate is one hook, or several hooks together, each with its program. The kernel's BTF shows whether the kernel has the
hook. Loading the program shows whether the kernel accepts it. A probe without a working candidate is reported as unavailable,
with the reason. A required probe without a working candidate stops the instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from probes.capture.btf import Btf
from probes.capture.preemption import preempts
from probes.errors import CannotTrace
from probes.kernel.records import Hit
from probes.recording import Probe, Quality


@dataclass(frozen=True)
class Hook:
    """One place in the kernel and the program for it.

    `kind` is tracepoint (raw), and then `program` is the program's name; or it is fentry, fexit, kprobe or kretprobe, and then
    `place` is a function that gives its program the name. `only_with` is a struct and its member: the hook is used only on
    kernels that have the member. `if_preempted`: only on kernels that preempt their own code.
    """

    place: str
    program: str = ""
    kind: str = "tracepoint"
    only_with: tuple[str, str] | None = None
    if_preempted: bool = False

    @property
    def stands_in(self) -> bool:
        """Whether the program only does the work of another program at the same event that the kernel skipped."""
        return self.program.endswith("_stand_in")

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


@dataclass(frozen=True)
class Candidate:
    """Hooks that are attached all together or not at all, and the quality of the figures that they give."""

    hooks: tuple[Hook, ...]
    quality: Quality = Quality.MEASURED

    def __str__(self) -> str:
        return " + ".join(dict.fromkeys(map(str, self.hooks)))


@dataclass(frozen=True)
class ProbeSpec:
    """A probe: what it shows, its candidates in order of preference, and what is missing without it.

    `optional`: the probe shows what tracepoints can't show, and some kernels have no place for it. `has_partner`: if an event
    of the probe is missing, the other probe of the pair shows that.
    """

    name: str
    hit: Hit | None
    candidates: tuple[Candidate, ...]
    without: str
    required: bool = False
    optional: bool = False
    has_partner: bool = False

    @property
    def hooks(self) -> set[Hook]:
        """The hooks of all candidates."""
        return {hook for candidate in self.candidates for hook in candidate.hooks}


def _point(place: str, program: str, quality: Quality = Quality.MEASURED) -> Candidate:
    return Candidate((Hook(place, program),), quality)


def _stand_in(place: str, program: str) -> Hook:
    """A second program at the same place. Newer kernels may preempt a program, and skip it for other threads meanwhile; these
    kernels have the member `faultable`, since their tracepoints may fault.
    """
    return Hook(place, f"{program}_stand_in", only_with=("tracepoint_ext", "faultable"), if_preempted=True)


def _twice(place: str, program: str) -> tuple[Candidate, ...]:
    """A tracepoint with a stand-in at the same place, or, on kernels that need no stand-in, alone."""
    first = Hook(place, program)
    return Candidate((first, _stand_in(place, program))), Candidate((first,))


def _functions(*places: str, kind: str = "fentry", quality: Quality = Quality.MEASURED) -> Candidate:
    return Candidate(tuple(Hook(place, kind=kind) for place in places), quality)


_COPY, _CHECK, _UDP = "skb_copy_datagram_iter", "__check_object_size", "__skb_recv_udp"
_COPIES = "skb:skb_copy_datagram_iovec"  # in the function _COPY
_POLL_METHODS = ("sock_poll", "pipe_poll", "eventfd_poll")
_WAIT_QUEUES = ("add_wait_queue", "add_wait_queue_exclusive", "remove_wait_queue")

PROBES = (
    ProbeSpec("call enter", Hit.ENTER, _twice("raw_syscalls:sys_enter", "on_enter"), "no system calls", required=True),
    ProbeSpec("call exit", Hit.EXIT, _twice("raw_syscalls:sys_exit", "on_exit"), "no system calls", required=True),
    ProbeSpec("switch", Hit.SWITCH, (_point("sched:sched_switch", "on_switch"),), "no sleeps", required=True),
    ProbeSpec("wake-up", Hit.WAKING, (_point("sched:sched_waking", "on_waking"),), "no wakers", required=True),
    ProbeSpec("fork", Hit.FORK, (_point("sched:sched_process_fork", "on_fork"),), "children are not followed", required=True),
    ProbeSpec(
        "kernel worker", Hit.START, (_point("sched:sched_wakeup_new", "on_start"),), "workers of the kernel are not followed"
    ),
    ProbeSpec("rename", Hit.NAME, (_point("task:task_rename", "on_name"),), "new names of threads show only at their end"),
    ProbeSpec("exec", Hit.EXEC, (_point("sched:sched_process_exec", "on_exec"),), "programs are not named", required=True),
    ProbeSpec(
        "exit of a process",
        None,
        (_point("sched:sched_process_exit", "on_process_gone"),),
        "what is unread in datagram and unix sockets when their process exits",
    ),
    ProbeSpec("exit", Hit.GONE, (_point("sched:sched_process_exit", "on_gone"),), "threads have no end", required=True),
    ProbeSpec(
        "data ready",
        Hit.READY,
        (
            _point("sock:sk_data_ready", "on_ready"),
            _functions("sock_def_readable"),
            _functions("sock_def_readable", kind="kprobe"),
            _point("tcp:tcp_probe", "on_segment", Quality.BOUNDED),
        ),
        "when data became ready",
    ),
    ProbeSpec("new connection", None, (_point("sock:inet_sock_set_state", "on_state"),), "when data became ready"),
    ProbeSpec(
        "closed connection", None, (_point("tcp:tcp_destroy_sock", "on_destroy"),), "what is unread in a closed connection"
    ),
    ProbeSpec(
        "copy",
        Hit.COPY,
        (
            Candidate((Hook(_COPY, kind="fentry"), Hook(_COPY, kind="fexit"), _stand_in(_COPIES, "on_copy"))),
            Candidate((Hook(_COPY, kind="fentry"), Hook(_COPY, kind="fexit"))),
            # The function sleeps only in a page fault. A return that is not reported is counted (Loss.COPY_END).
            Candidate((Hook(_COPY, kind="kprobe"), Hook(_COPY, kind="kretprobe"))),
            _point(_COPIES, "on_copy", Quality.BOUNDED),
        ),
        "the copy to user space",
        has_partner=True,
    ),
    ProbeSpec(
        "copied",
        Hit.COPIED,
        _twice("tcp:tcp_rcv_space_adjust", "on_copied"),
        "the end of the copy, and which socket it was",
        has_partner=True,
    ),
    ProbeSpec(
        "datagram taken",
        Hit.RECEIVED,
        (
            _functions("skb_consume_udp"),
            _point("sock:sock_recv_length", "on_received"),
            _functions("skb_consume_udp", kind="kprobe"),
        ),
        "messages over UDP",
    ),
    ProbeSpec(
        "datagram copy",
        Hit.DATAGRAM,
        (
            Candidate((Hook(_UDP, kind="fentry"), Hook(_CHECK, kind="fexit"))),
            Candidate((Hook(_UDP, kind="kprobe"), Hook(_CHECK, kind="kprobe")), Quality.BOUNDED),
        ),
        "the copy of a datagram in one piece",
        optional=True,
    ),
    ProbeSpec(
        "poll methods",
        Hit.POLLED,
        (_functions(*_POLL_METHODS), _functions(*_POLL_METHODS, kind="kprobe")),
        "how many descriptors a call polled",
        optional=True,
    ),
    ProbeSpec(
        "wait queues",
        Hit.QUEUED,
        (_functions(*_WAIT_QUEUES), _functions(*_WAIT_QUEUES, kind="kprobe")),
        "in how many wait queues a call entered its thread",
        optional=True,
    ),
    ProbeSpec(
        "epoll's callback",
        Hit.READY_LIST,
        (_functions("ep_poll_callback"), _functions("ep_poll_callback", kind="kprobe")),
        "when epoll's callback put a descriptor on the ready list",
        optional=True,
    ),
)


def _has(btf: Btf, hook: Hook) -> bool:
    if hook.only_with and btf.offset(*hook.only_with) is None:
        return False
    if hook.if_preempted and not preempts():
        return False
    if hook.kind == "tracepoint":
        return btf.tracepoint(hook.place.split(":")[1]) is not None
    return btf.has_function(hook.place)


def first_choices(btf: Btf, wanted: tuple[ProbeSpec, ...] = PROBES) -> Iterator[Hook]:
    """The tracepoints of the first candidate of each probe, where this kernel has all of them. Those of all calls are first."""
    for spec in wanted:
        chosen = next((each for each in spec.candidates if all(_has(btf, hook) for hook in each.hooks)), None)
        yield from (hook for hook in (chosen.hooks if chosen else ()) if hook.kind == "tracepoint")


class Refused(CannotTrace):
    """The kernel accepts no candidate of a required probe."""


def attach(
    btf: Btf, load: Callable[[Hook], None], unload: Callable[[Hook], None], wanted: tuple[ProbeSpec, ...] = PROBES
) -> list[Probe]:
    """Attaches the first candidate of each probe that works.

    `load` raises OSError if the kernel refuses a hook; `unload` detaches the other hooks of that candidate. Raises Refused if
    no candidate of a required probe works.
    """
    attached = []
    for spec in wanted:
        reasons = []
        for candidate in spec.candidates:
            reason = _attach_candidate(btf, load, unload, candidate)
            if reason is None:
                attached.append(Probe(spec.name, str(candidate), candidate.quality, optional=spec.optional))
                break
            reasons.append(reason)
        else:
            why = "; ".join(reasons)
            if spec.required:
                raise Refused(f"the kernel takes no probe for {spec.name} ({why})", "invoke doctor says what is missing")
            words = f"{why}; missing without it: {spec.without}"
            attached.append(Probe(spec.name, None, Quality.UNAVAILABLE, words, optional=spec.optional))
    return attached


def _attach_candidate(
    btf: Btf, load: Callable[[Hook], None], unload: Callable[[Hook], None], candidate: Candidate
) -> str | None:
    """Attaches all hooks of a candidate, or none of them. The reason if that fails, None otherwise."""
    for hook in candidate.hooks:
        if not _has(btf, hook):
            return f"{hook}: this kernel has none"
    done: list[Hook] = []
    for hook in candidate.hooks:
        try:
            load(hook)
        except OSError as error:
            for loaded in reversed(done):
                unload(loaded)
            return f"{hook}: {error}"
        done.append(hook)
    return None
