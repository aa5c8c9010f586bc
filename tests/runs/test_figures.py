"""The figures by name: each model of UNP 6.2 has its lab, and a recording of something else is refused in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.context import CasesRun
from probes.errors import WrongUsage
from runs import figures
from runs.figures import Source
from tests.conftest import recording_of


@pytest.mark.parametrize("name", [*figures.MODELS, "signal-driven", "epoll", "thread_pool"])
def test_a_model_is_drawn_from_the_recording_of_its_lab(name: str) -> None:
    wanted = figures.find(name)
    (source, recording), *rest = figures.paired(wanted, [recording_of(wanted.sources[0].lab)])
    assert not rest and figures.drawn(source, recording).figure.stretches


def test_the_comparison_takes_the_recordings_in_any_order() -> None:
    wanted = figures.find("comparison")
    recordings = [recording_of(source.lab) for source in reversed(wanted.sources)]
    assert [source.lab for source, _ in figures.paired(wanted, recordings)] == [source.lab for source in wanted.sources]
    with pytest.raises(WrongUsage, match="missing: io_uring"):
        figures.paired(wanted, recordings[1:])
    with pytest.raises(WrongUsage, match="the command names 6 files"):
        figures.paired(wanted, [*recordings, recording_of("epoll")])


@pytest.mark.parametrize("name", ["files", "nothing", "terms", ""])
def test_an_experiment_and_a_name_of_nothing_have_no_figure(name: str) -> None:
    with pytest.raises(WrongUsage, match="there is no figure"):
        figures.find(name)


def test_a_recording_of_something_else_is_refused() -> None:
    with pytest.raises(WrongUsage, match="a recording of lab epoll, not of lab blocking"):
        figures.drawn(Source("blocking"), recording_of("epoll"))
    with pytest.raises(WrongUsage, match="a recording of a trace"):
        figures.drawn(Source("blocking"), recording_of("trace"))


def test_a_server_that_the_machine_lacked_is_named() -> None:
    recording = recording_of("io_uring")
    assert isinstance(recording.context, CasesRun)
    skipped = replace(recording.context.cases[0], skipped="io_uring is disabled", pid=None)
    recording = recording.with_context(cases=(skipped, *recording.context.cases[1:]))
    with pytest.raises(WrongUsage, match=r"could not be run on that machine: .*io_uring is disabled"):
        figures.drawn(Source("io_uring", "single"), recording)
