"""Marks the submissions of a class: several at a time under one instrument, and each mark kept as soon as it is known.

A batch whose recording is incomplete is run again without the submission that made the most calls, and this submission alone:
a submission that floods the probes takes no mark from the others.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from findings.threads.serving import Servers
from probes import files, shapes
from probes.capture.instrument import Instrument
from probes.errors import CannotTrace, IolabError
from probes.measure.result import Result
from probes.patience import PATIENCE
from runs.grading import marking
from runs.grading.criteria import needs_io_uring
from runs.grading.mark import Mark, Verdict
from runs.grading.rubric import Rubric
from runs.grading.session import Entry, Examined, Session, run_alone
from runs.lab import measure_and_check
from runs.submission.launch import Launch, with_slot

_BATCH = 4  # submissions of one instrument for each that runs at a time
_KEPT = "marks"  # the folder of the marks, in the folder of the results


@dataclass(frozen=True)
class Kept:
    """A mark as it is kept for a later start; `key` changes with the submission, the rubric and the command."""

    key: str
    mark: Mark


@dataclass(frozen=True)
class Course:
    """What is the same for every submission of the class."""

    rubric: Rubric
    protocol: str
    seed: str
    command: tuple[str, ...]
    folder: Path  # with a folder for each submission
    results: Path
    jobs: int = 4  # submissions at a time
    hidden: tuple[str, ...] = ()  # files that no submission may read, beside the folders of the class and of the results

    def entries(self) -> list[Entry]:
        """The submissions, by name."""
        names = sorted(place.name for place in self.folder.iterdir() if place.is_dir() and not place.name.startswith("."))
        hidden = (str(self.folder), str(self.results), *self.hidden)
        launch = Launch(self.command, "", strict=True, hidden=hidden, io_uring=needs_io_uring(self.rubric.model))
        return [Entry(name, dataclasses.replace(launch, folder=str(self.folder / name)), self.seed) for name in names]

    def key(self, entry: Entry) -> str:
        """Changes with each file of the submission, with the rubric, the protocol, the seed and the command."""
        digest = hashlib.sha256(repr((self.rubric, self.protocol, self.seed, self.command)).encode())
        for path in sorted(Path(entry.launch.folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                digest.update(f"{path.relative_to(entry.launch.folder)}\0".encode("utf-8", "surrogateescape"))
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def kept(self, entry: Entry) -> Mark | None:
        """The mark of an earlier start, if nothing has changed since."""
        try:
            kept: Kept = shapes.read(Kept, json.loads(self._place(entry).read_text(encoding="utf-8")), "mark")
        except (OSError, ValueError):
            return None
        return kept.mark if kept.key == self.key(entry) else None

    def keep(self, entry: Entry, mark: Mark) -> None:
        """Keeps a mark for a later start."""
        self._place(entry).parent.mkdir(parents=True, exist_ok=True)
        with files.whole(str(self._place(entry))) as file:
            json.dump(Kept(self.key(entry), mark), file, default=shapes.plain)

    def _place(self, entry: Entry) -> Path:
        return self.results / _KEPT / f"{entry.name}.json"


@dataclass(frozen=True)
class _Ran:
    """One submission of a batch: what its run showed, or why it could not be run."""

    entry: Entry
    examined: Examined | None
    problem: str = ""


def run(course: Course, entries: Sequence[Entry], done: Callable[[Mark], None]) -> None:
    """Marks these submissions. `done` gets each mark, from one thread at a time. Raises CannotTrace."""
    lock = threading.Lock()

    def finished(entry: Entry, mark: Mark) -> None:
        with lock:
            course.keep(entry, mark)
            done(mark)

    size = course.jobs * _BATCH
    batches = [entries[begin : begin + size] for begin in range(0, len(entries), size)]
    failed = _batches(course, batches, finished)
    failed_again = _batches(course, [batch[1:] for batch in failed if batch[1:]], finished)
    for entry in [*(batch[0] for batch in failed), *(entry for batch in failed_again for entry in batch)]:
        finished(entry, _alone(course, entry))


def _batches(
    course: Course, batches: Sequence[Sequence[Entry]], finished: Callable[[Entry, Mark], None]
) -> list[Sequence[Entry]]:
    """Runs batches, and judges each while the next one runs. Returns those that must be run again."""
    with ThreadPoolExecutor(1) as judge:
        judging: list[Future[list[Entry]]] = []
        for batch in batches:
            ran, result = _batch(course, batch)
            judging.append(judge.submit(_judge, course, ran, result, finished))
        return [again for future in judging if (again := future.result())]


def _batch(course: Course, entries: Sequence[Entry]) -> tuple[list[_Ran], Callable[[], Result]]:
    """Runs some submissions under one instrument; how to measure them."""
    with Instrument() as instrument, ThreadPoolExecutor(course.jobs) as pool:
        session = Session(course.rubric, instrument, course.protocol, lambda _words: None, shown=0)

        def one(index: int) -> _Ran:
            entry = entries[index]
            slotted = dataclasses.replace(entry, launch=with_slot(entry.launch, index))
            try:
                return _Ran(entry, session.examine(slotted, index))
            except Exception as error:  # whatever a submission brings about, the others get their marks
                return _Ran(entry, None, _words(error))

        ran = list(pool.map(one, range(len(entries))))
        instrument.wait_until_gone(2 * PATIENCE)
        recording = instrument.stop()
    return ran, lambda: measure_and_check(recording)


def _judge(
    course: Course, ran: Sequence[_Ran], measured: Callable[[], Result], finished: Callable[[Entry, Mark], None]
) -> list[Entry]:
    """Marks a batch. Returns the submissions that must be run again, first the submission that made the most calls."""
    try:
        result = measured()
    except IolabError:
        return [each.entry for each in ran]
    servers = Servers(result)
    again = [each.entry for each in ran if each.examined is None]
    marked = [each.examined for each in ran if each.examined]
    if not result.events.sound or result.events.full:
        marked.sort(key=lambda examined: -servers.calls_of(examined.number))
        return [*(examined.entry for examined in marked), *again]
    for examined in marked:
        finished(examined.entry, _marked(course, examined, servers))
    return again


def _words(error: Exception) -> str:
    """An error for people; one that iolab does not expect with its kind."""
    return error.problem if isinstance(error, IolabError) else f"iolab itself failed: {type(error).__name__}: {error}"


def _marked(course: Course, examined: Examined, servers: Servers) -> Mark:
    """The mark; a submission that no mark can be made of takes no mark from the others."""
    try:
        return marking.mark(examined, servers, course.rubric, course.protocol)
    except Exception as error:
        return _not_marked(course, examined.entry, _words(error))


def _alone(course: Course, entry: Entry) -> Mark:
    """The mark of a submission under an instrument of its own."""
    try:
        examined, result = run_alone(entry, course.rubric, course.protocol, lambda _words: None, tries=1, shown=0)
    except CannotTrace:
        raise
    except Exception as error:
        return _not_marked(course, entry, _words(error))
    return _marked(course, examined, Servers(result))


def _not_marked(course: Course, entry: Entry, why: str) -> Mark:
    return Mark(entry.name, course.rubric.model, course.protocol, entry.seed, (), command=entry.launch.command, broken=why)


@dataclass(frozen=True)
class Common:
    """How many submissions lost a criterion, of those that were judged by it."""

    id: str
    lost: int
    judged: int


def common_faults(marks: Sequence[Mark]) -> list[Common]:
    """Each criterion with its losses, the most frequent first."""
    lost: collections.Counter[str] = collections.Counter()
    judged: collections.Counter[str] = collections.Counter()
    for mark in marks:
        for item in mark.items:
            judged[item.criterion.id] += item.counts
            lost[item.criterion.id] += item.verdict is Verdict.LOST
    return sorted((Common(name, lost[name], number) for name, number in judged.items()), key=lambda row: -row.lost)
