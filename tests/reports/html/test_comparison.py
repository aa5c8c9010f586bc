"""The page of the comparison: every model in each plot and in the table, its figure, the statements with their claims."""

from __future__ import annotations

import functools
import io
from xml.etree import ElementTree

import pytest

from findings.distribution import Distribution
from findings.pictures import figure
from findings.rounds import Ranking, Spread
from findings.view import Run
from probes.context import CasesRun
from reports.figures import plots
from reports.figures.plots import Bar, Mark, Spreads
from reports.html import comparison as page
from runs.compare import CHECKS, RIVALS, TRAFFIC, Comparison, Crowd
from runs.report import Drawn
from runs.rows import Round, row
from servers.__main__ import models
from tests.conftest import measured
from tests.reports.figures.looks import SVG, complaints
from tests.reports.html.test_page import outline

RANKING = Ranking({name: Spread(50_000 + 9_000 * place, 40_000, 90_000) for place, name in enumerate(RIVALS)})


@functools.cache
def comparison(*names: str) -> Comparison:
    """Of the recordings of the labs: three equal rounds."""
    rows, drawn = [], []
    for name in names or models():
        result = measured(name)
        if isinstance(result.context, CasesRun):
            result = next(iter(Run(result).cases.values())).result
        rows.append(row(name, [Round(result, len(result.messages), 20_000_000)] * 3))
        if found := figure.figure(result):
            drawn.append(Drawn("", result, found))
    crowds = () if names else tuple(Crowd(connections, RANKING, RANKING) for connections in (1, 10, 100))
    return Comparison(TRAFFIC, tuple(rows), crowds, drawn=tuple(drawn), chosen=bool(names))


def written(found: Comparison) -> str:
    file = io.StringIO()
    page.write(found, file)
    return file.getvalue()


def test_the_page_has_every_model_in_each_plot_and_its_figure() -> None:
    text = written(comparison())
    found = outline(text)
    assert not found.wrong and not found.open and not found.outside and not found.unnamed
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    plots_of = text.partition('id="plots"')[2].partition("</section>")[0]
    for name in models():
        assert plots_of.count(f">{name}</text>") == 2 * 4, f"{name} is not in every plot, in both widths"
    assert text.partition('id="figures"')[2].count("<article>") == len(models())
    assert plots_of.count(">threads, 100 connections</text>") >= 2
    for check, claims, _function in CHECKS:
        assert check[1:] in text and all(f"<span>{claim}</span>" in text for claim in claims)


def test_two_models_are_put_beside_each_other_without_the_statements_about_all() -> None:
    text = written(comparison("epoll", "select"))
    assert "epoll and select on the same traffic" in text and 'id="statements"' not in text and "untraced" not in text
    assert text.index('id="figures"') < text.index('id="plots"') < text.index('id="table"')
    assert text.partition('id="figures"')[2].count("<article>") == 2 and not outline(text).wrong


@pytest.mark.parametrize("wide", [plots.WIDE, plots.NARROW])
def test_no_text_of_a_plot_stands_on_another(wide: float) -> None:
    rows = [
        Bar(name, 10.0**place, f"{10**place:,} ns", 10.0**place, 3 * 10.0**place) for place, name in enumerate(models()[:8])
    ]
    assert not complaints(plots.bars("CPU time per message", rows, "user", wide))
    found = Distribution(count=45, p5=900, p25=20_000, p50=25_000, p75=90_000, p95=2_000_000)
    times = [Spreads(name, (Mark("asleep", "a", found), Mark("copy", "b", found))) for name in models()]
    assert not complaints(plots.spreads("Times", times, wide))


def test_a_longer_time_stands_further_right_and_the_tip_has_the_figures() -> None:
    short, long = (Distribution(3, *(factor * ns for ns in (1_000, 2_000, 3_000, 4_000, 5_000))) for factor in (1, 10))
    sheet = plots.spreads(
        "Times", [Spreads("one", (Mark("copy", "until copied", short),)), Spreads("two", (Mark("copy", "", long),))]
    )
    root = ElementTree.fromstring(sheet.svg(alone=True))
    first, second = (float(box.get("x", "")) for box in root.iter(f"{SVG}rect") if box.get("class") == "f-copy")
    assert first < second
    tips = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert tips[0] == (
        "one, until copied: median 3.00 us, half of 3 messages from 2.00 us to 4.00 us, 90 % from 1.00 us to 5.00 us"
    )


def test_bars_are_linear_unless_they_differ_too_much() -> None:
    def lengths(*values: float) -> list[float]:
        sheet = plots.bars("Calls", [Bar(f"model {value}", value, f"{value}") for value in values], "kernel")
        root = ElementTree.fromstring(sheet.svg(alone=True))
        assert ("logarithmic" in sheet.boxes[0].text) == (max(values) >= 20 * min(values))
        return [float(box.get("width", "")) for box in root.iter(f"{SVG}rect") if box.get("class") == "f-kernel"]

    short, long = lengths(2, 6)
    assert long == pytest.approx(3 * short, rel=0.01)
    short, middle, long = lengths(1, 100, 10_000)
    assert long == pytest.approx(2 * middle, rel=0.01) and short < 2
