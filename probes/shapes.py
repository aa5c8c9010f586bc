"""JSON data against dataclasses: every value of the right type and in range, or one ValueError that names the place."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

LARGEST = 2**64  # every integer of a recording is a u64 or an s64
LONGEST = 1 << 20  # characters of a text
DEEPEST = 16  # levels of lists and objects in free data
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}


def number(value: Any, place: str) -> None:
    """Refuses NaN, infinities, and integers that no record can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place} is not a finite number")
    if isinstance(value, int | float) and not -LARGEST < value < LARGEST:
        raise ValueError(f"{place} is out of range")


def free(value: Any, place: str, depth: int = 0) -> Any:
    """JSON data of any shape, with finite numbers, bounded texts and bounded depth."""
    if depth > DEEPEST:
        raise ValueError(f"{place} is nested too deeply")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            free(inner, f"{place}.{str(key)[:40]}", depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            free(inner, place, depth + 1)
    else:
        _scalar(type(value), value, place)
    return value


def read(kind: Any, value: Any, place: str) -> Any:
    """The value as `kind`: a dataclass from an object, a tuple from a list, a scalar as it is. Raises ValueError."""
    return _reader(kind)(value, place)


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as a JSON object, for `json.dumps(..., default=plain)`, which passes the dataclasses inside it again.

    A field that is None is left out: in a file the absence of the key says the same, and names the kind of a run.
    """
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is no dataclass")
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: item for name, item in fields.items() if item is not None}


def _scalar(kind: type, value: Any, place: str) -> Any:
    right = isinstance(value, int | float) if kind is float else isinstance(value, kind)
    if not right or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{place} is not {_WORDS.get(kind, kind.__name__)}")
    if isinstance(value, str) and len(value) > LONGEST:
        raise ValueError(f"{place} is too long")
    number(value, place)
    return value


@functools.cache
def _reader(kind: Any) -> Callable[[Any, str], Any]:
    """The function that reads one kind, made once: a recording may hold a million exchanges."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return free
    if dataclasses.is_dataclass(kind):
        return functools.partial(_object, kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return functools.partial(_member, kind)
    if origin is types.UnionType or origin is typing.Union:
        (some,) = [member for member in inner if member is not type(None)]
        return lambda value, place: None if value is None else _reader(some)(value, place)
    if origin is tuple:
        return functools.partial(_list, inner)
    if isinstance(kind, type) and issubclass(kind, tuple):  # a NamedTuple
        return functools.partial(_named, kind, tuple(typing.get_type_hints(kind).values()))
    if origin in (dict, collections.abc.Mapping):
        return functools.partial(_mapping, inner[1])
    return functools.partial(_scalar, kind)


def _member(kind: Any, value: Any, place: str) -> Any:
    try:
        return kind(_scalar(str, value, place))
    except ValueError:
        raise ValueError(f"{place} is none of {', '.join(kind)}") from None


def _list(inner: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{place} is not a list")
    if inner[-1] is ...:
        return tuple(_reader(inner[0])(item, place) for item in value)
    if len(value) != len(inner):
        raise ValueError(f"{place} has {len(value)} items instead of {len(inner)}")
    return tuple(_reader(kind)(item, place) for kind, item in zip(inner, value, strict=True))


def _named(kind: Any, inner: tuple[Any, ...], value: Any, place: str) -> Any:
    return kind(*_list(inner, value, place))


def _mapping(kind: Any, value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{place} is not an object")
    return {key: _reader(kind)(item, f"{place}.{key[:40]}") for key, item in value.items()}


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Name -> (type, required) of a dataclass."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: (
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    }


def _object(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{place} is not an object")
    known = _fields(kind)
    for name, (_type, required) in known.items():
        if required and name not in value:
            raise ValueError(f"{place}.{name} is missing")
    return kind(**{name: _reader(known[name][0])(item, f"{place}.{name}") for name, item in value.items() if name in known})
