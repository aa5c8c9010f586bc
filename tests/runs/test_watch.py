"""`watch` on real programs: counts, roles and waits are right, and the program's output and status stay its own."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.conftest import iolab

pytestmark = pytest.mark.live

PROGRAM = """
import os, sys, threading, time
threading.Thread(target=lambda: time.sleep(1.2), name="sleeper").start()
for _ in range(5000): os.getppid()
print("its own", flush=True)
for _ in range(20): time.sleep(0.05)
os._exit(3)
"""


def test_a_program_is_watched_from_its_start(kernel: None) -> None:
    done = iolab("watch", "--", "/usr/bin/python3", "-c", PROGRAM)
    assert (done.stdout, done.returncode) == ("its own\n", 3)
    seconds, _, summary = done.stderr.partition("CPU: ")
    assert re.search(r"^1\.\d+ s  python3: 1 main thread \(\d+\): CPU .* calls/s", done.stderr, re.MULTILINE), seconds
    assert "getppid 5,000" in summary  # the sums of the whole run, to the call
    assert re.search(r"in clock_nanosleep on timer: 20 sleeps, woken (mostly )?by a timer", summary)
    assert re.search(r"\(\d+, ended\)", summary)


def test_a_process_that_sleeps_all_the_time_is_seen_asleep(kernel: None) -> None:
    """No sum of it grows: the state of its thread says where it is."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            done = iolab("watch", "--pid", str(process.pid), "--seconds", "1.2")
            assert process.poll() is None
        finally:
            process.kill()
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("1.")]
    assert f"sleep: 1 main thread ({process.pid}): CPU 0 %, run queue 0 %, asleep 100 %, 0 calls/s" in line
    assert "100 % in clock_nanosleep on timer: no sleep ended" in line and not done.returncode


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "watch needs a program or a process"),
        (("--pid", "1", "--", "ls"), "watch takes a program or --pid, not both"),
        (("--seconds", "3", "--", "ls"), "--seconds goes with --pid"),
        (("--", "no-such-program"), "there is no program 'no-such-program'"),
    ],
)
def test_a_wrong_line_is_refused(options: tuple[str, ...], words: str) -> None:
    done = iolab("watch", *options)
    assert done.returncode == 2 and words in done.stderr
