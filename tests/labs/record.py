"""Records labs anew into tests/data: `python -m tests.labs.record NAME ...`, as root. Busy servers get less traffic.

`./iolab lab NAME --save` would do, but a server that never sleeps makes thousands of calls in the lab's own traffic, and each
test of its recording would measure them all.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import labs
from runs.lab import measure_and_check, record
from tests.conftest import DATA

LESS: dict[str, dict[str, Any]] = {
    "always_writable": {"messages": 2, "gap_ms": 2},
    "edge_starvation": {"gap_ms": 2, "flood_ms": 8},
}


def main(names: list[str]) -> int:
    """Records the labs of these names. 1 if the checks of one do not hold; that recording is not kept."""
    failed = 0
    for name in names:
        traffic = dataclasses.replace(labs.find(name).traffic, **LESS.get(name, {}))
        recording = record(name, traffic, lambda words: None)
        if (verdict := measure_and_check(recording).verdict) == "pass":
            recording.save(str(DATA / f"{name}.iolab"))
        else:
            print(f"{name}: {verdict}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
