"""The start of a server, and the errors: names, variants, UDP, and refusals of the machine."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from servers.__main__ import find, missing, variants
from tests.conftest import ROOT


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "servers", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name the server to start: asyncio, blocking"),
        (("epol",), "there is no server 'epol'; did you mean epoll?"),
        (("nothing",), "there is no server 'nothing'; the servers: asyncio"),
        (("kit.echo",), "there is no server 'kit.echo'"),
        (("__main__",), "there is no server '__main__'"),
        (("select:accept",), "there is no server 'select:accept'"),
        (("asyncio:main",), "there is no server 'asyncio:main'"),
        (("io_uring:fast",), "the servers of io_uring: io_uring, io_uring:multishot, io_uring:sqpoll, io_uring:worker"),
        (("epoll_edge", "--udp"), "epoll_edge has no server for UDP; servers for UDP: asyncio, blocking"),
        (("io_uring:worker", "--udp"), "io_uring:worker has no server for UDP"),
    ],
)
def test_a_wrong_name_ends_with_2_and_says_what_there_is(arguments: tuple[str, ...], words: str) -> None:
    done = start(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_helpers_are_no_servers() -> None:
    assert variants("io_uring") == ["multishot", "sqpoll", "worker"]
    assert [variants(model) for model in ("epoll", "signal_driven", "asyncio", "blocking")] == [[], [], [], []]
    assert find("signal_driven:arm", udp=True) is None
    assert find("io_uring:multishot", udp=True) is None
    assert missing("epoll") is None


def test_the_servers_with_a_mistake_are_found_by_their_variants() -> None:
    assert variants("mistakes.slow_handler") == ["broken", "mended"]
    assert variants("mistakes.poll_pause") == ["pause_10ms", "pause_2ms"]
    assert {"mended", "one_each", "raced"} <= set(variants("mistakes.lost_signal", udp=True))


@pytest.mark.parametrize(
    ("model", "number", "error", "words"),
    [
        ("io_uring", 425, errno.EPERM, "this machine refuses io_uring (io_uring_setup: Operation not permitted)"),
        ("io_uring:sqpoll", 425, errno.ENOSYS, "a container's seccomp filter hides it, and --security-opt seccomp=unconfined"),
        ("io_uring:multishot", 427, errno.EINVAL, "this kernel has no rings of provided buffers"),
    ],
)
def test_what_the_machine_refuses_ends_with_2_and_one_sentence(model: str, number: int, error: int, words: str) -> None:
    line = [sys.executable, "-m", "tests.refusing", str(number), str(error), sys.executable, "-m", "servers", model]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and done.stderr.count("\n") == 1
