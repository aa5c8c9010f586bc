"""The timeline of a page: the static picture, what is said of it, and the data for the script."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from findings.zoom import Zoom, moment
from probes.measure.result import Result
from reports.html import page
from runs.report import report
from tests.conftest import measured
from tests.reports.html.test_page import outline, written


def section(text: str) -> str:
    return text.partition('<section id="timeline">')[2].partition("</section>")[0]


def head(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.partition('id="tl-head">')[2].partition("</script>")[0])
    return found


@pytest.mark.parametrize("name", ["blocking", "threads", "silent_client", "lock_in_loop", "budget"])
def test_each_thread_has_a_lane_with_its_figures_in_words(name: str) -> None:
    result = measured(name)
    text = written(result)
    found = section(text)
    assert found.count('class="tl-row"') == len(result.threads) == len(head(text)["lanes"]) <= 50
    for thread in result.threads:
        assert f'aria-label="{thread.name} {thread.tid}: ' in found
    assert re.search(r'aria-label="[^"]*(asleep|user code|not recorded) [\d.<>]+ %', found)
    assert not outline(text).wrong and "timeline" in outline(text).ids


def test_the_static_picture_has_a_line_for_sleep_and_bars_for_work() -> None:
    found = section(written(measured("blocking")))
    paths = dict(re.findall(r'<path class="f-(\w+)" d="([^"]*)"', found))
    assert {"asleep", "kernel", "user"} <= set(paths)
    filled = [0] * 240
    for path in paths.values():
        for begin, wide, high in re.findall(r"M(\d+) \d+h(\d+)v(\d+)", path):
            for column in range(int(begin), int(begin) + int(wide)):
                filled[column] += int(high)
    assert set(filled) <= {4, *range(11, 21)} and filled.count(4) > 120 < 240 - 4


def test_what_is_not_recorded_is_said_and_has_its_own_pattern() -> None:
    found = section(written(measured("budget")))
    assert "152 of 1,059 calls were recorded one by one" in found and 'class="f-unknown"' in found
    assert "may have worked or slept" in found and "f-unknown" not in section(written(measured("blocking")))


def of_200_threads() -> Result:
    """A run with 195 threads that did nothing beside five that served."""
    result, numbers = measured("thread_pool"), range(9_000, 9_195)
    more = (replace(result.threads[-1], serial=100_000 + number, tid=number, host_tid=number, calls=0) for number in numbers)
    return replace(result, threads=(*result.threads, *more))


def test_of_200_threads_50_have_lanes_and_the_others_are_folded() -> None:
    text = written(of_200_threads())
    found = section(text)
    assert found.count('class="tl-row"') == 50 and "Shown: 50 of 200 threads" in found and "150 of 195 idle threads" in found
    assert len(head(text)["lanes"]) == 200 and sum(band["folded"] for band in head(text)["bands"]) == 150
    assert len(text) < 1_000_000


def test_the_user_says_which_part_is_shown_first() -> None:
    file = io.StringIO()
    page.write(report(measured("blocking")), file, Zoom(moment("from", "12ms"), moment("to", "20ms")))
    assert head(file.getvalue())["first"] == [12_000_000, 20_000_000]
    shown = head(written(measured("blocking")))
    assert shown["first"] == [0, shown["span"]]


def test_names_can_not_end_the_script_that_holds_them() -> None:
    result = measured("blocking")
    bad = "</script><b>"
    calls = tuple(replace(call, name=bad) for call in result.calls)
    threads = tuple(replace(thread, name=bad) for thread in result.threads)
    text = written(replace(result, threads=threads, calls=calls))
    assert bad not in text and head(text)["names"] == [bad] and not outline(text).wrong


def test_a_run_without_threads_has_no_timeline() -> None:
    text = written(replace(measured("trace"), threads=(), calls=(), messages=()))
    assert 'id="timeline"' not in text and not outline(text).wrong
