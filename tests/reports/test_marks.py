"""The marks of recordings fit 80 columns, hold no control character, and no formula for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from probes.seal import State
from reports import marks as report
from runs.marks import Flag, HandedIn, Remark

FOUND = [
    HandedIn("ada.iolab", "Ada", (), "epoll", 7, 4, 5, "pass", sealed=State.WHOLE, seal="ab" * 32),
    HandedIn("=x\x1b[2J\udc80.iolab", "=HYPERLINK(1)", (Remark(Flag.BROKEN, "the file is \x9b31m"),)),
]


def test_the_table_and_the_verification_fit_80_columns() -> None:
    table, verified = io.StringIO(), io.StringIO()
    report.write(FOUND, [Path("a.txt")], table, 80)
    report.write_verified(FOUND, verified, 80)
    for file in (table, verified):
        assert all(len(line) <= 80 for line in file.getvalue().splitlines())
        assert "\x1b" not in file.getvalue() and "\x9b" not in file.getvalue()


def test_the_csv_has_a_sentence_for_each_file_and_no_formula() -> None:
    file = io.StringIO()
    report.write_csv(FOUND, file)
    file.getvalue().encode()
    ada, other = csv.DictReader(io.StringIO(file.getvalue()))
    assert (ada["points"], ada["of"], ada["flags"], ada["seal"]) == ("4", "5", "", "ab" * 32)
    assert ada["sentence"] == "4 of 5 answers are right."
    assert other["student"] == "'=HYPERLINK(1)" and other["file"].startswith("'=x\\x1b") and other["points"] == ""


def test_the_document_has_the_flags_as_a_list() -> None:
    file = io.StringIO()
    report.write_json(FOUND, file)
    found = json.loads(file.getvalue())
    assert [each["flags"] for each in found["marks"]] == [[], ["broken"]] and found["forgeable"]
    file.getvalue().encode()
