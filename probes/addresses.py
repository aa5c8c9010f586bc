"""Kernel addresses leave the records before a recording is kept: each becomes a small number, equal addresses the same number.

A recording may be shown to anybody, and an address of the kernel helps an attacker against address space randomisation (KASLR).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from probes.kernel.records import LAYOUTS, Kind, Layout

# The fields that hold an address, in records of any kind: field -> what it is the address of. Addresses of the same things get
# numbers from one sequence.
_FIELDS = {"stack": "stack", "waker_stack": "stack", "object": "object", "socket": "socket", "release": "stack"}
_FUNCTIONS = {"release"}  # the address of a function, which counts as a stack of one frame
_WORD = struct.Struct("<Q")


class Ordinals:
    """The numbers given so far. Records may come in any number of pieces: an address has its number in all of them."""

    def __init__(self, layouts: Mapping[Kind, Layout] = LAYOUTS) -> None:
        self._layouts = layouts
        self._sizes = {int(kind): layout.codec.size for kind, layout in layouts.items()}
        self._numbers: dict[str, dict[int, int]] = {what: {0: 0} for what in _FIELDS.values()}
        self._places = {int(kind): list(self._addresses(layout)) for kind, layout in layouts.items()}
        self._frames: dict[int, list[int]] = {}

    def _addresses(self, layout: Layout) -> Iterator[tuple[int, dict[int, int], bool]]:
        """Where the addresses are in a record, with the numbers of their kind, and whether they are functions."""
        for name, ctype, length in layout.fields:
            if name in _FIELDS and (ctype, length) == ("u64", 0):
                yield layout.offset(name), self._numbers[_FIELDS[name]], name in _FUNCTIONS

    def replace(self, data: bytes) -> bytes:
        """Whole packed records with numbers instead of addresses, and without the stack records (`new_frames` has them)."""
        source, kept, at, since = bytearray(data), bytearray(), 0, 0
        sizes, places, read, write, end = self._sizes, self._places, _WORD.unpack_from, _WORD.pack_into, len(source)
        while at < end:
            kind = source[at]
            if kind == Kind.STACK:
                self._take_stack(source, at)
                kept += source[since:at]
                since = at + sizes[kind]
            for place, numbers, is_function in places[kind]:
                (address,) = read(source, at + place)
                if address:
                    if is_function and address not in numbers:
                        self._frames[len(numbers)] = [address]
                    write(source, at + place, numbers.setdefault(address, len(numbers)))
            at += sizes[kind]
        return bytes(kept + source[since:] if since else source)

    def _take_stack(self, source: bytearray, at: int) -> None:
        stack = self._layouts[Kind.STACK].decode(memoryview(source), at)
        numbers = self._numbers["stack"]
        self._frames[numbers.setdefault(stack.id, len(numbers))] = list(stack.frames[: stack.depth])

    def new_frames(self) -> dict[int, list[int]]:
        """The addresses of the frames of each stack, by its number, of the stacks that came since the last time."""
        frames, self._frames = self._frames, {}
        return frames


def without_addresses(data: bytes) -> tuple[bytes, dict[int, list[int]]]:
    """The same for the records of a whole run at once."""
    ordinals = Ordinals()
    return ordinals.replace(data), ordinals.new_frames()
