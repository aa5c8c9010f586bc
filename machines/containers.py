"""Containers of one test run: started with a label, checked at their end, and removed."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from machines.docker import Docker


class Unmet(Exception):
    """A requirement of a trial is not met."""


class Place:
    """Where the trials run: the Docker daemon, and a folder to mount. Every container that it starts carries a label."""

    def __init__(
        self, docker: Docker, network: Sequence[str], settings: Mapping[str, str], folder: Path, whole: bool = False
    ) -> None:
        self.docker, self.network, self.settings, self.folder, self.whole = docker, network, settings, folder, whole
        self._label = f"iolab.trial={os.getpid()}"
        self._mount = f"{folder}:/out"
        self._cache = f"iolab-trials-{os.getpid()}"

    def line(self, *arguments: str, mount: bool = False) -> list[str]:
        """The arguments of the docker command.

        With `mount`, the container starts as most users start it: without a volume for the compiled probes. It then compiles
        the probes, which takes seconds of CPU time. The other containers share a volume (docs/docker.md).
        """
        volume = self._mount if mount else f"{self._cache}:/var/cache/iolab"
        return ["run", "--rm", "--label", self._label, "--volume", volume, *arguments]

    def run(self, *arguments: str, status: int, says: str = "", mount: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs a container to its end. Raises Unmet if its exit status is not `status`, or if it does not print `says`."""
        return ended(self.docker.run(*self.line(*arguments, mount=mount)), status, says)

    def ids(self) -> list[str]:
        """The ids of all containers with our label."""
        return self.docker.ask("ps", "--all", "--quiet", "--filter", f"label={self._label}").split()

    def remove(self) -> None:
        """Ends and removes all containers with our label, and their volume."""
        if left := self.ids():
            self.docker.run("rm", "--force", *left)
        self.docker.run("volume", "rm", "--force", self._cache)

    @contextlib.contextmanager
    def running(self, *arguments: str, until: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """A container that has printed `until` on stderr: its name, and the docker process."""
        name = f"iolab-trial-{os.getpid()}"
        process = self.docker.start(*self.line("--name", name, *arguments))
        with process:
            try:
                assert process.stderr
                printed = []
                with killed_after(120, process):
                    for line in process.stderr:
                        printed.append(line)
                        if until in line:
                            break
                    else:
                        raise Unmet(f"it never printed {until!r}: {last_part(''.join(printed))}")
                yield name, process
            finally:
                self.docker.run("rm", "--force", name)


@contextlib.contextmanager
def killed_after(seconds: float, process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kills the process if the block takes longer than `seconds`."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def ended(done: subprocess.CompletedProcess[str], status: int, says: str = "") -> subprocess.CompletedProcess[str]:
    """Returns `done`. Raises Unmet if its exit status is not `status`, or if it did not print `says` on stdout or stderr."""
    if done.returncode != status:
        raise Unmet(f"ended with {done.returncode}, not {status}: {last_part(done.stderr or done.stdout)}")
    if says and says not in one_line(done.stdout + done.stderr):
        raise Unmet(f"did not print {says!r}, but: {last_part(done.stderr or done.stdout)}")
    return done


def one_line(text: str) -> str:
    """The text with each run of white space as one blank."""
    return re.sub(r"\s+", " ", text)


def last_part(text: str) -> str:
    """The last 300 characters of the text, in one line."""
    return one_line(text)[-300:].strip()
