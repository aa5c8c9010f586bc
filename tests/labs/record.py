"""Records labs anew into tests/data: `python -m tests.labs.record NAME ...`, as root. Busy servers get less traffic.

`./iolab lab NAME --save` would do, but a server that never sleeps makes thousands of calls in the lab's own traffic, and each
test of its recording would measure them all.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import labs
from probes.measure.result import Check
from runs.lab import measure_and_check, record
from tests.conftest import DATA
from tests.labs.test_checks import HOLDS, NOT_ON_LINUX

LESS: dict[str, dict[str, Any]] = {
    "always_writable": {"messages": 2, "gap_ms": 2},
    "edge_starvation": {"gap_ms": 3, "flood_ms": 30},
}


def holds(lab: str, check: Check) -> bool:
    """Whether the run shows the statement, as tests/labs/test_checks.py asks of every recording."""
    return check.verdict in HOLDS or (lab, check.name) in NOT_ON_LINUX


def main(names: list[str]) -> int:
    """Records the labs of these names. 1 if a check of one does not hold, or is not shown; that recording is not kept."""
    failed = 0
    for name in names:
        traffic = dataclasses.replace(labs.find(name).traffic, **LESS.get(name, {}))
        recording = record(name, traffic, lambda words: None)
        missing = [f"{check.name}: {check.evidence}" for check in measure_and_check(recording).checks if not holds(name, check)]
        if missing:
            print(f"{name}: {'; '.join(missing)}", file=sys.stderr)
            failed = 1
        else:
            recording.save(str(DATA / f"{name}.iolab"))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
