"""The context of a recording: each kind of run becomes its dataclass, and nonsense is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from probes import context, shapes
from probes.context import CasesRun, Context, ExperimentRun, ServerRun, TraceRun
from probes.recording import Recording


@pytest.mark.parametrize(
    ("name", "kind"), [("epoll", ServerRun), ("silent_client", CasesRun), ("terms", ExperimentRun), ("trace", TraceRun)]
)
def test_each_kind_of_run_has_its_own_type(name: str, kind: type, recorded: Callable[[str], Recording]) -> None:
    assert type(recorded(name).context) is kind


@pytest.mark.parametrize("name", ["epoll", "silent_client", "terms", "trace"])
def test_what_is_written_is_read_as_the_same(name: str, recorded: Callable[[str], Recording]) -> None:
    run = recorded(name).context
    assert context.read(written(run)) == run


def written(run: Context) -> Any:
    """The context as a file has it."""
    return json.loads(json.dumps(run, default=shapes.plain))


def _put(value: Any, *keys: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("epoll", _put([5, 4], "traffic_seen", "clients", 0, "exchanges", 0), "an echo came before its message"),
        ("epoll", _put(-1, "traffic", "size"), "size of the traffic is negative"),
        ("epoll", _put("20", "traffic", "gap_ms"), "context.traffic.gap_ms is not a number"),
        ("epoll", _put(None, "witness"), "context.witness is not an object"),
        ("epoll", _put("x" * 101, "lab"), "context.lab is no name of a lab"),
        ("silent_client", _put(None, "cases", 0, "pid"), "lacks its process or its clients"),
        ("silent_client", _put({}, "cases", 0), "context.cases.name is missing"),
        ("trace", _put([1], "command"), "context.command is not a text"),
    ],
)
def test_nonsense_is_refused_with_its_place(
    name: str, change: Callable[[Any], None], words: str, recorded: Callable[[str], Recording]
) -> None:
    data = written(recorded(name).context)
    change(data)
    with pytest.raises(ValueError, match=words):
        context.read(data)
