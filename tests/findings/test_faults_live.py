"""Faults in programs that run under the probes now: `trace --json` names each, and is quiet on the right twin."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROGRAMS, iolab, tool

pytestmark = pytest.mark.live
BUSY = {"gets-a-cpu"}  # on a machine that runs other tests


def broken(folder: Path, program: str, way: str) -> dict[str, str]:
    """The findings of one way of a program of tests/programs/faults, with their evidence."""
    target, answer = folder / program, folder / "answer"
    if not target.exists():
        source = PROGRAMS / "faults" / f"{program}.c"
        gcc = [tool("gcc", "gcc libc6-dev"), "-O1", "-Wall", "-Wno-unused-result", "-pthread"]
        subprocess.run([*gcc, str(source), "-o", str(target)], check=True)
    done = iolab("trace", "--json", "--out", str(answer), "--", str(target), way)
    assert done.returncode == 0, done.stderr
    found = json.loads(answer.read_text())["findings"]
    wrong = [each for each in found if each["verdict"] == "broken" and each["property"] not in BUSY]
    return {each["property"]: each["evidence"] for each in wrong}


@pytest.mark.parametrize(
    ("program", "wrong", "right", "name", "words"),
    [
        ("blocking_loop", "mutex", "right", "blocks-only-in-its-wait", "woken by helper"),
        ("epoll_set", "oneshot", "right", "arms-every-descriptor", "EPOLLONESHOT"),
        ("short_send", "wrong", "right", "sends-every-byte", "the rest was never sent"),
        ("sockets", "unread", "read", "reads-every-byte", "2 sockets were closed with 24 bytes"),
        ("deaths", "fault", "right", "dies-of-no-signal", "SIGSEGV ended 3 processes"),
        ("delayed_ack", "wrong", "nodelay", "waits-for-no-acknowledgement", "of about 40 ms"),
    ],
)
def test_a_fault_is_found_and_its_right_twin_is_quiet(
    kernel: None, tmp_path: Path, program: str, wrong: str, right: str, name: str, words: str
) -> None:
    found = broken(tmp_path, program, wrong)
    assert found.keys() == {name} and words in found[name]
    assert not broken(tmp_path, program, right)
