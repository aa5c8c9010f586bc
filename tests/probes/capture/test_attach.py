"""The first candidate that the kernel accepts whole is used. Refusals are named; only a required probe stops the command."""

from __future__ import annotations

import pytest

from probes.capture.attach import PROBES, Candidate, Hook, ProbeSpec, attach
from probes.capture.btf import Btf
from probes.errors import CannotTrace
from probes.kernel.records import Hit
from probes.recording import Quality

POINT, ENTRY, EXIT = Hook("skb:there", "on_it"), Hook("f", kind="fentry"), Hook("f", kind="fexit")
PAIR = Candidate((ENTRY, EXIT))
KPROBE = Candidate((Hook("f", kind="kprobe"),))
BOUND = Candidate((POINT,), Quality.BOUNDED)


class Kernel(Btf):
    """What a kernel has, and takes."""

    def __init__(self, has: set[str], refuses: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.has, self.refuses = has, refuses
        self.loaded: list[str] = []

    def tracepoint(self, name: str) -> list[bool] | None:
        return [True] if name in self.has else None

    def offset(self, structure: str, member: str) -> int | None:
        return 0 if f"{structure}.{member}" in self.has else None

    def has_function(self, name: str) -> bool:
        return name in self.has

    def load(self, hook: Hook) -> None:
        if str(hook) in self.refuses:
            raise OSError("Operation not permitted")
        self.loaded.append(str(hook))

    def unload(self, hook: Hook) -> None:
        self.loaded.remove(str(hook))

    def attach(self, *candidates: Candidate, required: bool = False) -> tuple[str | None, Quality, str]:
        (probe,) = attach(self, self.load, self.unload, (ProbeSpec("it", Hit.COPY, candidates, "nothing", required),))
        return probe.attached, probe.quality, probe.reason


def test_the_first_candidate_that_works_is_the_only_one() -> None:
    kernel = Kernel({"f", "there"})
    assert kernel.attach(PAIR, KPROBE, BOUND) == ("fentry:f + fexit:f", Quality.MEASURED, "")
    assert kernel.loaded == ["fentry:f", "fexit:f"]


def test_a_candidate_is_taken_whole_or_not_at_all() -> None:
    kernel = Kernel({"f", "there"}, refuses={"fexit:f"})
    assert kernel.attach(PAIR, KPROBE, BOUND) == ("kprobe:f", Quality.MEASURED, "")
    assert kernel.loaded == ["kprobe:f"], "the half that worked was taken back"


def test_refused_everywhere_else_the_tracepoint_is_left() -> None:
    kernel = Kernel({"f", "there"}, refuses={"fentry:f", "kprobe:f"})
    assert kernel.attach(PAIR, KPROBE, BOUND) == ("tracepoint:skb:there", Quality.BOUNDED, "")


def test_what_is_not_there_is_not_tried() -> None:
    kernel = Kernel({"there"})
    assert kernel.attach(PAIR, BOUND)[0] == "tracepoint:skb:there"
    assert kernel.loaded == ["tracepoint:skb:there"]


def test_no_candidate_left_is_unavailable_with_every_reason() -> None:
    attached, quality, reason = Kernel({"f"}, refuses={"fentry:f"}).attach(PAIR, BOUND)
    assert (attached, quality) == (None, Quality.UNAVAILABLE)
    reasons = "fentry:f: Operation not permitted; tracepoint:skb:there: this kernel has none"
    assert reason == f"{reasons}; missing without it: nothing"


def test_the_stand_in_comes_where_the_kernel_may_preempt_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = PROBES[0].candidates
    faultable = {"sys_enter", "tracepoint_ext.faultable"}
    for has, preempted, programs in (({"sys_enter"}, True, 1), (faultable, False, 1), (faultable, True, 2)):
        monkeypatch.setattr("probes.capture.attach.preempts", lambda answer=preempted: answer)
        kernel = Kernel(has)
        assert kernel.attach(*candidates) == ("tracepoint:raw_syscalls:sys_enter", Quality.MEASURED, "")
        assert len(kernel.loaded) == programs


def test_a_required_probe_that_finds_none_stops_us_with_the_reason() -> None:
    with pytest.raises(CannotTrace, match=r"no probe for it \(tracepoint:skb:there: this kernel has none\)"):
        Kernel(set()).attach(BOUND, required=True)


def test_tracepoints_alone_are_enough() -> None:
    """What is more than them is said to be, and nothing else depends on functions."""
    for probe in PROBES:
        by_points = [c for c in probe.candidates if all(hook.kind == "tracepoint" for hook in c.hooks)]
        assert bool(by_points) != probe.optional, probe.name
    assert len({probe.name for probe in PROBES}) == len(PROBES)
