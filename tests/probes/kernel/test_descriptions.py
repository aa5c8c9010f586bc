"""Layouts survive their description; a description that no iolab wrote is refused before anything is made from it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from probes.kernel.descriptions import describe, from_description
from probes.kernel.records import LAYOUTS, Kind

DESCRIPTION = describe(LAYOUTS)


def changed(kind: Kind, at: int, field: Any) -> dict[str, Any]:
    """The description with another field at that place of a kind's layout."""
    description = copy.deepcopy(DESCRIPTION)
    description[kind.name][at] = field
    return description


def test_the_layouts_survive_their_description() -> None:
    assert from_description(DESCRIPTION) == LAYOUTS


def test_a_field_that_the_first_recordings_lacked_may_be_missing() -> None:
    description = copy.deepcopy(DESCRIPTION)
    description["SOCKET_COPY"] = [field for field in description["SOCKET_COPY"] if field[0] != "latest"]
    names = [name for name, _, _ in from_description(description)[Kind.SOCKET_COPY].fields]
    assert "latest" not in names and names[:2] == ["kind", "thread"]


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        ([], "the layouts are not those of records"),
        (DESCRIPTION | {"OTHER": []}, "the layouts are not those of records"),
        ({"THREAD": DESCRIPTION["THREAD"]}, "the layout of CALL is missing"),
        (DESCRIPTION | {"CALL": "kind"}, "the layout of CALL is not a list of fields"),
        (DESCRIPTION | {"CALL": [["kind", "u32", 0]] * 65}, "the layout of CALL is not a list of fields"),
        (changed(Kind.CALL, 2, ["nr", "s32"]), "a field of CALL is not a name, a type and a length"),
        (changed(Kind.CALL, 2, ["class", "s32", 0]), "CALL has a field with the name 'class'"),
        (changed(Kind.CALL, 2, ["_nr", "s32", 0]), "CALL has a field with the name '_nr'"),
        (changed(Kind.CALL, 2, ["thread", "u32", 0]), "CALL has a field with the name 'thread'"),
        (changed(Kind.CALL, 2, ["nr", "s32", 2**40]), "the field nr of CALL has no type that records have"),
        (changed(Kind.CALL, 2, ["nr", "double", 0]), "the field nr of CALL has no type that records have"),
        (changed(Kind.CALL, 2, ["nr", "u64", 0]), "the field nr of CALL has a different type today"),
        (changed(Kind.CALL, 2, ["other", "s32", 0]), "the field nr of CALL is missing"),
        (changed(Kind.CALL, 0, DESCRIPTION["CALL"][2]) | {}, "CALL has a field with the name 'nr'"),
    ],
)
def test_what_no_iolab_wrote_is_refused(description: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_description(description)


def test_a_record_must_start_with_its_kind_and_its_thread() -> None:
    description = copy.deepcopy(DESCRIPTION)
    fields = description["EXEC"]
    fields[1], fields[2] = fields[2], fields[1]
    with pytest.raises(ValueError, match="EXEC does not start with its kind and its thread"):
        from_description(description)
