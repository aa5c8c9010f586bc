"""A mark as JUnit XML: a test case for each criterion. What is inconclusive is an error, since a skipped test passes."""

from __future__ import annotations

import re
from typing import IO
from xml.etree import ElementTree

from reports.grade.words import reason
from runs.grading.mark import Item, Mark, Verdict

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2: not even as a reference


def document(mark: Mark) -> ElementTree.Element:
    """The element `testsuites` with one suite."""
    verdicts = [item.verdict for item in mark.items]
    counts = {
        "tests": str(max(len(mark.items), 1)),
        "failures": str(verdicts.count(Verdict.LOST)),
        "errors": str(verdicts.count(Verdict.INCONCLUSIVE) + bool(mark.broken)),
        "skipped": str(verdicts.count(Verdict.NOT_SHOWN)),
        "time": f"{mark.seconds:.3f}",
    }
    suites = ElementTree.Element("testsuites", {"name": "iolab", **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _plain(mark.name or mark.model), **counts})
    for item in mark.items:
        _case(suite, mark, item)
    if mark.broken:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"iolab.{mark.model}", "name": "the submission is marked"}
        )
        ElementTree.SubElement(case, "error", {"message": _plain(mark.broken), "type": "broken"})
    return suites


def _case(suite: ElementTree.Element, mark: Mark, item: Item) -> None:
    name = f"{item.criterion.statement} ({item.points}/{item.of})"
    case = ElementTree.SubElement(suite, "testcase", {"classname": f"iolab.{mark.model}", "name": name, "time": "0"})
    kind = {Verdict.LOST: "failure", Verdict.INCONCLUSIVE: "error", Verdict.NOT_SHOWN: "skipped"}.get(item.verdict)
    if kind:
        attributes = {"message": _plain(item.seen), **({} if kind == "skipped" else {"type": item.criterion.id})}
        ElementTree.SubElement(case, kind, attributes).text = _plain(reason(item))


def _plain(text: str) -> str:
    return _FORBIDDEN.sub("?", text)


def write(mark: Mark, file: IO[str]) -> None:
    """The document as text."""
    root = document(mark)
    ElementTree.indent(root)
    file.write('<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n")
