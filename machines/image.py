"""Builds the container image, runs the trials on it, and compares the host before and after.

A container shares the kernel with its host, so the last row of the report says whether the host is as it was before.
"""

from __future__ import annotations

import functools
import json as codec
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from machines import docker as daemons
from machines import host
from machines.containers import Place, Unmet
from machines.debian import Progress
from machines.docker import IMAGE
from machines.trials import OWNER, TRIALS
from probes.errors import CannotTrace, WrongUsage


@dataclass(frozen=True)
class Tried:
    """One trial: its name, its verdict (pass or fail), its duration, and a description of what happened."""

    name: str
    verdict: str
    seconds: float
    seen: str


def _run_trial(name: str, function: Callable[[], str], progress: Progress) -> Tried:
    begin = time.monotonic()
    try:
        seen, verdict = function(), "pass"
    except Unmet as error:
        seen, verdict = str(error), "fail"
    except Exception as error:  # the next trials, and the comparison of the host, still run
        seen, verdict = f"{type(error).__name__}: {error}", "fail"
    row = Tried(name, verdict, time.monotonic() - begin, seen)
    progress(f"{row.verdict}, {row.seconds:.1f} s: {name}" + (f": {seen}" if verdict == "fail" else ""))
    return row


def tried(progress: Progress, only: str = "", whole: bool = False) -> Iterator[Tried]:
    """Builds the image and runs the trials whose function name contains `only`. Raises CannotTrace without a Docker daemon.

    With `whole`, the container runs all tests, not only the live tests of the instrument.
    """
    chosen = {name: trial for name, trial in TRIALS.items() if only in name}
    if not chosen:
        raise WrongUsage(f"no trial has {only!r} in its name", f"the trials: {', '.join(TRIALS)}")
    if os.geteuid() != 0 or not Path("/proc/self/ns").exists():
        raise CannotTrace("only root of a Linux machine sees what a container changes on it", "on Linux: sudo ./iolab image")
    before = host.look()
    with tempfile.TemporaryDirectory(prefix="iolab-out-") as out, daemons.daemon(progress) as docker:
        os.chown(out, *OWNER)
        begin = time.monotonic()
        with daemons.built(docker, progress) as (network, settings):
            version = docker.ask("version", "--format", "{{.Server.Version}}")
            yield Tried("docker build -t iolab .", "pass", time.monotonic() - begin, f"Docker {version}")
            place = Place(docker, network, settings, Path(out), whole)
            if not docker.own:  # a daemon's first container creates cgroups, which stay as long as the daemon
                place.run(IMAGE, "labs", status=0)
                before = host.look()
            try:
                for trial in chosen.values():
                    yield _run_trial((trial.__doc__ or "").removesuffix("."), functools.partial(trial, place), progress)
            finally:
                place.remove()
    yield _run_trial("The host afterwards", lambda: _same(before), progress)


def _same(before: host.Host) -> str:
    if changed := host.differences(before):
        raise Unmet("; ".join(changed[:8]))
    return f"as before: {len(before.sysctls)} sysctls, {len(before.bpf_programs)} programs, {len(before.namespaces)} namespaces"


def write(rows: Sequence[Tried], file: IO[str], json: bool) -> None:
    """Writes the table of the trials, or the JSON document."""
    if json:
        trials = [{"name": r.name, "verdict": r.verdict, "seconds": round(r.seconds, 2), "seen": r.seen} for r in rows]
        codec.dump({"schema_version": 1, "trials": trials}, file, indent=1)
        file.write("\n")
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        file.write(f"{row.verdict:4}  {row.seconds:6.1f} s  {row.name:{width}}  {row.seen}\n")
    failed = sum(row.verdict != "pass" for row in rows)
    file.write(f"{len(rows) - failed} passed, {failed} failed, {sum(row.seconds for row in rows):.0f} s\n")
