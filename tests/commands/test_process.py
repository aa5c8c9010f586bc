"""The process of iolab: no file of its own gets the number of a descriptor that the user closed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

CODE = """
import os, sys
sys.path.insert(0, {root!r})
from commands import process
process.prepare_process()
numbers = [number for number in range(3) if os.path.samestat(os.fstat(number), os.stat(os.devnull))]
assert open({root!r} + "/README.md").fileno() > 2
os.write(int(sys.argv[1]), repr((process.closed_at_start(), numbers)).encode())
"""


@pytest.mark.parametrize(("closed", "spare"), [((), 1), ((0,), 1), ((0, 1), 2), ((0, 2), 1), ((0, 1, 2), 3)])
def test_closed_descriptors_lead_to_dev_null(closed: tuple[int, ...], spare: int) -> None:
    redirections = " ".join(f"{number}>&-" for number in closed)
    python = f"{sys.executable} -I -S -c '{CODE.format(root=str(ROOT)).replace(chr(39), chr(34))}' {spare}"
    done = subprocess.run(
        ["bash", "-c", f"exec {python} 3>&1 {redirections}"], capture_output=True, text=True, stdin=subprocess.PIPE
    )
    assert done.stdout + done.stderr == repr((closed, list(closed)))


def test_the_user_did_not_start_the_script_and_nothing_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    from commands import process

    monkeypatch.delenv("IOLAB_STARTED", raising=False)
    monkeypatch.setattr("os.execv", lambda *_: pytest.fail("./iolab was started"))
    process.prepare()
    monkeypatch.setenv("IOLAB_STARTED", "1")
    monkeypatch.setenv("IOLAB_PREPARED", "1")
    process.prepare()
