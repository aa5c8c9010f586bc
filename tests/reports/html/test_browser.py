"""The page of every lab, of traces, of a comparison and of a mark in a browser: nothing overlaps, and nothing is cut off.

One browser looks at all pages. Each page is loaded once, and shown as on a laptop, on a phone in the dark, and on paper.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import labs
from tests.conftest import measured
from tests.reports.html import test_comparison, test_mark, test_page, test_timeline
from tests.reports.html.browser import LAPTOP, PAPER, PHONE, Browser

SCRIPT = (Path(__file__).parent / "looks.js").read_text()
OTHERS: dict[str, Callable[[], str]] = {
    "trace": lambda: test_page.written(measured("lock_in_loop")),
    "a part recorded": lambda: test_page.written(measured("budget")),
    "200 threads": lambda: test_page.written(test_timeline.of_200_threads()),
    "compare": lambda: test_comparison.written(test_comparison.comparison()),
    "epoll and select": lambda: test_comparison.written(test_comparison.comparison("epoll", "select")),
    "mark": lambda: test_mark.written(points=True),
}
SHEETS = {"blocking": 16, "compare": 16}  # of paper at most
STEERED = {"blocking", "nonblocking", "silent_client", *OTHERS}  # the tests use keys, wheel and pointer on their timelines
_LOOKS = {
    LAPTOP: ("figures", "words", "order", "drawn", "keys"),
    PHONE: ("figures", "words", "order", "drawn"),
    PAPER: ("figures", "words"),
}


@functools.cache
def page(name: str) -> str:
    """A page by its name."""
    return OTHERS[name]() if name in OTHERS else test_page.of_lab(name)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser of all tests of this file."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def looked_at(browser: Browser, text: str, folder: Path, steer: bool = True) -> dict[str, dict[str, Any]]:
    """What looks.js says of a page in each way to show it; `steer`: also of its timeline's keys."""
    place = folder / "page.html"
    place.write_text(text)
    found: dict[str, dict[str, Any]] = {}
    for screen, names in _LOOKS.items():
        browser.show(screen)
        if not found:
            browser.open(place)
            browser.run(SCRIPT)
        more = ("timeline",) if steer and screen is LAPTOP else ()
        found[screen.name] = browser.run(f"looks(...{[*names, *more]})")
        found[screen.name]["wrong"] += browser.wrong
    return found


@pytest.mark.parametrize("name", [*labs.names(), *OTHERS])
def test_a_page_can_be_read(name: str, browser: Browser, tmp_path: Path) -> None:
    found = looked_at(browser, page(name), tmp_path, steer=name in STEERED)
    for screen, looks in found.items():
        assert not looks["wrong"], f"{screen}: {'; '.join(looks['wrong'][:8])}"
        assert looks["elements"] > 200
        assert (looks["ground"] == "rgb(255, 255, 255)") != (screen == "phone"), (
            "it ignores the colours that the reader asked for"
        )
    if name == "blocking":
        assert [found[screen]["shown"] for screen in ("phone", "laptop", "paper")] == [["narrow"], ["wide"], ["wide"]]
    if name in SHEETS:
        count = len(re.findall(rb"/Type\s*/Page\b", browser.printed()))
        assert 3 <= count <= SHEETS[name], f"{count} sheets of paper"


def test_a_page_with_faults_is_refused(browser: Browser, tmp_path: Path) -> None:
    """Grey on white, a script with an error, a text on another, a table that is wider than the screen."""
    wrong = page("blocking").replace("no data ready", "no data ready at all at this moment in the queue")
    wrong = wrong.replace(">system call<", ">a system call with a long name and a long story<")
    wrong = wrong.replace("</main>", '<p style="color:#aaa">pale</p><div style="width:3000px">wide</div></main>')
    wrong = wrong.replace("</body>", '<script>nothing.at.all()</script><a href="#x" tabindex="5">jump</a></body>')
    wrong = wrong.replace("BAND = 24", "BAND = 4").replace("0: deeds.whole", "0: deeds.out").replace("* 0.003", "* -0.003")
    found = looked_at(browser, wrong, tmp_path)
    # A phone's innerWidth grows with the page, so the width of the screen is the root element's clientWidth.
    assert "wide, the screen 390" in " ".join(found["phone"]["wrong"])
    complaints = " ".join(found["laptop"]["wrong"])
    for words in (
        "nothing is not defined",
        "contrast 2.3: pale",
        "3080 wide, the screen 1280",
        "tabindex 5",
        "cut off",
        "on each other: no data ready at all",
        "timeline, whole: on each other",
        "the wheel does not zoom",
        "0 does not show the whole run",
    ):
        assert words in complaints, f"{words}: {complaints}"
