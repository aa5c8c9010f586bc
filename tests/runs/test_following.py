"""`trace --follow` on real programs: each call has its line, or is counted; the program never waits for the reader."""

from __future__ import annotations

import collections
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from tests.conftest import COMMAND, iolab, tool

pytestmark = pytest.mark.live

LINE = re.compile(r"^ *\d+\.\d{6} \S.* \d+ +(?:[\d.]+ [num]?s|0|-) (\w+)\(.*\) = ")
SCRIPT = "ls / >/dev/null; for i in 1 2 3; do /bin/true; done; cat /no/such/file; exit 3"
# A flood of calls that are all different, so none is folded; then a word on stdout.
FLOOD = "import ctypes; f=ctypes.CDLL(None).syscall\nfor i in range({}): f(110, i)\nprint('done', flush=True)"


def calls_of(text: str) -> collections.Counter[str]:
    """How many calls the lines show, by name."""
    found: collections.Counter[str] = collections.Counter()
    for line in text.splitlines():
        if match := LINE.match(line):
            times = re.search(r"; ([\d,]+) times in a row", line)
            found[match[1]] += int(times[1].replace(",", "")) if times else 1
    return found


def left_out(text: str) -> int:
    return sum(int(number.replace(",", "")) for number in re.findall(r"^\.\.\. ([\d,]+) calls? left out", text, re.MULTILINE))


def test_the_lines_are_the_calls_that_strace_counts(kernel: None, tmp_path: Path) -> None:
    report = tmp_path / "strace"
    subprocess.run([tool("strace", "strace"), "-f", "-qq", "-o", str(report), "sh", "-c", SCRIPT], capture_output=True)
    theirs = collections.Counter(re.findall(r"^\d+ +(\w+)\(", report.read_text(), re.MULTILINE))
    done = iolab("trace", "--follow", "--quiet", "--", "sh", "-c", SCRIPT)
    assert done.returncode == 3
    ours = calls_of(done.stderr)
    for name in {
        "execve",
        "rt_sigreturn",
        "restart_syscall",
        "rt_sigprocmask",
        "wait4",
    }:  # differ with the start and the timing
        theirs.pop(name, None), ours.pop(name, None)
    for name in ("close", "prctl", "fcntl"):  # of launch.py, before its execve
        if ours[name] != theirs[name]:
            theirs.pop(name, None), ours.pop(name, None)
    assert ours == theirs
    assert not left_out(done.stderr)
    assert "openat(AT_FDCWD, " in done.stderr and "= -1 ENOENT" in done.stderr
    assert len(re.findall(r"--- begins: a process that sh \d+ made", done.stderr)) == 5
    assert re.search(r"sh \d+ +--- ends with status 3\n", done.stderr)


def test_a_reader_that_stands_still_does_not_hold_the_program_up(kernel: None, tmp_path: Path) -> None:
    """No line is read before the program has said that it is done."""
    report = tmp_path / "report"
    program = ["/usr/bin/python3", "-c", FLOOD.format(100_000)]
    line = [*COMMAND, "trace", "--follow", "--json", "--out", str(report), "--", *program]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as runner:
        assert runner.stdout and runner.stderr
        assert runner.stdout.readline() == "done\n"
        text = runner.stderr.read()
        assert runner.wait(60 * PATIENCE) == 0, text[-1000:]
    shown, missing = sum(calls_of(text).values()), left_out(text)
    document = json.loads(report.read_text())
    assert shown > 100  # how many are left out depends on when the reader of the ring gets a CPU
    assert shown + missing == document["details"]["of"] > 100_000
    assert document["events"]["lost"] == document["events"]["unmatched"] == 0


def test_a_part_of_the_calls(kernel: None) -> None:
    done = iolab(
        "trace", "--follow", "--quiet", "--calls", "nanosleep,clock_nanosleep", "--slower-than", "20ms", "--", "sleep", "0.03"
    )
    (line,) = done.stderr.splitlines()[1:]
    assert re.search(r"nanosleep\(.*\) = 0; asleep 3\d\.\d ms on timer, woken by a timer", line)
    done = iolab("trace", "--follow", "--quiet", "--errors", "--", "cat", "/no/such/file")
    assert done.returncode == 1 and set(calls_of(done.stderr)) >= {"openat"}
    assert all(" = -1 E" in line for line in done.stderr.splitlines()[1:] if LINE.match(line))


def test_a_program_that_is_killed(kernel: None) -> None:
    done = iolab("trace", "--follow", "--", "sh", "-c", "kill -KILL $$")
    assert done.returncode == 137
    lines, _, report = done.stderr.partition("trace sh -c")
    assert re.search(r"kill\(\d+, SIGKILL\) = (0|\? \(never returned\))", lines)
    assert re.search(r"--- killed by SIGKILL\n", lines) and "exit status 137 (SIGKILL)" in report


def test_ctrl_c_ends_the_following_of_a_joined_process_and_shows_what_is_under_way(kernel: None) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as program:
        line = [*COMMAND, "trace", "--follow", "--brief", "--pid", str(program.pid)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as runner:
            assert runner.stderr and program.stdin
            while "following" not in (said := runner.stderr.readline()):
                assert said
            program.stdin.write(b"x\n")
            program.stdin.flush()
            while "write(" not in (said := runner.stderr.readline()):
                assert said
            runner.send_signal(signal.SIGINT)
            rest = runner.stderr.read()
            assert runner.wait(20 * PATIENCE) == 0, rest
        assert re.search(r"read\(0, .*\) = \? \(under way at the end\); asleep .* on pipe", rest) and program.poll() is None
        program.stdin.close()
        assert program.wait() == 0


def test_a_reader_that_goes_ends_the_following_of_a_joined_process(kernel: None) -> None:
    spins = "import os\nwhile True: os.getppid(); os.getpid()"
    with subprocess.Popen(["/usr/bin/python3", "-c", spins]) as program:
        try:
            reader, writer = os.pipe()
            line = [*COMMAND, "trace", "--follow", "--details", "none", "--pid", str(program.pid)]
            with subprocess.Popen(line, stderr=writer) as runner:
                os.close(writer)
                while b"getppid(" not in os.read(reader, 65536):
                    pass
                os.close(reader)
                assert runner.wait(30 * PATIENCE) in (2, -signal.SIGPIPE)
            assert program.poll() is None
        finally:
            program.kill()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--errors", "--", "ls"), "--errors needs --follow"),
        (("--quiet", "--", "ls"), "--quiet needs --follow"),
        (("--follow", "--slower-than", "3", "--", "ls"), "--slower-than 3 has no unit of time"),
        (("--follow", "--json", "--", "ls"), "the report of --json needs a file"),
    ],
)
def test_a_wrong_line_is_refused(options: tuple[str, ...], words: str) -> None:
    done = iolab("trace", *options)
    assert done.returncode == 2 and words in done.stderr
