"""The pages in a browser, as a phone, a laptop and a printer show them: nothing overlaps, nothing is cut off, all can be read.

All pages stand in frames of one page, so that the browser starts once for light and once for dark.
"""

from __future__ import annotations

import functools
import html
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import checked, measured
from tests.reports.html import test_comparison, test_page, test_timeline
from tests.reports.html.browser import browse, report_of

SCRIPT = (Path(__file__).parent / "looks.js").read_text()
LABS = ("blocking", "nonblocking", "signal_driven", "silent_client", "files")
TRACES = {"trace": "lock_in_loop", "a part recorded": "budget"}
SIZES = {"phone": (390, 844), "laptop": (1280, 800)}
_CATCH = (
    "<script>window.wrong = []; onerror = (m) => { wrong.push(m); }; console.error = (m) => { wrong.push(m); };"
    " onunhandledrejection = (event) => { wrong.push(String(event.reason)); };</script>"
)


@functools.cache
def pages() -> dict[str, str]:
    """Each page by its name."""
    found = {name: test_page.written(checked(name)) for name in LABS}
    found |= {name: test_page.written(measured(recording)) for name, recording in TRACES.items()}
    found["200 threads"] = test_page.written(test_timeline.of_200_threads())
    found["compare"] = test_comparison.written(test_comparison.comparison())
    found["epoll and select"] = test_comparison.written(test_comparison.comparison("epoll", "select"))
    return found


def looked_at(folder: Path, dark: bool) -> dict[str, Any]:
    """What looks.js says of each page in each size."""
    frames = [
        f'<iframe name="{name} {size}" style="width:{wide}px;height:{high}px;border:0"'
        f' data-page="{html.escape(text.replace("<head>", "<head>" + _CATCH, 1))}"></iframe>'
        for name, text in pages().items()
        for size, (wide, high) in SIZES.items()
        if size == "laptop" or not dark  # in the dark, a narrow page has the same colours
    ]
    page = f'<!doctype html><meta charset="utf-8">{"".join(frames)}<script>{SCRIPT}</script>'
    options = (f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--window-size=1300,900")
    found: dict[str, Any] = report_of(page, folder / "profile", *options)
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_can_be_read_on_a_phone_and_on_a_laptop(dark: bool, tmp_path: Path) -> None:
    found = looked_at(tmp_path, dark)
    assert len(found) == len(pages()) * (1 if dark else len(SIZES))
    wrong = {name: looks["wrong"] for name, looks in found.items() if looks["wrong"]}
    assert not wrong, "\n".join(f"{name}: {words}" for name, complaints in wrong.items() for words in complaints[:8])
    for name, looks in found.items():
        assert looks["elements"] > 200
        assert (looks["ground"] == "rgb(255, 255, 255)") != dark, f"{name} ignores the colours that the reader asked for"
    assert dark or found["blocking phone"]["shown"] == ["narrow"]
    assert found["blocking laptop"]["shown"] == ["wide"]


def test_a_page_with_faults_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey on white, a script with an error, a text on another, a table that is wider than the screen."""
    wrong = pages()["blocking"].replace("no data ready", "no data ready at all at this moment in the queue")
    wrong = wrong.replace(">system call<", ">a system call with a long name and a long story<")
    wrong = wrong.replace("</main>", '<p style="color:#aaa">pale</p><div style="width:3000px">wide</div></main>')
    wrong = wrong.replace("</body>", '<script>nothing.at.all()</script><a href="#x" tabindex="5">jump</a></body>')
    wrong = wrong.replace("BAND = 24", "BAND = 4").replace("0: deeds.whole", "0: deeds.out").replace("* 0.003", "* -0.003")
    monkeypatch.setattr("tests.reports.html.test_browser.pages", lambda: {"wrong": wrong})
    complaints = " ".join(looked_at(tmp_path, dark=False)["wrong laptop"]["wrong"])
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


@pytest.mark.parametrize("name", ["blocking", "compare"])
def test_a_page_prints_on_a_few_sheets(name: str, tmp_path: Path) -> None:
    place, sheets = tmp_path / "page.html", tmp_path / "page.pdf"
    place.write_text(pages()[name])
    browse(tmp_path / "profile", f"--print-to-pdf={sheets}", "--no-pdf-header-footer", place.as_uri())
    count = len(re.findall(rb"/Type\s*/Page\b", sheets.read_bytes()))
    assert 3 <= count <= 16, f"{count} sheets of paper"
