"""Shows damaged recordings for as long as you like; each that ends in a traceback, takes long or fills the memory is kept.

    python -m tests.fuzz_recordings --seconds 600

A file that it keeps belongs into tests/hostile, where tests/test_hostile_recordings.py shows it in every run.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType

from tests.damage import damaged, memory, shown

_LONGEST = 10.0  # seconds of CPU for one small file
_MEMORY = 1 << 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=Path("hostile"), help="folder for the files that did harm")
    options = parser.parse_args()
    signal.signal(signal.SIGVTALRM, _too_long)
    end, number, refused, failed = time.monotonic() + options.seconds, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.iolab"
        while time.monotonic() < end:
            words = damaged(number, options.seed, path)
            signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST)
            try:
                with memory(_MEMORY):
                    refused += not shown(path)
            except Exception:
                failed += 1
                _keep(path, options.keep / f"{options.seed}-{number}.iolab", words)
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            number += 1
    print(f"seed {options.seed}: {number} damaged files, {refused} refused in words, {failed} kept in {options.keep}")
    return bool(failed)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {_LONGEST} s")


def _keep(path: Path, target: Path, words: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
    print(f"{target} ({words}):", file=sys.stderr)
    traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
