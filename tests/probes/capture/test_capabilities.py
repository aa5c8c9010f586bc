"""What doctor finds is what the instrument can do, and each gap comes with what to do about it."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from probes.capture import capabilities
from probes.capture.privileges import Finding, State
from tests.conftest import ROOT


def asked(expression: str, before: str = "") -> str:
    """The finding of a process of its own, which may lower its limits first."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom probes.capture import capabilities\n{before}\nprint({expression})"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_a_missing_requirement_stops_tracing() -> None:
    found = [Finding("a", State.YES, ""), Finding("b", State.LIMITED, "", "c"), Finding("d", State.INFO, "")]
    assert capabilities.can_trace(found)
    assert not capabilities.can_trace([*found, Finding("e", State.NO, "", "f")])


@pytest.mark.parametrize(("soft", "state"), [(64, "limited"), (None, "info")])
def test_a_low_limit_of_descriptors_is_reported(soft: int | None, state: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = (soft, soft) if soft else (min(hard, 4096), hard)
    before = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, {limit})"
    words = asked("*(f'{finding.name}|{finding.state}|{finding.found}' for finding in capabilities._limits())", before)
    name, shown, found = words.split(" RLIMIT_MEMLOCK")[0].split("|")
    assert (name, shown) == ("RLIMIT_NOFILE", state)
    assert found == f"soft limit {limit[0]:,}, hard limit {limit[1]:,}"


def test_a_missing_bcc_is_reported_with_its_package() -> None:
    before = "sys.modules['bcc'] = None  # as Python does for a module that it may not import"
    state, words, remedy = asked("*capabilities._bcc().__dict__.values(), sep='|'", before).split("|")[1:]
    assert state == "no" and "BCC is missing" in words and "python3-bpfcc" in remedy


@pytest.mark.live
def test_doctor_and_the_instrument_agree(kernel: None) -> None:
    found = {finding.name: finding for finding in capabilities.examine()}
    assert len(found) == len(capabilities.examine()), "each name once"
    probes = [finding for name, finding in found.items() if name.startswith("probe: ")]
    assert f"{sum(probe.state is State.YES for probe in probes)} of {len(probes)} probes" in found["instrument"].found
    for kind in ("fentry", "kprobe"):
        used = any(f"{kind}:" in probe.found for probe in probes if probe.state is State.YES)
        assert not used or found[kind].state is State.YES, "what a probe uses, doctor finds possible"
    assert any("fentry:" in probe.found for probe in probes if probe.state is State.YES) == (found["fentry"].state is State.YES)
    assert capabilities.can_trace(list(found.values()))


@pytest.mark.live
def test_doctor_leaves_no_program_behind(kernel: None) -> None:
    def loaded() -> int:
        return sum("bpf-prog" in str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())

    before = loaded()
    capabilities.examine()
    assert loaded() == before


def test_every_gap_has_a_remedy() -> None:
    for finding in (capabilities._io_uring(), capabilities._seccomp(), capabilities._tracefs(), capabilities._btf()):
        assert finding.state in (State.YES, State.INFO) or finding.remedy, finding
