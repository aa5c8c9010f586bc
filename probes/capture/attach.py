"""What is attached where: each probe with its candidates, tried in order until the kernel takes one.

A candidate is one hook or several together, each with the program that serves it. Whether the kernel has the hook is asked of
its BTF; whether it takes the program, by loading it. A probe that finds no candidate is reported as unavailable, with the
reason; only the required ones stop the instrument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probes.capture.btf import Btf
from probes.errors import CannotTrace
from probes.kernel.records import Hit
from probes.recording import Probe, Quality


@dataclass(frozen=True)
class Hook:
    """One place in the kernel and the program for it.

    `kind` is tracepoint (raw), with a program by name, or fentry, fexit, kprobe or kretprobe: there `place` is a function,
    and its program bears its name. `only_with`: a struct and its member that tell a kernel where the hook makes sense.
    """

    place: str
    program: str = ""
    kind: str = "tracepoint"
    only_with: tuple[str, str] | None = None

    @property
    def stands_in(self) -> bool:
        """Does it only what another program at the same event was skipped for?"""
        return self.program.endswith("_stand_in")

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


@dataclass(frozen=True)
class Candidate:
    """Hooks that are attached all together or not at all, and what can be said of the figures that they give."""

    hooks: tuple[Hook, ...]
    quality: Quality = Quality.MEASURED

    def __str__(self) -> str:
        return " + ".join(dict.fromkeys(map(str, self.hooks)))


@dataclass(frozen=True)
class ProbeSpec:
    """A probe by what it shows, its candidates in order of preference, and what is lost without it.

    `optional`: it shows what tracepoints can't, and most kernels have a place for it, but not all. `has_partner`: where one of
    its events is missing, the other probe of the pair shows it.
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
        """Of all candidates."""
        return {hook for one in self.candidates for hook in one.hooks}


def _point(place: str, program: str, quality: Quality = Quality.MEASURED) -> Candidate:
    return Candidate((Hook(place, program),), quality)


def _stand_in(place: str, program: str) -> Hook:
    """A second program, for what the first is not asked: newer kernels may preempt a program, and skip it for others meanwhile.
    Their tracepoints may fault, which tells them apart.
    """
    return Hook(place, f"{program}_stand_in", only_with=("tracepoint_ext", "faultable"))


def _twice(place: str, program: str) -> tuple[Candidate, ...]:
    """A tracepoint with a stand-in at the same place, where that makes sense."""
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
        "copy",
        Hit.COPY,
        (
            Candidate((Hook(_COPY, kind="fentry"), Hook(_COPY, kind="fexit"), _stand_in(_COPIES, "on_copy"))),
            Candidate((Hook(_COPY, kind="fentry"), Hook(_COPY, kind="fexit"))),
            # the function sleeps only in a page fault; a return that gets lost is counted (records.Loss.COPY_END)
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
        "how many descriptors a call asked",
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
    if hook.kind == "tracepoint":
        return btf.tracepoint(hook.place.split(":")[1]) is not None
    return btf.has_function(hook.place)


def attach(
    btf: Btf, load: Callable[[Hook], None], unload: Callable[[Hook], None], wanted: tuple[ProbeSpec, ...] = PROBES
) -> list[Probe]:
    """Attaches each probe's first candidate that works, by calling `load`, which raises OSError when refused.

    `unload` takes back the hooks of a candidate that works only in part. Raises CannotTrace if a required probe finds none.
    """
    attached = []
    for one in wanted:
        reasons = []
        for candidate in one.candidates:
            reason = _attach_candidate(btf, load, unload, candidate)
            if reason is None:
                attached.append(Probe(one.name, str(candidate), candidate.quality, optional=one.optional))
                break
            reasons.append(reason)
        else:
            why = "; ".join(reasons)
            if one.required:
                raise CannotTrace(f"the kernel takes no probe for {one.name} ({why})", "invoke doctor says what is missing")
            words = f"{why}; without it: {one.without}"
            attached.append(Probe(one.name, None, Quality.UNAVAILABLE, words, optional=one.optional))
    return attached


def _attach_candidate(
    btf: Btf, load: Callable[[Hook], None], unload: Callable[[Hook], None], candidate: Candidate
) -> str | None:
    """Attaches a candidate whole, or says why not."""
    for hook in candidate.hooks:
        if not _has(btf, hook):
            return f"{hook}: this kernel has none"
    done: list[Hook] = []
    for hook in candidate.hooks:
        try:
            load(hook)
        except OSError as error:
            for one in reversed(done):
                unload(one)
            return f"{hook}: {error}"
        done.append(hook)
    return None
