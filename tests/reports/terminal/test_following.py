"""The line of a call: result or errno, phases in words, descriptors in words; whole words at any width; text escaped."""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
from pathlib import Path

import pytest

from findings.following import Following, Wanted
from probes.kernel import records
from probes.kernel.records import CallFlag, Kind
from probes.measure.reader import Reader
from reports.terminal.following import Lines
from tests.conftest import recording_of
from tests.probes.measure.streams import NUMBERS, STACKS, record, recording

_COLOUR = re.compile(r"\x1b\[\d*m")


class Terminal(io.TextIOWrapper):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def lines(data: bytes, following: Following, path: Path, columns: int | None = None) -> list[str]:
    kind = Terminal if columns else io.TextIOWrapper
    with kind(path.open("wb"), encoding="utf-8") as file:
        assert Lines(file).write(following.read(data), following)
    return path.read_text().split("\n")[:-1]


def of_recording(name: str, path: Path, columns: int | None = None) -> list[str]:
    whole = recording_of(name)
    return lines(whole.data, Following(Reader(dataclasses.replace(whole, data=b"")), Wanted()), path, columns)


def one(path: Path, *items: object, columns: int | None = None, name: str = "server", **stacks: object) -> list[str]:
    """The lines of a thread's records, without the heading and the thread's begin."""
    born = record(Kind.THREAD, tid=7, ns_tid=7, ns_tgid=7, start=1_000_000, comm=name)
    reader = Reader(dataclasses.replace(recording([]), stacks=STACKS | {9: ("ep_eventpoll_release",), 8: ("sock_close",)}))
    data = b"".join(map(records.encode, (born, *items)))
    return lines(data, Following(reader, Wanted()), path, columns)[2:]


def call(name: str, *args: int, **values: object) -> object:
    blank = {"nr": NUMBERS[name], "args": (*args, 0, 0, 0, 0)[:4], "enter": 2_000_000, "exit": 3_000_000}
    return record(Kind.CALL, **blank | values)


def test_a_call_with_its_phases(tmp_path: Path) -> None:
    slept = record(
        Kind.SLEEP, off=2_000_010, woken=2_500_010, on=2_600_010, stack=1, waker_stack=2, waker_comm="wrk", waker_tid=9
    )
    waited = call("epoll_wait", 12, 0x7F00, 512, 0xFFFFFFFF, ret=1, wait=500_000, delay=100_000, sleeps=1, release=9)
    (line,) = one(tmp_path / "a", slept, waited)
    assert line == (
        "   0.002000 server 7              1.00 ms epoll_wait(epoll[12], 0x7f00, 512, -1) = 1; asleep 500 us on epoll,"
        " woken by wrk 9 through a socket; 100 us for a CPU"
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (call("recvfrom", 5, 1, 100, 0x40, ret=-11, release=8, socket_kind=2 | 1 << 8 | 6 << 16),
         "recvfrom(TCP[5], 0x1, 100, MSG_DONTWAIT, ...) = -1 EAGAIN"),
        (call("accept4", 3, 0, 0, 0o2004000, ret=-512), "accept4(3, NULL, NULL, SOCK_CLOEXEC|SOCK_NONBLOCK) = ? ERESTARTSYS ("),
        (call("exit_group", 3, flags=int(CallFlag.NO_RETURN)), "exit_group(3) = ? (never returned)"),
        (call("read", 0, 1, 9, flags=int(CallFlag.OPEN)), "read(0, 0x1, 9) = ? (under way at the end)"),
        (call("getpid", ret=-38, flags=int(CallFlag.REFUSED)), "- getpid() = -1 ENOSYS; answered by a seccomp filter"),
        (call("openat", 0xFFFFFF9C, 0x10, 0o2000000, 0o644, ret=3), "openat(AT_FDCWD, 0x10, O_RDONLY|O_CLOEXEC) = 3"),
        (call("openat", 0xFFFFFF9C, 0x10, 0o101, 0o644, ret=3), "openat(AT_FDCWD, 0x10, O_WRONLY|O_CREAT, 0644) = 3"),
        (call("epoll_ctl", 4, 1, 5, 0x80000001), "epoll_ctl(4, EPOLL_CTL_ADD, 5, EPOLLIN|EPOLLET) = 0"),
        (call("mmap", 0, 8192, 3, 34, ret=0x7F0000000000),
         "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, ...) = 0x7f0000000000"),
        (call("execve", 1, 2, 3), "execve(...) = 0"),
        (call("kill", 0xFFFFFFFF, 9), "kill(-1, SIGKILL) = 0"),
        (record(Kind.BURST, nr=NUMBERS["recvfrom"], fd=4, ret=-11, count=1234, first=2_000_000, last=3_000_000, longest=70),
         "recvfrom(4, ...) = -1 EAGAIN; 1,234 times in a row, the longest 70 ns"),
    ],
)  # fmt: skip
def test_results_and_arguments_have_the_words_of_the_manual(tmp_path: Path, made: object, words: str) -> None:
    (line,) = one(tmp_path / "a", made)
    assert words in line


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_a_terminal_gets_whole_words_within_its_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = of_recording("faults/convoy-right", tmp_path / "tty", columns)
    assert any(_COLOUR.search(line) for line in coloured)
    shown = [_COLOUR.sub("", line) for line in coloured]
    assert max(map(len, shown)) <= columns
    pairs = itertools.pairwise(shown)
    assert not any(re.search(r"\d$", line) and re.match(r"\s+(ns|us|ms|s)\b", after) for line, after in pairs)
    plain = of_recording("faults/convoy-right", tmp_path / "pipe")
    assert " ".join(" ".join(shown).split()) == " ".join(" ".join(plain).split()), "the same words"


def test_a_pipe_gets_one_line_for_each_event(tmp_path: Path) -> None:
    plain = of_recording("faults/convoy-right", tmp_path / "pipe")
    assert plain[0].startswith("seconds since ") and "\x1b" not in "".join(plain)
    assert all(re.match(r" *\d+\.\d{6} \S+.* \d+ ", line) for line in plain[1:])


def test_text_of_programs_is_escaped(tmp_path: Path) -> None:
    (line,) = one(tmp_path / "a", call("getpid", ret=7), name="a\x1b[2J\x07")
    assert "a\\x1b[2J\\x07 7" in line
