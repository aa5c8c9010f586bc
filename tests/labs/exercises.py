"""Runs the exercises of labs/exercises under one instrument: the solution, the skeleton, and each gap alone with its stub.

`python -m tests.labs.exercises python epoll poll` does it for these models, and prints what failed in each. With `--whole`, all
criteria judge each gap: CHECKS should name what they find.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from findings.threads.serving import Servers
from probes.capture.instrument import Instrument
from probes.context import TraceRun
from probes.patience import PATIENCE
from runs.exercise import source
from runs.exercise.source import Exercise, Language
from runs.grading import marking, rubric
from runs.grading.mark import Mark
from runs.grading.rubric import Rubric
from runs.grading.session import Entry, Examined, Session
from runs.lab import measure_and_check
from runs.submission.launch import Launch
from tests.conftest import tool

AT_ONCE = 8  # servers; most of their time they wait for their clients
SOLUTION, SKELETON = -1, 0  # in the place of a gap's number
_ALWAYS = ("starts", "protocol")


@dataclass(frozen=True)
class Variant:
    """An exercise with all gaps solved (SOLUTION), with none (SKELETON), or with all but the one of this number."""

    exercise: Exercise
    number: int
    whole: bool = False  # judged by all criteria

    @property
    def text(self) -> str:
        if self.number == SOLUTION:
            return self.exercise.solution()
        return self.exercise.skeleton() if self.number == SKELETON else self.exercise.solution(stubs=[self.number])

    @property
    def checks(self) -> tuple[str, ...]:
        """What its gaps say that fails."""
        gaps = self.exercise.gaps
        return tuple(check for gap in gaps for check in gap.checks if self.number in (SKELETON, gap.number))

    @property
    def rubric(self) -> Rubric:
        """All criteria for a solution. Else those that the gaps name, and no trial for a skeleton: its traffic says enough."""
        whole = rubric.default(self.exercise.model)
        if self.number == SOLUTION or self.whole:
            return whole
        named = set(self.checks) if self.number != SKELETON else {"model"}
        points = {name: points for name, points in whole.points.items() if name in named or name in _ALWAYS}
        return dataclasses.replace(whole, points=points)

    def launch(self, folder: Path) -> Launch:
        """Writes the file, compiles it where it must be compiled, and says how to start it."""
        folder.mkdir()
        path = folder / self.exercise.file_name
        path.write_text(self.text)
        if self.exercise.language is Language.PYTHON:
            return Launch((sys.executable, str(path), "{port}"), str(folder))
        options = ["-Wall", "-Wextra", "-Werror", "-pthread"]
        subprocess.run([tool("cc", "gcc libc6-dev"), *options, "-o", str(path.with_suffix("")), str(path)], check=True)
        return Launch((str(path.with_suffix("")), "{port}"), str(folder))


def variants(exercise: Exercise) -> list[Variant]:
    """Each gap alone with its stub."""
    return [Variant(exercise, gap.number) for gap in exercise.gaps]


def judged(
    wanted: Sequence[Variant], details: int | None = None, done: Callable[[str], None] = lambda _words: None
) -> dict[Variant, Mark]:
    """The mark of each variant. `details`: as Instrument has it; a skeleton may poll in a loop, and makes millions of calls."""
    with TemporaryDirectory() as folder, Instrument(details=details) as instrument, ThreadPoolExecutor(AT_ONCE) as pool:
        Path(folder).chmod(0o755)

        def run(index: int) -> Examined:
            variant = wanted[index]
            entry = Entry(str(index), variant.launch(Path(folder) / str(index)), "exercises")
            session = Session(variant.rubric, instrument, "echo", lambda _words: None, shown=0)
            begin = time.monotonic()
            seen = session.examine(entry, index)
            done(f"{variant.exercise.model} {variant.number}: {time.monotonic() - begin:.1f} s")
            return seen

        seen = list(pool.map(run, range(len(wanted))))
        instrument.wait_until_gone(2 * PATIENCE)
        result = measure_and_check(instrument.stop(TraceRun("exercises", ())))
    servers = Servers(result)
    return {
        variant: marking.mark(examined, servers, variant.rubric, "echo") for variant, examined in zip(wanted, seen, strict=True)
    }


def found(mark: Mark) -> set[str]:
    """The ids of the criteria that the server does not meet, and of the properties that it breaks besides."""
    return {item.criterion.id for item in mark.lost} | {mistake.id for mistake in mark.mistakes}


def main() -> None:
    """Prints the faults of each variant."""
    arguments = [word for word in sys.argv[1:] if word != "--whole"]
    language, models, whole = Language(arguments[0]), arguments[1:] or source.models(), "--whole" in sys.argv
    exercises = [source.load(model, language) for model in models if source.exists(model, language)]
    wanted = [Variant(each, number) for each in exercises for number in (SOLUTION, SKELETON)]
    wanted += [dataclasses.replace(variant, whole=whole) for each in exercises for variant in variants(each)]
    begin = time.monotonic()
    for variant, mark in judged(wanted, done=lambda words: print(words, file=sys.stderr)).items():
        name = {SOLUTION: "solution", SKELETON: "skeleton"}.get(variant.number, f"gap {variant.number}")
        right = mark.status == "pass" if variant.number == SOLUTION else variant.checks[0] in found(mark)
        right = right or (variant.number == SKELETON and bool(found(mark) & set(variant.checks)))
        others = sorted(found(mark) - set(variant.checks))
        print(f"{'ok   ' if right else 'WRONG'} {variant.exercise.model} {name}: {sorted(found(mark) & set(variant.checks))}")
        print(f"      not named by the gap: {others}; {mark.status} of {mark.of}" if others else "", end="\n" if others else "")
        if not right or variant.number == SOLUTION:
            for item in mark.items:
                if item.verdict != "earned":
                    print(f"      {item.verdict} {item.criterion.id}: {item.seen}")
            for mistake in mark.mistakes:
                print(f"      mistake {mistake.id}: {mistake.seen}")
            print(mark.output[-400:])
    print(f"{len(wanted)} servers, {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
