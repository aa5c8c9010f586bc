"""The window that a user names: times with units, from the start or before the end, and what is refused."""

from __future__ import annotations

import pytest

from findings.zoom import Zoom, moment
from probes.errors import WrongUsage

BEGIN, END = 1_000_000_000, 1_030_000_000  # a run of 30 ms


def window(begin: str = "", end: str = "") -> tuple[int, int]:
    zoom = Zoom(moment("from", begin) if begin else None, moment("to", end) if end else None)
    assert zoom.named == bool(begin or end)
    low, high = zoom.within(BEGIN, END)
    return low - BEGIN, high - BEGIN


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("12ms", 12_000_000), ("1.5s", 1_500_000_000), ("800us", 800_000), ("800\u00b5s", 800_000), ("7ns", 7),
        (".5ms", 500_000), ("3. ms", 3_000_000),
    ],
)  # fmt: skip
def test_a_time_has_a_unit(text: str, ns: int) -> None:
    assert (moment("from", text).ns, moment("from", text).before_end) == (ns, False)
    assert (moment("to", f"-{text}").ns, moment("to", f"-{text}").before_end) == (ns, True)


@pytest.mark.parametrize("text", ["12", "ms", "1e3ms", "--5ms", "5 m s", "12min", "", "nan", "1,5ms"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(WrongUsage, match=r"--from .*is not a time with a unit\n  for example --from 12ms --to 20ms"):
        moment("from", text)


@pytest.mark.parametrize(
    ("begin", "end", "ns"),
    [
        ("", "", (0, 30_000_000)),
        ("12ms", "20ms", (12_000_000, 20_000_000)),
        ("-5ms", "", (25_000_000, 30_000_000)),
        ("-5ms", "end", (25_000_000, 30_000_000)),
        ("0", "-20ms", (0, 10_000_000)),
        ("12ms", "20s", (12_000_000, 30_000_000)),  # as far as the run goes
        ("-9s", "1ms", (0, 1_000_000)),
    ],
)
def test_a_window_is_a_part_of_the_run(begin: str, end: str, ns: tuple[int, int]) -> None:
    assert window(begin, end) == ns


@pytest.mark.parametrize(
    ("begin", "end", "complaint"),
    [
        ("30ms", "", "--from 30ms is not before the end of the run, which lasted 30.0 ms"),
        ("end", "", "--from end is not before the end of the run"),
        ("", "0", "--to 0 is not after the start of the run"),
        ("", "-30ms", "--to -30ms is not after the start of the run"),
        ("20ms", "20ms", "--from 20ms is not before --to 20ms"),
        ("-5ms", "12ms", "--from -5ms is not before --to 12ms"),
    ],
)
def test_a_window_with_nothing_of_the_run_is_refused(begin: str, end: str, complaint: str) -> None:
    with pytest.raises(WrongUsage, match=complaint):
        window(begin, end)
