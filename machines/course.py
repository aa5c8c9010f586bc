"""A class of servers to measure grade-all with: `python -m machines.course FOLDER [NUMBER]` writes NUMBER (200) submissions.

Most of them are the wrong and the right servers of all labs (labs/wrong). Every eighth submission is a hostile or broken
program (machines/hostile.py), or an exercise in C if this machine has a compiler. FOLDER-code has the files that the servers
import. FOLDER must not be below /tmp: a server in the sandbox has a /tmp of its own.

`--grade` also grades the class, says how long it took and which processes are left, and removes the three folders:

    .venv/bin/python -m machines.course /srv/class --grade
"""

from __future__ import annotations

import argparse
import collections
import csv
import importlib
import itertools
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from labs import wrong
from machines.hostile import PROGRAMS
from runs.exercise import desk, source
from runs.exercise.source import Language

ROOT = Path(__file__).resolve().parents[1]
NUMBER = 200
_EACH = 8  # every eighth submission is not a server of a lab
_NEEDED = ("findings", "labs", "probes", "servers")  # what the servers import
_SERVE = """#!/bin/sh
export PYTHONPATH={code}
exec /usr/bin/python3 -m servers {server} --port "$1"
"""
_USERS = range(61_184, 61_184 + 4096)  # the user ids of submissions (runs/submission/plan.py)


@dataclass(frozen=True)
class Submission:
    """One submission: its name without a number, and the function that writes its files into a folder."""

    name: str
    write: Callable[[Path], None]


def servers() -> Iterator[tuple[str, str]]:
    """The model and the function of each server of labs/wrong."""
    for path in sorted(Path(wrong.__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f"labs.wrong.{path.stem}")
        for name in (*getattr(module, "WRONG", ()), *getattr(module, "RIGHT", ())):
            yield path.stem, name


def others() -> Iterator[Submission]:
    """The submissions that are not servers of labs."""
    for name, text in PROGRAMS.items():
        yield Submission(f"hostile-{name}", partial(_program, text=f"#!/usr/bin/python3\n{text}"))
    yield Submission("broken-is_empty", lambda _folder: None)
    yield Submission("broken-has_no_interpreter", partial(_program, text="#!/no/such/interpreter\n"))
    yield Submission("broken-has_a_wrong_syntax", partial(_program, text="#!/usr/bin/python3\nwhile True print\n"))
    if compiler := shutil.which("cc"):
        for model in source.models():
            if source.exists(model, Language.C):
                yield Submission(f"exercise-{model}", partial(_compiled, model=model, compiler=compiler))


def _program(folder: Path, text: str) -> None:
    serve = folder / "serve"
    serve.write_text(text)
    serve.chmod(0o755)


def _compiled(folder: Path, model: str, compiler: str) -> None:
    exercise = source.load(model, Language.C)
    (folder / exercise.file_name).write_text(exercise.solution())
    subprocess.run([compiler, *desk.C_OPTIONS, "-o", folder / "serve", folder / exercise.file_name], check=True)


def _in_turn(code: Path) -> Iterator[Submission]:
    """All submissions, repeated without end."""
    of_labs = itertools.cycle(
        Submission(f"{model}-{name}", partial(_program, text=_SERVE.format(code=code, server=f"labs.wrong.{model}:{name}")))
        for model, name in servers()
    )
    rest = itertools.cycle(others())
    for place in itertools.count(1):
        yield next(rest if place % _EACH == 0 else of_labs)


def write(folder: Path, number: int = NUMBER) -> list[Path]:
    """Writes the class, and the code beside it. Returns the folders of the submissions."""
    code = folder.with_name(f"{folder.name}-code")
    for room in _NEEDED:
        shutil.copytree(ROOT / room, code / room, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    made = []
    for place, submission in enumerate(itertools.islice(_in_turn(code), number)):
        made.append(folder / f"{place:03}-{submission.name}")
        made[-1].mkdir(parents=True, exist_ok=True)
        submission.write(made[-1])
    for path in (code, *code.rglob("*")):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))  # the user of the sandbox reads it
    return made


def grade(folder: Path, model: str, more: list[str]) -> bool:
    """Grades the class, and says how long it took. Returns True if each submission has a mark, and no process is left."""
    results = folder.with_name(f"{folder.name}-marks")
    begin = time.monotonic()
    line: list[str | Path] = [ROOT / "iolab", "grade-all", model, folder, "--out", os.devnull, *more, "--", "./serve", "{port}"]
    ended = subprocess.run(line, check=False)
    took = time.monotonic() - begin
    with (results / "marks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    left = [process.pid for process in psutil.process_iter() if _user(process) in _USERS]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    statuses = collections.Counter(row["verdict"] for row in rows)
    words = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    print(f"grade-all ended with status {ended.returncode} after {took / 60:.1f} minutes: {took / len(rows):.1f} s for each of")
    print(f"{len(rows)} submissions ({words}); CPU time without the servers: {used.ru_utime + used.ru_stime:.0f} s")
    print(f"processes of submissions that are left: {left or 'none'}")
    return not left and len(rows) == sum(1 for place in folder.iterdir() if place.is_dir())


def _user(process: psutil.Process) -> int:
    try:
        return int(process.uids().real)
    except psutil.Error:
        return 0


def remove(folder: Path) -> None:
    """Removes the class, its code and its marks."""
    for place in (folder, *(folder.with_name(f"{folder.name}-{part}") for part in ("code", "marks"))):
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    """Writes a class. The status is 1 if a submission got no mark, or left a process behind."""
    parser = argparse.ArgumentParser(prog="python -m machines.course", description=__doc__.partition(":")[0])
    parser.add_argument("folder", type=lambda words: Path(os.path.abspath(words)))  # noqa: PTH100 (a link stays a link)
    parser.add_argument("number", type=int, nargs="?", default=NUMBER)
    parser.add_argument("--grade", action="store_true", help="grade the class, say how long it took, and remove it")
    parser.add_argument("--model", default="epoll")
    parser.add_argument("--jobs", default="")
    chosen = parser.parse_args()
    if chosen.folder.exists():
        parser.error(f"{chosen.folder} exists already; choose a folder that does not exist")
    submissions = write(chosen.folder, chosen.number)
    print(f"{len(submissions)} submissions are in {chosen.folder}", flush=True)
    if not chosen.grade:
        return 0
    try:
        return 0 if grade(chosen.folder, chosen.model, ["--jobs", chosen.jobs] if chosen.jobs else []) else 1
    finally:
        remove(chosen.folder)


if __name__ == "__main__":
    sys.exit(main())
