"""`invoke test`: the linters and the tests."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_START = [sys.executable, "-I", str(ROOT / "runs" / "start.py")]  # nothing of the environment and of other folders is imported
HELP: dict[str, str] = {}
_LINTERS = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", "."])


def test(*, rest: list[str]) -> int:
    """Run the linters and the tests.

    --live runs only the tests that need the kernel, --pure only those that don't. Files, -k EXPRESSION, --durations N and all
    other options go to pytest, and the linters are left out then: ./iolab test tests/probes -k ring --durations 10
    """
    parser = argparse.ArgumentParser(prog="./iolab test", add_help=False, allow_abbrev=False)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--pure", action="store_true")
    options, for_pytest = parser.parse_known_args(rest)
    if not for_pytest:
        for linter in _LINTERS:
            if status := subprocess.run([*_START, *linter], cwd=ROOT).returncode:
                return min(status, 1)
    chosen = ["-m", "live"] if options.live else ["-m", "not live"] if options.pure else []
    return subprocess.run([*_START, "pytest", *chosen, *for_pytest], cwd=ROOT).returncode
