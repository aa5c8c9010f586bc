"""Values of options as numbers and times, and a group of options in the place of one parameter."""

from __future__ import annotations

import inspect
from typing import NamedTuple

import pytest

from commands.line import commands
from commands.options import VALUES, group, nanoseconds, numbers
from probes.errors import WrongUsage


class Pair(NamedTuple):
    """Two options."""

    first: str = ""
    second: bool = False


DEFAULT = Pair("default")


@group("pair", Pair._field_defaults, Pair)
def command(before: str, pair: Pair = DEFAULT, after: str = "") -> int:
    """A command with a group in the middle."""
    return len(f"{before}{pair.first}{pair.second}{after}")


def test_a_group_stands_in_the_place_of_its_parameter() -> None:
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["before", "first", "second", "after"]
    assert [parameters[name].default for name in ("first", "second")] == ["", False]


def test_the_command_gets_what_was_typed_or_its_own_default() -> None:
    assert command("a", first="bc", after="d") == len("abcFalsed")
    assert command("a", second=True) == len("aTrue")
    assert command("a") == len("adefaultFalse")


@pytest.mark.parametrize(("text", "ns"), [("1ms", 1_000_000), ("200us", 200_000), ("1.5s", 1_500_000_000), ("0ns", 0)])
def test_a_time_has_a_unit(text: str, ns: int) -> None:
    assert nanoseconds("slower-than", text) == ns


@pytest.mark.parametrize("text", ["5", "ms", "-1ms", "1 hour", "1m", ""])
def test_a_time_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match=r"--slower-than .*has no unit of time"):
        nanoseconds("slower-than", text)


def test_numbers_are_those_that_were_typed() -> None:
    assert numbers(clients="3", gap_ms="0.5", size="") == {"clients": 3, "gap_ms": 0.5}
    with pytest.raises(WrongUsage, match=r"--gap-ms 1\.5x is not a number"):
        numbers(gap_ms="1.5x")
    with pytest.raises(WrongUsage, match=r"--clients 1\.5 is not a number"):
        numbers(clients="1.5")


def test_each_option_with_a_value_has_a_word_for_it() -> None:
    """The help shows --name=WORD. A word without an option belongs to an option that was removed."""
    with_values = {option for command in commands() for option in command.options if command.takes_value(option)}
    assert set(VALUES) == with_values
