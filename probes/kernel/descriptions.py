"""The layouts of the records as a recording's header has them: a file stays readable after a field was added.

What a file says of its layouts is checked before anything is made from it.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any

from probes.kernel.records import C_TYPES, LAYOUTS, Kind, Layout


def describe(layouts: Mapping[Kind, Layout]) -> dict[str, list[list[Any]]]:
    """The layouts as plain data, for a recording's header."""
    return {kind.name: [list(field) for field in layout.fields] for kind, layout in layouts.items()}


def from_description(description: Any) -> dict[Kind, Layout]:
    """The layouts that a recording was written with. Raises ValueError for layouts that no iolab wrote.

    A field may be missing only if the first recordings lacked it. A field of today has its type and its length of today.
    """
    if not isinstance(description, dict) or set(description) - {kind.name for kind in Kind}:
        raise ValueError("the layouts are not those of records")
    layouts = {Kind[name]: _checked(Kind[name], fields) for name, fields in description.items()}
    if missing := set(_FIRST_KINDS) - set(layouts):
        raise ValueError(f"the layout of {min(missing).name} is missing")
    return layouts


_FIRST_KINDS = (Kind.THREAD, Kind.CALL, Kind.BURST, Kind.SLEEP, Kind.EXEC, Kind.EXIT)
_ADDED = {  # fields that the reader does without
    Kind.THREAD: {"worker"},
    Kind.CALL: {"copy_in_max", "copy_out_max", "latest", "release", "socket_kind", "unused"},
    Kind.SOCKET_COPY: {"latest"},
    Kind.BURST: {"longest", "release", "socket", "detailed", "closes", "unused"},
    Kind.SLEEP: {"object"},
    Kind.EXEC: {"ns_tid", "ns_tgid"},
    Kind.EXIT: {
        "copy",
        "made",
        "in_total",
        "in_wait",
        "in_delay",
        "in_preempted",
        "in_copy",
        "reported_wait",
        "in_sleeps",
        "in_preemptions",
        "reported",
        "status",
        "alive",
        "unused",
    },
}
_MOST_FIELDS = 64
_LONGEST = 4096  # entries of an array


def _checked(kind: Kind, fields: Any) -> Layout:
    """One layout from its description, checked before anything is made from it."""
    if not isinstance(fields, list) or not 2 <= len(fields) <= _MOST_FIELDS:
        raise ValueError(f"the layout of {kind.name} is not a list of fields")
    known = {name: (ctype, length) for name, ctype, length in LAYOUTS[kind].fields}
    found: dict[str, tuple[str, int]] = {}
    for field_ in fields:
        if not isinstance(field_, list) or len(field_) != 3 or not isinstance(field_[0], str):
            raise ValueError(f"a field of {kind.name} is not a name, a type and a length")
        name, ctype, length = field_
        if not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name) or name in found or len(name) > 40:
            raise ValueError(f"{kind.name} has a field with the name {name[:40]!r}")
        if type(length) is not int or not 0 <= length <= _LONGEST or ctype not in ("char", *C_TYPES):
            raise ValueError(f"the field {name} of {kind.name} has no type that records have")
        if known.get(name, (ctype, length)) != (ctype, length):
            raise ValueError(f"the field {name} of {kind.name} has a different type today")
        found[name] = (ctype, length)
    if missing := set(known) - set(found) - _ADDED.get(kind, set()):
        raise ValueError(f"the field {min(missing)} of {kind.name} is missing")
    if list(found)[:2] != ["kind", "thread"]:
        raise ValueError(f"{kind.name} does not start with its kind and its thread")
    return Layout(kind, tuple((name, ctype, length) for name, (ctype, length) in found.items()))
