"""What a hook costs is measured where the kernel takes it, and refused with a reason elsewhere."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.live


def test_each_kind_is_measured_or_says_why_not(kernel: None) -> None:
    from probes.capture.cost import measure

    bare, point, *functions = measure()
    assert bare.ns and bare.ns > 0
    assert point.kind == "raw tracepoint" and point.ns is not None, point
    assert [function.kind for function in functions] == ["fentry", "fexit", "kprobe", "kretprobe"]
    assert all((function.ns is None) == bool(function.refused) for function in functions)
