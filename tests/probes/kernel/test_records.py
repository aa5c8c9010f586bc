"""One definition for both sides: encoded records are decoded unchanged, and a damaged stream is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kernel import records
from probes.kernel.records import LAYOUTS, Kind, Layout

LIMITS = {"u32": (0, 2**32 - 1), "s32": (-(2**31), 2**31 - 1), "u64": (0, 2**64 - 1), "s64": (-(2**63), 2**63 - 1)}


@st.composite
def any_record(draw: st.DrawFn) -> Any:
    layout = LAYOUTS[draw(st.sampled_from(list(Kind)))]
    values: list[Any] = []
    for name, ctype, length in layout.fields:
        if name == "kind":
            values.append(int(layout.kind))
        elif ctype == "char":
            values.append(draw(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=length - 1)))
        elif length:
            number = st.integers(*LIMITS[ctype])
            values.append(tuple(draw(st.lists(number, min_size=length, max_size=length))))
        else:
            values.append(draw(st.integers(*LIMITS[ctype])))
    return layout.record(*values)


@given(st.lists(any_record(), max_size=8))
def test_what_is_encoded_is_decoded(stream: list[Any]) -> None:
    assert list(records.decode(b"".join(map(records.encode, stream)))) == stream


@given(any_record(), st.data())
def test_a_cut_stream_is_refused(record: Any, data: st.DataObject) -> None:
    whole = records.encode(record)
    with pytest.raises(ValueError, match="damaged record at byte 0"):
        list(records.decode(whole[: data.draw(st.integers(1, len(whole) - 1))]))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="damaged"):
        list(records.decode(b"\x63" + bytes(200)))


def test_a_layout_that_the_compiler_would_pad_is_refused() -> None:
    with pytest.raises(ValueError, match="pad"):
        Layout(Kind.EXEC, (("kind", "u32", 0), ("at", "u64", 0)))


def test_c_gets_every_kind_and_struct() -> None:
    source = records.c_source()
    for kind in Kind:
        assert f"#define KIND_{kind.name} {kind.value}" in source
        assert f"struct {kind.name.lower()}_record {{" in source
