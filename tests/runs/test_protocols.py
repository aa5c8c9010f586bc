"""What a reply is judged to be, and which protocol files are refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from probes.errors import WrongUsage
from runs import protocols
from runs.protocols import MORE


@pytest.mark.parametrize("name", list(protocols.PROTOCOLS))
def test_the_same_seed_makes_the_same_request_and_another_seed_another(name: str) -> None:
    protocol = protocols.find(name)
    made = [protocol.request(random.Random(seed), 64) for seed in ("s/ada", "s/ada", "s/bob")]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("received", "ended", "words"),
    [
        (b"HELLO\n", False, ""),
        (b"HEL", False, MORE),
        (b"HEL", True, "3 of 6 bytes came back"),
        (b"HElLO\n", False, "byte 2 of 6 is 'l', expected 'L'"),
        (b"HELLO\n!", False, "1 byte too many"),
    ],
)
def test_a_reply_that_is_known(received: bytes, ended: bool, words: str) -> None:
    verdict = protocols.find("upper").judge(b"hello\n", received, ended)
    assert verdict == words if words in ("", MORE) else words in verdict


@pytest.mark.parametrize(
    ("received", "ended", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False, ""),
        (b"HTTP/1.0 404 Not Found\r\n\r\nwhatever", True, ""),
        (b"HTTP/1.0 200 OK\r\n\r\nmore to come", False, MORE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", True, "1 of 2 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhigh", False, "4 bytes, Content-Length says 2"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", True, "status line"),
        (b"hello", False, "does not start with HTTP/1."),
        (b"HTTP/1.1 200", True, "before the end of the headers"),
    ],
)
def test_a_reply_of_http(received: bytes, ended: bool, words: str) -> None:
    verdict = protocols.find("http").judge(b"", received, ended)
    assert verdict == words if words in ("", MORE) else words in verdict


COURSE = "def request(seeded, size):\n    return b'%d\\n' % seeded.randrange(100)\n"


def test_a_protocol_of_the_course(tmp_path: Path) -> None:
    path = tmp_path / "square.py"
    path.write_text(COURSE + "def reply(request):\n    return b'%d\\n' % int(request) ** 2\n")
    protocol = protocols.find(str(path))
    assert protocol.judge(b"12\n", b"144\n", False) == ""
    assert protocol.name == "square"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (COURSE, "is incomplete"),
        (COURSE + "def reply(request):\n    return 'text'\n", "must return bytes"),
        ("import os\ndef request(seeded, size):\n    return os.urandom(8)\nreply = bytes\n", "differs for the same seed"),
        ("import nothing_there\n", "ModuleNotFoundError"),
    ],
)
def test_a_protocol_file_with_a_mistake_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(WrongUsage, match=words):
        protocols.find(str(path))


def test_no_protocol_and_no_file() -> None:
    with pytest.raises(WrongUsage, match="did you mean upper"):
        protocols.find("uper")
    with pytest.raises(WrongUsage, match="no protocol file"):
        protocols.find("nowhere.py")


def test_wrong_bytes_have_a_cause() -> None:
    seeded = random.Random(1)
    mine, others = seeded.randbytes(4000), seeded.randbytes(4000)
    shared = protocols.cause(mine, mine[:100] + others[100:200], [others])
    assert shared and "from byte 100 on, bytes of another client's reply came" in shared.words
    dropped = protocols.cause(mine, mine[:100] + mine[150:], [others])
    assert dropped and "50 bytes from byte 100 on are missing" in dropped.words
    assert protocols.cause(mine, mine[:100] + bytes(50) + mine[150:], [others]) is None
    assert protocols.cause(mine, mine[:100], [others]) is None
