"""The seal of a recording's file: a chain of SHA-256 over the chunks. Its last link stands at the end of the last chunk.

A link is the hash of the link before, of the chunk's kind, and of its payload. So the seal changes with every byte of the
chunks, with their order, and with the answers in the first chunk. There is no key in it: a person who knows this file can
edit a recording and make a new seal. The seal finds other edits, and an instructor who wrote the seal down finds every edit.
"""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass

_PLACE = re.compile(rb',"seal":"([0-9a-f]{64})"}\Z')  # as `closed` writes it: the JSON text ends with it


class State(enum.StrEnum):
    """What the seal of a file says."""

    WHOLE = "whole"
    NONE = "not sealed"  # of an older iolab, cut off, or not read from a file
    BROKEN = "broken"  # the chunks are others than those that were sealed
    LATE = "late"  # the end of the file has other answers than its start


@dataclass(frozen=True)
class Seal:
    """The seal of a file, and the last link of the chain over its chunks, as hexadecimal digits."""

    state: State = State.NONE
    digest: str = ""


class Chain:
    """The chain over the chunks that were added so far."""

    def __init__(self) -> None:
        self._link = b""

    def add(self, kind: bytes, payload: bytes) -> None:
        """Adds the next chunk."""
        self._link = hashlib.sha256(b"%b%b%b" % (self._link, kind, hashlib.sha256(payload).digest())).digest()

    @property
    def digest(self) -> str:
        """The last link, as hexadecimal digits."""
        return self._link.hex()


def closed(text: bytes, digest: str) -> bytes:
    """The JSON object with the seal at its end.

    >>> closed(b'{"seen":1}', "00" * 32)[:20]
    b'{"seen":1,"seal":"00'
    """
    return text[:-1] + b',"seal":"%b"}' % digest.encode()


def opened(text: bytes) -> tuple[bytes, str]:
    """The JSON object without the seal, and the seal; "" for an object that has none at its end.

    >>> opened(closed(b'{"seen":1}', "00" * 32))[0], opened(b'{"seen":1}')
    (b'{"seen":1}', (b'{"seen":1}', ''))
    """
    found = _PLACE.search(text[-80:])
    if not found:
        return text, ""
    return text[: -len(found[0])] + b"}", found[1].decode()
