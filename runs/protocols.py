"""The protocols that a student's server may speak: how a request is made, and how its reply is judged.

A course's own protocol is a file with two functions (docs/instructors.md):

    def request(seeded, size): ...      # bytes: a request of about `size` bytes, made with the random.Random `seeded`
    def reply(request): ...             # bytes: the only right reply
"""

from __future__ import annotations

import importlib.util
import random
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from probes.errors import WrongUsage
from probes.words import count, did_you_mean

MORE = "..."  # the reply is not complete yet
_PROOF = 16  # bytes: two random messages never have so many equal bytes by chance
_LONGEST_LINE = 1000  # bytes
_LETTERS = string.ascii_letters.encode()


@dataclass(frozen=True)
class Protocol:
    """How requests are made, and what the only right reply to one is; `judged` has another rule where several are right."""

    name: str
    words: str  # what the server must do
    request: Callable[[random.Random, int], bytes]
    reply: Callable[[bytes], bytes]
    judged: Callable[[bytes, bytes, bool], str] | None = None
    one_each: bool = False  # one request for each connection

    def judge(self, request: bytes, received: bytes, ended: bool) -> str:
        """Returns "" for the right reply, MORE, or what is wrong. `ended`: no byte will follow."""
        if self.judged:
            return self.judged(request, received, ended)
        return exactly(self.reply(request), received, ended, self.noun)

    @property
    def noun(self) -> str:
        """What the server sends, in a sentence."""
        return "echo" if self.name == "echo" else "reply"


def exactly(expected: bytes, received: bytes, ended: bool, noun: str = "reply") -> str:
    """Judges a reply that is known byte by byte."""
    if received == expected:
        return ""
    if len(received) < len(expected) and expected.startswith(received):
        closed = f"the server closed the connection before its {noun}"
        return f"{closed}: {len(received):,} of {count(len(expected), 'byte')} came back" if ended else MORE
    at = _first_difference(expected, received)
    if at == len(expected):
        return (
            f"{count(len(received) - len(expected), 'byte')} too many came back, the first is {_shown(received[at : at + 1])}"
        )
    return f"byte {at:,} of {len(expected):,} is {_shown(received[at : at + 1])}, expected {_shown(expected[at : at + 1])}"


def _first_difference(expected: bytes, received: bytes) -> int:
    """Where the two differ first; the length of `expected` if `received` begins with it."""
    return next((at for at, pair in enumerate(zip(expected, received, strict=False)) if pair[0] != pair[1]), len(expected))


@dataclass(frozen=True)
class Cause:
    """Why a reply has wrong bytes, and what to do about it."""

    words: str
    remedy: str


def cause(expected: bytes, received: bytes, others: Iterable[bytes]) -> Cause | None:
    """The cause, if the wrong bytes are those of another client's reply, or those after a gap."""
    at = _first_difference(expected, received)
    piece = received[at : at + _PROOF]
    if len(piece) < _PROOF or at == len(expected):
        return None
    if any(piece in other for other in others):
        return Cause(
            f"from byte {at:,} on, bytes of another client's reply came: the connections share a buffer",
            "give each connection a buffer of its own: unsent data must stay there while other connections are served",
        )
    if (found := expected.find(piece, at)) > 0 and expected.find(piece, found + 1) < 0:
        return Cause(
            f"{count(found - at, 'byte')} from byte {at:,} on are missing: the rest of a short send was dropped, or"
            " another thread read them",
            "keep the data that a short send did not take, wait for room (EPOLLOUT, POLLOUT), and send the rest then; let one"
            " thread read a connection",
        )
    return None


def _shown(byte: bytes) -> str:
    return f"0x{byte.hex()}" if not byte.isalnum() else f"{byte.decode()!r}"


def _binary(seeded: random.Random, size: int) -> bytes:
    return seeded.randbytes(size)


def _line(seeded: random.Random, size: int) -> bytes:
    """One line, or many lines where the request is large: programs that read lines limit their length."""
    line = bytes(seeded.choices(_LETTERS, k=max(min(size, _LONGEST_LINE) - 1, 0))) + b"\n"
    return line * max(size // len(line), 1)


def _get(seeded: random.Random, size: int) -> bytes:
    path = bytes(seeded.choices(_LETTERS, k=min(max(size - 60, 4), 2000)))
    return b"GET /" + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def _http(_request: bytes, received: bytes, ended: bool) -> str:
    """A status line, headers, an empty line, and the body that the headers announce. Any status of 200 to 499 is a reply."""
    start = b"HTTP/1."
    if not received.startswith(start[: len(received)]):
        return f"the reply does not start with HTTP/1.: {received[:20]!r}"
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return "the server closed before the end of the headers" if ended else MORE
    status, *headers = head.split(b"\r\n")
    code = status.split()[1:2]
    if not code or not code[0].isdigit() or not 200 <= int(code[0]) <= 499:
        return f"the status line is {status[:60]!r}"
    lengths = [line.partition(b":")[2].strip() for line in headers if line.lower().startswith(b"content-length:")]
    if not lengths:
        return "" if ended else MORE
    if not lengths[0].isdigit():
        return f"Content-Length is {lengths[0][:20]!r}"
    length = int(lengths[0])
    if len(body) > length:
        return f"the body has {len(body):,} bytes, Content-Length says {length:,}"
    if len(body) < length:
        return f"the body has {len(body):,} of {length:,} bytes, then the server closed" if ended else MORE
    return ""


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("echo", "sends every byte back", _binary, bytes),
        Protocol("upper", "sends every line back in upper case", _line, bytes.upper),
        Protocol("line", "sends every line back", _line, bytes),
        Protocol("http", "answers GET requests", _get, bytes, _http, one_each=True),
    )
}


def find(name: str) -> Protocol:
    """The protocol of that name, or of the file of that name. Raises WrongUsage."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    if name.endswith(".py"):
        return _of_file(Path(name))
    hint = did_you_mean(name, PROTOCOLS)
    raise WrongUsage(
        f"there is no protocol {name!r}", f"{hint}the protocols: {', '.join(PROTOCOLS)}; or a file NAME.py with a protocol"
    )


def _of_file(path: Path) -> Protocol:
    remedy = "it must define request(seeded, size) and reply(request); docs/instructors.md has an example"
    if not path.is_file():
        raise WrongUsage(f"there is no protocol file {path}", remedy)
    spec = importlib.util.spec_from_file_location("iolab_protocol", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the instructor's own code: any error is theirs to see
        raise WrongUsage(f"the protocol {path} can't be loaded: {type(error).__name__}: {error}", remedy) from error
    request, reply = getattr(module, "request", None), getattr(module, "reply", None)
    if not callable(request) or not callable(reply):
        raise WrongUsage(f"the protocol {path} is incomplete", remedy)

    made, again = request(random.Random(1), 64), request(random.Random(1), 64)
    if not isinstance(made, bytes) or not isinstance(reply(made), bytes):
        raise WrongUsage(f"request and reply of the protocol {path} must return bytes", remedy)
    if made != again:
        raise WrongUsage(f"request of the protocol {path} differs for the same seed", "take every choice from `seeded`")
    return Protocol(path.stem, "speaks the protocol of the course", request, reply)
