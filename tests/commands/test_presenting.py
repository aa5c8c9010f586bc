"""What the options of a view mean, and outputs that fail one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.outputs import CANNOT_WRITE
from commands.presenting import View, present, view
from findings.part import Part
from findings.zoom import Zoom, moment
from probes.errors import WrongUsage
from tests.conftest import recording_of


def test_lists_are_separated_by_commas() -> None:
    seen = view(thread="12, pool*", calls="recv*,", fd="5,6", port="80", slowest="3", brief=True)
    assert seen.part == Part(("12", "pool*"), ("recv*",), (5, 6), (80,))
    assert (seen.stories, seen.brief, seen.stacks) == (3, True, False)
    assert not view().part


def test_a_descriptor_and_a_port_are_numbers() -> None:
    with pytest.raises(WrongUsage, match="--fd x is not a number"):
        view(fd="5,x")
    with pytest.raises(WrongUsage, match="--port x is not a number"):
        view(port="x")
    with pytest.raises(WrongUsage, match="--slowest x is not a number"):
        view(slowest="x")


def test_an_output_that_fails_leaves_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, page = tmp_path / "report", tmp_path / "page"
    result, status = present(
        recording_of("blocking"), json=False, save="/nowhere/run", out=str(report), view=View(), html=str(page)
    )
    assert (status, result.verdict) == (CANNOT_WRITE, "pass")
    assert "statements checked" in report.read_text() and page.read_text().startswith("<!doctype html>")
    assert "can't write /nowhere/run" in capsys.readouterr().err


def test_a_window_without_the_run_leaves_the_usual_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report of a run is still useful; with `show`, the user can ask again."""
    report, late = tmp_path / "report", View(zoom=Zoom(moment("from", "100s"), None))
    _, status = present(recording_of("blocking"), json=False, save="", out=str(report), view=late)
    assert status == CANNOT_WRITE and "statements checked" in report.read_text()
    assert "--from 100s is not before the end of the run" in capsys.readouterr().err
    with pytest.raises(WrongUsage, match="--from 100s is not before"):
        present(recording_of("blocking"), json=False, save="", out=str(report), view=late, again=True)
