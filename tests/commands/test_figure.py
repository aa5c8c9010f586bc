"""`iolab figure` as a user runs it: SVG on stdout, files by their endings, and what it refuses."""

from __future__ import annotations

import importlib.util
import subprocess
from ctypes.util import find_library
from pathlib import Path
from xml.etree import ElementTree

import pytest

from commands import extras
from commands.extras import Extra
from commands.figure import figure
from probes.errors import WrongUsage
from tests.conftest import DATA, ROOT, cannot

BLOCKING = str(DATA / "blocking.iolab")


def test_the_figure_goes_to_stdout_as_svg(capsys: pytest.CaptureFixture[str]) -> None:
    figure("blocking", recording=BLOCKING)
    root = ElementTree.fromstring(capsys.readouterr().out)
    assert root.get("aria-label") == "Blocking I/O: one message of 64 B" and root.get("width") == "720"


@pytest.mark.parametrize(("ending", "begin"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_name_of_the_file_decides_the_format(ending: str, begin: bytes, tmp_path: Path) -> None:
    if ending != "svg" and importlib.util.find_spec("cairosvg") is None:
        cannot("an optional library is missing", f"pip install --no-deps {' '.join(extras.PICTURES.pins)}")
    if ending != "svg" and find_library("cairo") is None:
        cannot("cairo is missing", "apt-get install libcairo2")
    out = tmp_path / f"figure.{ending}"
    figure("blocking", recording=BLOCKING, out=str(out), size="slide")
    assert out.read_bytes().startswith(begin)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "poster"}, "there is no size poster"),
        ({"out": "figure.docx"}, "can't be written as figure.docx"),
        ({"out": "figure"}, "can't be written as figure"),
        ({"recording": str(DATA / "epoll.iolab")}, "not of lab blocking"),
    ],
)
def test_what_makes_no_figure_is_refused(options: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=words):
        figure("blocking", **{"recording": BLOCKING} | options)


def test_a_library_that_cannot_be_installed_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(
        WrongUsage,
        match=r"a picture needs packages that are not installed\n  install them:\n    .*pip install --no-deps cairocffi==",
    ):
        Extra("pictures", "no_such_module", "1 MB", "a picture").need()


@pytest.mark.parametrize("venv", ["own", "of a user", "linked", "elsewhere"])
def test_only_the_venv_of_iolab_is_changed(venv: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place, other = tmp_path / ".venv", tmp_path / "other"
    for folder in (other if venv == "linked" else place, other):
        folder.mkdir(exist_ok=True)
        if venv != "of a user":
            (folder / "pins").touch()
    if venv == "linked":
        place.symlink_to(other)
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setattr("commands.process.ROOT", tmp_path)
    monkeypatch.setattr("sys.prefix", str(other if venv == "elsewhere" else place))
    started: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 1, "", "no network")

    monkeypatch.setattr("subprocess.run", run)
    with pytest.raises(WrongUsage, match="no network" if venv == "own" else "packages that are not installed\n"):
        Extra("pictures", "no_such_module", "1 MB", "a picture").need()
    assert bool(started) == (venv == "own")


def test_in_the_container_image_the_words_name_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)  # neither the library nor pip
    with pytest.raises(WrongUsage, match=r"this image does not have\n.*docker build --build-arg EXTRAS=pictures -t iolab \."):
        Extra("pictures", "cairosvg", "1 MB", "a picture").need()
