"""Libraries that only some outputs need. iolab installs them into .venv when such an output is first needed, and says so.

iolab changes only the .venv that ./iolab made. Under another Python, an error names the command that installs the libraries.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from commands import outputs, process
from probes.errors import WrongUsage


class Extra:
    """A group of pyproject.toml: the module that shows whether it is installed, its size, and what it is for."""

    def __init__(self, group: str, module: str, size: str, purpose: str) -> None:
        self.group, self.module, self.size, self.purpose = group, module, size, purpose

    @property
    def installed(self) -> bool:
        """Can the module be imported?"""
        return importlib.util.find_spec(self.module) is not None

    @property
    def pins(self) -> list[str]:
        """The packages in their exact versions."""
        with (process.ROOT / "pyproject.toml").open("rb") as file:
            groups: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
        return groups[self.group]

    def need(self) -> None:
        """Installs the group if it is missing. Raises WrongUsage with the command where that fails."""
        if self.installed:
            return
        command = [
            sys.executable,
            "-I",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            *self.pins,
        ]
        shown = f"{sys.executable} -m pip install --no-deps {' '.join(self.pins)}"
        if importlib.util.find_spec("pip") is None:  # in the container image: its packages are there, and pip is not
            raise WrongUsage(
                f"{self.purpose} needs packages that this image does not have",
                f"build an image with them: docker build --build-arg EXTRAS={self.group} -t iolab .",
            )
        if not _own() or not os.access(sys.prefix, os.W_OK):
            raise WrongUsage(f"{self.purpose} needs packages that are not installed", f"install them:\n    {shown}")
        outputs.progress(f"installing what {self.purpose} needs, once ({self.size}): {' '.join(self.pins)}")
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        importlib.invalidate_caches()
        if done.returncode or not self.installed:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise WrongUsage(f"{self.purpose} needs packages that pip could not install: {last}", f"install them:\n    {shown}")


def _own() -> bool:
    """Does this Python belong to the .venv that ./iolab made, which has the file `pins`? A link leads to another .venv."""
    place = process.ROOT / ".venv"
    return Path(sys.prefix) == place and not place.is_symlink() and (place / "pins").exists()


PERFETTO = Extra("perfetto", "perfetto", "5.4 MB", "a trace for Perfetto")
PICTURES = Extra("pictures", "cairosvg", "27 MB", "a figure as PNG or PDF")
