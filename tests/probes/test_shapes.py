"""JSON data against dataclasses: the right types pass, all else is refused with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from probes import shapes


@dataclass(frozen=True)
class Inner:
    pairs: tuple[tuple[int, int], ...]
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None
    counts: Mapping[str, int]
    free: Any = None
    on: bool = False


WHOLE = {"name": "x", "inner": {"pairs": [[1, 2]], "share": 1}, "counts": {"a": 1}, "free": [{"b": None}], "on": True}


def test_the_right_types_become_the_dataclass() -> None:
    assert shapes.read(Outer, WHOLE, "it") == Outer("x", Inner(((1, 2),), 1), {"a": 1}, [{"b": None}], True)
    assert shapes.read(Outer, WHOLE | {"inner": None, "later": 1}, "it").inner is None, "a key of a newer iolab is left out"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 1}, "it.name is not a text"),
        ({"name": "x" * (shapes.LONGEST + 1)}, "it.name is too long"),
        ({"inner": []}, "it.inner is not an object"),
        ({"inner": {}}, "it.inner.pairs is missing"),
        ({"inner": {"pairs": [[1]]}}, "it.inner.pairs has 1 items instead of 2"),
        ({"inner": {"pairs": [[1, 2.5]]}}, "it.inner.pairs is not a whole number"),
        ({"inner": {"pairs": [], "share": float("nan")}}, "it.inner.share is not a finite number"),
        ({"counts": {"a": True}}, "it.counts.a is not a whole number"),
        ({"counts": {"a": 2**64}}, "it.counts.a is out of range"),
        ({"free": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}, "it.free is nested too deeply"),
        ({"on": 1}, "it.on is not true or false"),
    ],
)
def test_all_else_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shapes.read(Outer, WHOLE | change, "it")
