"""The messages of the sandbox: only whole lines count, in any number of pieces, and a sandbox may end or fail."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from probes.errors import CannotTrace
from runs.submission.exchange import Exchange, News

Ends = tuple[Exchange, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The runner's end of an exchange, and the sandbox's socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Exchange(ours), theirs


def say(sandbox: socket.socket, **words: object) -> None:
    sandbox.sendall(json.dumps(words).encode() + b"\n")


def test_news_are_taken_as_they_come(ends: Ends) -> None:
    exchange, sandbox = ends
    assert exchange.take() and exchange.news == News()
    say(sandbox, started=300, refused=["/sys: EPERM"])
    say(sandbox, ended=-9)
    assert exchange.take()
    assert exchange.news == News(started=300, refused=("/sys: EPERM",), ended=-9)


def test_half_a_line_is_no_news(ends: Ends) -> None:
    exchange, sandbox = ends
    sandbox.sendall(b'{"ended": 1')
    assert exchange.take() and exchange.news.ended is None
    sandbox.sendall(b'2}\n{"mem')
    assert exchange.take() and exchange.news.ended == 12
    assert exchange.news.memory is None


def test_an_old_answer_is_no_answer_to_a_new_question(ends: Ends) -> None:
    exchange, sandbox = ends
    say(sandbox, left=3)
    assert exchange.left(5) == 3
    assert exchange.left(0) is None
    assert sandbox.recv(100) == b"left\nleft\n"


def test_the_end_of_the_sandbox_ends_a_wait(ends: Ends) -> None:
    exchange, sandbox = ends
    sandbox.close()
    assert not exchange.take(60)
    assert not exchange.wait(60, lambda: exchange.news.ended is not None)
    exchange.signal("SIGTERM")  # the sandbox has ended, and that is no error


def test_a_sandbox_that_can_not_be_made_is_an_error(ends: Ends) -> None:
    exchange, sandbox = ends
    say(sandbox, broken="[Errno 1] Operation not permitted")
    with pytest.raises(CannotTrace, match=r"can't be made here: .* not permitted"):
        exchange.take()
