"""Where labels stand: as near as possible to the moments that they name, and never on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class _Block:
    """Labels that touch: their total height, and the top that suits them best."""

    members: list[int]
    height: float
    wish: float  # the mean of the tops that its members wish for the block


def spread(wanted: Sequence[float], heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """The centre of each label between `top` and `bottom`. `wanted` must not fall.

    Labels that would overlap form a block around the mean of their wishes. Labels that need more room than there is go beyond
    `bottom`.

    >>> spread([10, 12, 50], [10, 10, 10], 0, 100)
    [6.0, 16.0, 50.0]
    """
    blocks: list[_Block] = []
    for index, (centre, height) in enumerate(zip(wanted, heights, strict=True)):
        blocks.append(_Block([index], height, centre - height / 2))
        while len(blocks) > 1 and _end(blocks[-2], top, bottom) > _start(blocks[-1], top, bottom):
            _merge(blocks)
    centres = [0.0] * len(wanted)
    for block in blocks:
        at = _start(block, top, bottom)
        for member in block.members:
            centres[member] = at + heights[member] / 2
            at += heights[member]
    return centres


def _start(block: _Block, top: float, bottom: float) -> float:
    return max(min(block.wish, bottom - block.height), top)


def _end(block: _Block, top: float, bottom: float) -> float:
    return _start(block, top, bottom) + block.height


def _merge(blocks: list[_Block]) -> None:
    """The last two blocks become one."""
    last = blocks.pop()
    before = blocks[-1]
    size, more = len(before.members), len(last.members)
    wish = (before.wish * size + (last.wish - before.height) * more) / (size + more)
    blocks[-1] = _Block(before.members + last.members, before.height + last.height, wish)
