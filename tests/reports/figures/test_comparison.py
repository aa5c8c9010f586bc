"""The comparison figure: all models on one scale from the moment that the data is ready, and no text on another."""

from __future__ import annotations

import functools
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from reports.figures import comparison, sizes
from runs import figures
from runs.report import Drawn
from tests.conftest import recording_of
from tests.reports.figures.looks import SVG, complaints


@functools.cache
def drawn() -> tuple[Drawn, ...]:
    return tuple(figures.drawn(source, recording_of(source.lab)) for source in figures.find("comparison").sources)


@pytest.mark.parametrize("size", sizes.SIZES)
def test_no_text_stands_on_another_or_leaves_the_paper(size: str) -> None:
    assert not complaints(comparison.of_runs(drawn(), sizes.SIZES[size]))


def test_it_has_what_the_textbook_draws() -> None:
    root = ElementTree.fromstring(comparison.of_runs(drawn(), sizes.COLUMN).svg(alone=True))
    found = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    titles = ("blocking", "non-blocking", "multiplexing", "(select)", "signal-driven", "asynchronous", "(io_uring)")
    states = ("check, check", "initiate", "blocked", "notified", "complete")
    for words in (*titles, *states, "wait for data", "phase 2 all are blocked", "one call for both"):
        assert words in found, f"{words} is not in: {found}"
    assert found.count("complete") == 5 and "1,213 EAGAIN" in found


def test_all_columns_have_one_scale() -> None:
    """A model that takes twice as long is drawn twice as long."""
    sheet = comparison.of_runs(drawn(), sizes.COLUMN)
    root = ElementTree.fromstring(sheet.svg(alone=True))
    paths = [(path.get("class", ""), _points(path.get("d", ""))) for path in root.iter(f"{SVG}path")]
    ready = next(points[0][1] for kind, points in paths if kind == "l rule dash")
    ends: dict[float, float] = {}
    for kind, points in paths:
        if kind in ("l runq", "l kernel", "l copy", "l user") and points[0][0] == points[-1][0]:
            ends[points[0][0]] = max(ends.get(points[0][0], 0), points[-1][1])
    returned = [found.figure.scene.message.returned - found.figure.scene.message.ready for found in drawn()]
    lengths = [ends[lane] - ready for lane in sorted(ends)]
    assert len(lengths) == 5
    assert [length / max(lengths) for length in lengths] == pytest.approx([ns / max(returned) for ns in returned], abs=0.01)


def test_the_caption_names_the_runs_and_the_kernels() -> None:
    other = replace(drawn()[0], result=replace(drawn()[0].result, machine=replace(drawn()[0].result.machine, kernel="9.9.9")))
    sheet = comparison.of_runs((other, *drawn()[1:]), sizes.COLUMN)
    words = " ".join(box.text for box in sheet.boxes)
    assert "io_uring (single)" in words and "9.9.9" in words


def _points(path: str) -> list[tuple[float, float]]:
    """The points of a path without curves."""
    numbers = [point.split() for point in path.removeprefix("M").split("L")]
    return [(float(x), float(y)) for x, y in numbers]
