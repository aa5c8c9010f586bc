"""The published schema of --json (docs/iolab.schema.json): real documents keep to it, and it describes every key of them."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from findings.part import Part
from reports import document
from runs.report import report
from tests.conftest import ROOT, checked

SCHEMA = json.loads((ROOT / "docs" / "iolab.schema.json").read_text())
# One of each kind of run: a lab with a server, with several, without clients; traces; a program with a fault.
NAMES = ("blocking", "epoll", "silent_client", "pool_ceiling", "input_calls", "io_uring", "trace", "lock_in_loop", "budget")


@cache
def strict() -> Draft202012Validator:
    """The schema, with a complaint about every key that it does not describe."""
    closed = copy.deepcopy(SCHEMA)

    def close(node: Any) -> None:
        if isinstance(node, dict):
            if "properties" in node:
                node.setdefault("additionalProperties", False)
            for child in node.values():
                close(child)
        elif isinstance(node, list):
            for child in node:
                close(child)

    close(closed)
    return Draft202012Validator(closed)


def written(name: str, part: Part | None = None, stories: int = 0) -> Any:
    return json.loads(json.dumps(document.document(report(checked(name), part, stories))))


def complaints(found: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in strict().iter_errors(found)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_keeps_to_the_schema(name: str) -> None:
    assert not complaints(written(name))


def test_so_does_one_of_a_part_with_stories() -> None:
    found = written("lock_in_loop", Part(calls=("futex",), threads=("python3",), fds=()), 3)
    assert found["only"] == {"threads": ["python3"], "calls": ["futex"], "fds": [], "ports": []}
    assert found["slowest"]["calls"] and {row["name"] for row in found["calls"]} == {"futex"}
    assert not complaints(found)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda found: found["threads"][0].pop("slept_on"), "'slept_on' is a required property"),
        (lambda found: found["calls"][0].update(wait_ns=1.5), "1.5 is not of type 'integer'"),
        (lambda found: found.update(verdict="held"), "'held' is not one of"),
        (lambda found: found["findings"][0].update(new=1), "'new' was unexpected"),
        (lambda found: found.update(schema_version=3), "2 was expected"),
    ],
)
def test_a_wrong_document_is_refused(change: Any, complaint: str) -> None:
    found = written("lock_in_loop")
    change(found)
    assert any(complaint in words for words in complaints(found))


def test_a_later_key_is_allowed_by_the_published_schema() -> None:
    found = written("trace") | {"later": 1}
    assert Draft202012Validator(SCHEMA).is_valid(found) and not strict().is_valid(found)
