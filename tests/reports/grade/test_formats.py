"""A mark in the formats of course platforms, with hostile words in it."""

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from reports.grade import annotations, document, gradescope, junit, table, terminal, whole_class
from runs.grading import criteria
from runs.grading.mark import Item, Mark, Mistake, Verdict

EVIL = '=cmd()\x1b[2J\x00 & <b> "100 %", a: b\nsecond line \ufffe'


def mark(name: str = "ada", seen: str = EVIL) -> Mark:
    """One criterion of each verdict."""
    basic, kernel = criteria.BASIC, criteria.evidence("epoll")
    return Mark(
        name=name,
        model="epoll",
        protocol="echo",
        seed="s",
        mistakes=(Mistake("leaves-children", "every child is collected", EVIL, "call waitpid", "processes", "at the end"),),
        command=("./server", "{port}"),
        seconds=1.5,
        output="",
        items=(
            Item(basic["starts"], Verdict.EARNED, 4, "it listened on 127.0.0.1 port 80"),
            Item(basic["reset"], Verdict.LOST, 5, seen, "ignore SIGPIPE", "output_calls", "2.10 s later", ("it slept",)),
            Item(kernel["one_thread"], Verdict.NOT_SHOWN, 8, "few connections"),
        ),
    )  # fmt: skip


def inconclusive() -> Mark:
    """A mark whose recording is incomplete."""
    return Mark("bob", "epoll", "echo", "s", (Item(criteria.BASIC["starts"], Verdict.INCONCLUSIVE, 4, "3 events lost"),))


def test_points_and_status() -> None:
    assert (mark().points, mark().of, mark().status) == (4, 9, "fail")
    assert (inconclusive().points, inconclusive().of, inconclusive().status) == (0, 0, "inconclusive")
    assert Mark("eve", "epoll", "echo", "s", (), broken="the sandbox failed").status == "inconclusive"


def test_gradescope_has_the_keys_of_its_specification() -> None:
    found = gradescope.document(mark())
    assert set(found) <= {
        "score", "execution_time", "output", "output_format", "visibility", "stdout_visibility", "extra_data", "leaderboard",
        "tests",
    }  # fmt: skip
    assert sum(test["score"] for test in found["tests"]) == 4
    assert sum(test["max_score"] for test in found["tests"]) == 9
    assert [test["status"] for test in found["tests"]] == ["passed", "failed", "passed"]
    assert "shown by: " in found["tests"][1]["output"] and "lab output_calls" in found["tests"][1]["output"]
    json.dumps(found)


def test_gradescope_gets_a_score_where_nothing_was_marked() -> None:
    found = gradescope.document(Mark("eve", "epoll", "echo", "s", (), broken="the sandbox failed"))
    assert found["score"] == 0 and "the sandbox failed" in found["output"]


def test_junit_is_xml_that_counts_what_it_holds() -> None:
    file = io.StringIO()
    junit.write(mark(), file)
    root = ElementTree.fromstring(file.getvalue().partition("\n")[2])
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("3", "1", "0", "1")
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["skipped"]]
    assert [[child.tag for child in case] for case in junit.document(inconclusive())[0]] == [["error"]]


def test_an_annotation_is_one_line() -> None:
    file = io.StringIO()
    annotations.write(mark(), file)
    lines = file.getvalue().splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::notice"]
    assert "100 %25" in lines[0] and "%0Asecond line" in lines[0]


def test_a_cell_is_no_formula() -> None:
    file = io.StringIO()
    table.write_class([mark(name="=HYPERLINK(1)"), inconclusive()], file)
    rows = list(csv.reader(io.StringIO(file.getvalue())))
    assert rows[1][:4] == ["'=HYPERLINK(1)", "fail", "4", "9"]
    assert rows[1][rows[0].index("one_thread")] == ""
    assert rows[2][1] == "inconclusive"


def test_statistics_count_the_losses() -> None:
    file = io.StringIO()
    table.write_statistics([mark(), mark("carl"), inconclusive()], file)
    assert file.getvalue().splitlines()[:2] == ["criterion,lost,judged", "reset,2,2"]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_page_has_no_control_character_and_fits(width: int) -> None:
    file = io.StringIO()
    terminal.write(mark(), file, points=True, width=width)
    text = file.getvalue()
    assert "\x1b" not in text and "\x00" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "4 of 9 points" in text and "lab output_calls" in text
    assert "also seen, without points" in text and "call waitpid" in text


def test_check_shows_no_points() -> None:
    file = io.StringIO()
    terminal.write(mark(), file, points=False, width=80)
    assert "1 of 2 checks are met" in file.getvalue() and "0/5" not in file.getvalue()


def test_a_class_on_one_page_and_as_json() -> None:
    file = io.StringIO()
    whole_class.write([mark(), inconclusive()], file, width=80)
    assert "ada" in file.getvalue() and "1 of 1  reset" in file.getvalue()
    file = io.StringIO()
    document.write_class([mark(), inconclusive()], file)
    found = json.loads(file.getvalue())
    assert [each["name"] for each in found["marks"]] == ["ada", "bob"]
    assert found["marks"][0]["mistakes"][0]["id"] == "leaves-children"
    assert found["statistics"][0] == {"id": "reset", "lost": 1, "judged": 1}


def test_what_was_not_tried_stands_apart_from_the_fault() -> None:
    basic, file = criteria.BASIC, io.StringIO()
    lost = (
        Item(basic["starts"], Verdict.LOST, 4, "the server ended with status 3", "bind"),
        Item(basic["reset"], Verdict.LOST, 5, "not tried: the server ended with status 3", tried=False),
    )
    terminal.write(Mark("eve", "epoll", "echo", "s", lost), file, points=False, width=80)
    page = file.getvalue()
    assert "1 fault " in page and "not tried, because of a fault above" in page
    assert page.count("the server ended with status 3") == 1
