"""The page of each lab and of a trace: whole, valid, without anything from outside, and safe with hostile names."""

from __future__ import annotations

import functools
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import labs
from findings.part import Part
from probes.context import TraceRun
from probes.measure.result import Result
from reports.html import page
from runs.report import report
from tests.conftest import checked, measured

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Which elements a page has, and where one is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.unnamed = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self._look(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, dict(attrs))

    def _look(self, tag: str, named: dict[str, str | None]) -> None:
        if named.get("id"):
            self.ids.append(named["id"] or "")
        address = named.get("href") or named.get("src")
        if tag == "a" and address:
            self.links.append(address)
        elif address and not address.startswith("data:"):
            self.outside.append(address)
        if tag == "svg" and not (named.get("aria-label") or named.get("aria-hidden")):
            self.unnamed += 1

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def written(result: Result) -> str:
    file = io.StringIO()
    page.write(report(result), file)
    return file.getvalue()


@functools.cache
def of_lab(name: str) -> str:
    """The page of the lab's recording, written once for all tests."""
    return written(checked(name))


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    found.close()
    return found


@pytest.mark.parametrize("name", labs.names())
def test_the_page_of_each_lab(name: str) -> None:
    result, text = checked(name), of_lab(name)
    found = outline(text)
    assert not found.wrong and not found.open and not found.outside and not found.unnamed
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids), "a link leads nowhere"
    assert (
        "{{" not in text and "{%" not in text and not re.search(r"(?:url\(|@import|https?://(?!www\.w3\.org/2000/svg))", text)
    )
    for check in result.checks:
        assert '<dt><span class="verdict">' in text
        assert all(f"<span>{claim}</span>" in text for claim in check.claims)
    assert text.count("<rect") >= len(result.threads)
    assert len(text) < 2_000_000


def test_the_page_of_a_trace() -> None:
    found = outline(written(measured("trace")))
    assert not found.wrong and not found.open and "calls" in found.ids and "threads" in found.ids and "figure" not in found.ids


def test_every_message_has_a_row_and_a_strip() -> None:
    text = of_lab("blocking").partition('id="messages"')[2].partition("</section>")[0]
    assert text.count('<tr><th scope="row"') == 69 and text.count('class="bar figure"') == 69
    assert "69 messages" in text and text.count('class="cut"') == 2


def test_a_page_of_many_messages_says_what_it_leaves_out() -> None:
    result = measured("nonblocking")
    many = tuple(replace(message, ready=message.ready + number) for number in range(40) for message in result.messages)
    text = written(replace(result, messages=many))
    assert "2,760 messages" in text and "the 300 longest and 700 of the others" in text
    assert text.partition('id="messages"')[2].count('<tr><th scope="row"') < 1_100


def test_names_from_outside_are_shown_and_not_obeyed() -> None:
    result = measured("trace")
    bad = '<script>alert("x")</script>\x1b[2J'
    threads = tuple(replace(thread, name=bad) for thread in result.threads)
    rows = tuple(replace(row, name=bad) for row in result.rows)
    text = written(replace(result, threads=threads, rows=rows, context=TraceRun(iolab=bad, command=(bad, bad), status=1)))
    assert "<script>alert" not in text and "\x1b" not in text and "&lt;script&gt;alert" in text
    assert not outline(text).wrong


def test_a_run_with_lost_events_says_so_first() -> None:
    result = measured("trace")
    events = replace(result.events, lost=3, reasons={"full": 3})
    text = written(replace(result, events=events))
    assert 'class="badge inconclusive">inconclusive' in text and 'class="alarm"' in text


def test_a_page_of_200_threads_shows_some_at_once_and_all_in_all() -> None:
    result = measured("trace")
    more = (replace(result.threads[0], serial=100_000 + number, tid=100_000 + number) for number in range(197))
    text = written(replace(result, threads=(*result.threads, *more)))
    assert "176 other threads" in text and text.partition('id="threads"')[2].count('class="bar figure"') == 200


def test_the_page_of_a_trace_begins_with_what_is_wrong_and_where_it_waits() -> None:
    text = written(measured("lock_in_loop"))
    found = outline(text)
    assert not found.wrong and not found.open and len(found.ids) == len(set(found.ids))
    order = [found.ids.index(name) for name in ("what", "wrong", "waits", "calls", "threads", "quality")]
    assert order == sorted(order)
    wrong = text.partition('id="wrong"')[2].partition("</section>")[0]
    assert "a thread with an event loop blocks only in its wait" in wrong and "Remedy:" in wrong and "lab slow_handler" in wrong
    waits = text.partition('id="waits"')[2].partition("</section>")[0]
    assert "held up 34.5 % of the time" in waits and "futex \u2192 thread" in waits and waits.count('class="bar figure"') == 3


def test_a_page_of_a_part_says_so_and_judges_nothing() -> None:
    file = io.StringIO()
    page.write(report(measured("lock_in_loop"), Part(calls=("futex",))), file)
    found = outline(file.getvalue())
    assert "wrong" not in found.ids and "what" not in found.ids and "Only" in file.getvalue() and not found.wrong


def test_a_page_of_a_run_whose_details_are_a_part_says_which_part() -> None:
    result = measured("lock_in_loop")
    text = written(replace(result, details=replace(result.details, of=10 * result.details.recorded)))
    assert "details: 10.0 % of" in text and "messages and findings are from this part" in text


def test_a_long_table_of_system_calls_is_folded() -> None:
    result = measured("trace")
    text = written(result)
    assert len(result.rows) == 38 and "14 other system calls" in text
    assert "other system call" not in written(measured("lock_in_loop")).partition('id="calls"')[2].partition("start-up")[0]


def test_the_slowest_messages_and_calls_have_their_stories() -> None:
    file = io.StringIO()
    page.write(report(measured("lock_in_loop"), stories=3), file)
    found = file.getvalue()
    section = found.partition('id="slowest"')[2].partition("</section>")[0]
    assert "Slowest calls" in section and section.count("<ol>") >= 3 and "futex" in section and not outline(found).wrong
    assert 'id="slowest"' not in written(measured("lock_in_loop"))
