"""The picture of a moment: its rows, its widths, and ASCII alone where nothing else can be shown."""

from __future__ import annotations

import pytest

from findings.pictures.figure import Doing
from findings.pictures.moment import Fate, Moment, Named, Span, Waiting
from probes.measure.result import Ending
from reports.terminal.moment import draw

MS = 1_000_000
MOMENT = Moment(
    begin=0, end=100 * MS, thread="server", tid=41, lived_until=200 * MS,
    spans=(Span(5 * MS, 10 * MS, Doing.KERNEL), Span(10 * MS, 95 * MS, Doing.ASLEEP), Span(95 * MS, 96 * MS, Doing.RUN_QUEUE)),
    calls=(Named("recvfrom", 5 * MS, 6, 85 * MS, "on the socket's queue"), Named("sendto", 96 * MS, 6)),
    waiting=(
        Waiting(Fate.UNREAD, -20 * MS, 97 * MS, 64, fd=7), Waiting(Fate.UNREAD, 50 * MS, 90 * MS, 4_096, fd=12),
        Waiting(Fate.SILENT, 4 * MS, client=1),
    ),
    more=2, listened=-1_000 * MS,
)  # fmt: skip


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", [52, 72, 180])
def test_each_line_fits_and_says_how_long_it_waited(width: int, ascii_only: bool) -> None:
    lines = [line.plain for line in draw(MOMENT, width, ascii_only)]
    assert all(len(line.rstrip()) <= width for line in lines), "\n".join(lines)
    assert 5 <= len(lines) <= 9
    page = "\n".join(lines)
    assert "unread for 117 ms" in page and "unread for 40.0 ms" in page and "sends nothing" in page and "and 2 more" in page
    assert "|recvfrom" in page and "asleep for 85.0 ms" in page and "|sendto" in page
    assert page.isascii() == ascii_only
    if width == 72:
        assert lines[0] == "100 ms of the server, from 1.000 s after it began to listen, to scale"


def test_the_lane_is_to_scale() -> None:
    lane = draw(MOMENT, 111, ascii_only=True)[1].plain
    assert lane.startswith("thread 41") and lane[11:16] == "-----" and lane[16:21] == "=====" and lane[21:106] == "." * 85


def test_data_that_came_before_the_picture_begins_at_its_edge() -> None:
    rows = {line.plain[:11].strip(): line.plain[11:] for line in draw(MOMENT, 111)}
    assert rows["fd 7"].startswith("<64 B ")
    assert rows["fd 12"].index("|4,096 B") == 50 and rows["fd 12"].index("|read") == 90


@pytest.mark.parametrize(("ending", "words"), [(Ending(signal=13), "|SIGPIPE"), (Ending(status=1), "|exit 1")])
def test_a_thread_that_ended_has_no_lane_after_its_end(ending: Ending, words: str) -> None:
    from dataclasses import replace

    lane = draw(replace(MOMENT, lived_until=50 * MS, ended_by=ending), 111, ascii_only=True)[1].plain
    assert lane.rstrip().endswith(words) and lane.index(words) == 11 + 50
