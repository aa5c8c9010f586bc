"""The page of a mark: faults first with what was seen and the remedy, then the page of what the probes saw."""

from __future__ import annotations

import io

import pytest

from reports.html import mark as page
from runs.grading.criteria import BASIC
from runs.grading.mark import Item, Mark, Verdict
from runs.report import report
from tests.conftest import measured
from tests.reports.html.test_page import outline

LOST = Item(
    BASIC["protocol"],
    Verdict.LOST,
    3,
    "<b>no echo</b>",
    remedy="write all bytes",
    lab="short_write",
    moment="2.1 s after it began",
    diagnosed=("write returned 5 of 10 bytes",),
)
ITEMS = (
    Item(BASIC["starts"], Verdict.EARNED, 2, "it listened"),
    LOST,
    Item(BASIC["slow_reader"], Verdict.NOT_SHOWN, 1, "no client was slow"),
)
MARK = Mark(
    name="ada",
    model="epoll",
    protocol="echo",
    seed="7",
    items=ITEMS,
    command=("./server",),
    seconds=2.5,
    output="listening\n\x1b[2J",
    notes=("no cgroup",),
)


def written(points: bool) -> str:
    """The page of the mark."""
    file = io.StringIO()
    page.write(MARK, report(measured("lock_in_loop")), file, points)
    return file.getvalue()


@pytest.mark.parametrize("points", [True, False])
def test_the_mark_stands_before_what_the_probes_saw(points: bool) -> None:
    text = written(points)
    found = outline(text)
    assert not found.wrong and not found.open and found.ids.index("mark") < found.ids.index("what")
    mark = text.partition('id="mark"')[2].partition("</section>")[0]
    assert mark.index("write all bytes") < mark.index("it listened")
    title = "2 of 5 points, model epoll" if points else "Model epoll: 1 of 2 checks met"
    for words in (title, "&lt;b&gt;no echo", "lab short_write", "kernel: write returned 5", "note: no cgroup", "2.1 s after"):
        assert words in mark, words
    assert ("0/3" in mark) == points and "\x1b" not in text
