"""The assertion of docs/engineers.md is run as it stands there, on documents of a wrong program and of a right one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reports import document
from runs.report import report
from tests.conftest import ROOT, checked

(SNIPPET,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "engineers.md").read_text(), re.MULTILINE | re.DOTALL)


def asserted(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The snippet's run in a folder with the JSON document of that recording."""
    (folder / "trace.json").write_text(json.dumps(document.document(report(checked(name)))))
    return subprocess.run([sys.executable, "-I", "-c", SNIPPET], cwd=folder, capture_output=True, text=True)


def test_a_lock_in_an_event_loop_is_refused_with_its_holder(tmp_path: Path) -> None:
    done = asserted("lock_in_loop", tmp_path)
    assert done.returncode == 1
    found = re.search(r"slept on futex, at most (\d+) ms, woken by (.*)", done.stderr)
    assert found and 140 <= int(found[1]) <= 250
    threads = {str(thread.tid) for thread in checked("lock_in_loop").threads[1:]}
    assert set(re.findall(r"python3 (\d+)", found[2])) <= threads


@pytest.mark.parametrize("name", ["epoll", "selectors", "asyncio"])
def test_an_event_loop_that_takes_no_lock_passes(name: str, tmp_path: Path) -> None:
    done = asserted(name, tmp_path)
    assert done.returncode == 0, done.stderr
