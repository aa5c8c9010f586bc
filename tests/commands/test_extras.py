"""Libraries that only some outputs need: the error names the command, and pip changes only the Python of ./iolab."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from typing import NoReturn

import pytest

from commands import extras
from commands.extras import PERFETTO, PICTURES, Extra
from probes.errors import WrongUsage

MISSING = Extra("perfetto", "no_such_module", "5 MB", "a trace for Perfetto")


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_arguments: object, **_options: object) -> NoReturn:
        raise AssertionError("pip was started")

    monkeypatch.setattr(subprocess, "run", never)


def test_an_installed_library_needs_no_pip() -> None:
    Extra("perfetto", "json", "0 MB", "a test").need()


@pytest.mark.parametrize("extra", [PERFETTO, PICTURES])
def test_each_extra_has_exact_versions(extra: Extra) -> None:
    assert extra.pins and all("==" in pin for pin in extra.pins)


def test_another_python_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_own", lambda: False)
    with pytest.raises(WrongUsage) as error:
        MISSING.need()
    assert "a trace for Perfetto needs packages that are not installed" in str(error.value)
    assert f"-m pip install --no-deps {' '.join(MISSING.pins)}" in str(error.value)


def test_an_image_without_pip_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(WrongUsage, match="docker build --build-arg EXTRAS=perfetto"):
        MISSING.need()


def test_the_last_line_of_pip_is_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_own", lambda: True)
    failed = subprocess.CompletedProcess([], 1, "", "warning: old\nERROR: no route to host\n")
    monkeypatch.setattr(subprocess, "run", lambda *_arguments, **_options: failed)
    monkeypatch.setattr(os, "access", lambda *_arguments: True)
    with pytest.raises(WrongUsage, match="pip could not install: ERROR: no route to host"):
        MISSING.need()
