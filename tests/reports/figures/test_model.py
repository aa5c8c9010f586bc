"""The figures: valid XML, no text on another and none outside the paper, and what UNP 6.2 draws is in them."""

from __future__ import annotations

import functools
from xml.etree import ElementTree

import pytest

import labs
from probes.words import count
from reports.figures import model, sizes
from reports.figures.paper import Paper
from runs.report import Drawn, report
from tests.conftest import checked
from tests.reports.figures.looks import SVG, complaints

SIZES = {**sizes.SIZES, "phone": sizes.PHONE}


@functools.cache
def drawn(name: str) -> tuple[Drawn, ...]:
    return report(checked(name)).figures


def paper(found: Drawn, size: str) -> Paper:
    return model.of_run(found, SIZES[size])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", labs.names())
def test_no_text_stands_on_another_or_leaves_the_paper(name: str, size: str) -> None:
    for found in drawn(name):
        sheet = paper(found, size)
        assert not complaints(sheet), f"{name} {found.case}"
        for alone in (True, False):
            root = ElementTree.fromstring(sheet.svg(alone))
            assert root.tag == f"{SVG}svg" and root.get("viewBox") and root.get("aria-label")


def test_a_text_on_another_is_seen() -> None:
    sheet = Paper((100, 100), "title", "words")
    sheet.text((10, 10), "first", 10)
    sheet.text((20, 14), "second", 10)
    sheet.text((90, 50), "outside", 10)
    assert complaints(sheet) == ["outside: outside", "second on first"]


def texts(name: str) -> str:
    root = ElementTree.fromstring(paper(drawn(name)[0], "column").svg(True))
    return " ".join(text.text or "" for text in root.iter(f"{SVG}text"))


# What the textbook's figure of each model has, in the words of UNP 6.2.
TEXTBOOK = {
    "blocking": ("system call", "no data ready", "process blocks", "in recvfrom", "data ready", "data copied", "return OK"),
    "nonblocking": (
        "EAGAIN recvfrom no data ready EAGAIN recvfrom EAGAIN",
        "no data ready",
        "again",
        "(polling)",
        "data copied",
        "return OK",
    ),
    "select": ("pselect6", "return readable", "recvfrom", "data copied", "return OK", "process blocks", "in pselect6"),
    "signal_driven": ("fcntl", "SIGIO", "signal 35", "recvfrom", "return OK"),
    "io_uring": ("io_uring_enter", "data copied", "io_uring"),
    "epoll": ("EPOLL_CTL_ADD", "epoll's own queue", "return readable"),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_the_figure_has_what_the_textbook_draws(name: str) -> None:
    found = texts(name)
    common = ("application", "kernel", "network", "phase 1:", "wait for data", "phase 2:", "copy data", "the client sends")
    for words in (*common, *TEXTBOOK[name]):
        assert words in found, f"{words} is not in: {found}"


def test_the_figure_names_its_run() -> None:
    found = texts("blocking")
    result = checked("blocking")
    for words in ("Lab blocking", "the median of the 67 messages (of 69)", "TCP on loopback", result.machine.kernel):
        assert words in found
    assert count(result.machine.cpus, "CPU") in found


def test_lengths_are_to_scale() -> None:
    """The stretches of the path, from the send to the echo, have the proportions of their times."""
    found = drawn("blocking")[0]
    root = ElementTree.fromstring(paper(found, "column").svg(True))
    ready = found.figure.scene.message.ready
    asleep = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == "l asleep"][
        -2
    ]  # the legend's is last
    user = [path.get("d", "") for path in root.iter(f"{SVG}path") if path.get("class") == "l user"][1]
    sent, woken = (stretch for stretch in [(found.figure.stretches[0].begin, found.figure.stretches[0].end)][0])
    length = woken - sent
    own = next(stretch for stretch in found.figure.stretches if stretch.call is None)
    ratio = _high(asleep) / _high(user)
    assert ratio == pytest.approx(length / (own.end - own.begin), rel=0.05) and sent < ready < woken


def _high(path: str) -> float:
    ends = [float(point.split()[1]) for point in path.removeprefix("M").split("L")]
    return ends[-1] - ends[0]


def test_a_figure_is_small() -> None:
    for name in TEXTBOOK:
        for size in SIZES:
            assert len(paper(drawn(name)[0], size).svg(True)) < 40_000
