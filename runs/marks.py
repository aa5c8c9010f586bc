"""The recordings that a class handed in: the points of the answers, and what speaks against a recording.

Nothing that a recording says of its own marks is believed: the answers are marked again, and the lab's checks are judged again,
from the records. Two recordings of the same run are found by the times of their calls, whatever their names, answers and seals
are.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import enum
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from probes import VERSION, chunks, seal
from probes.context import LabRun, TrafficRun
from probes.errors import IolabError, WrongUsage
from probes.measure.result import Call, Result
from probes.recording import Missing, Recording, load
from probes.words import count
from runs import predict
from runs.lab import measure_and_check

_ZIP, _MEMBER = b"PK\x03\x04", b"meta.json"  # how a file of format 1 begins
_TRIPLES = 200  # of a recording, at most, to compare it with the others
_LARGEST = 64 << 20  # bytes of records; a lab with 1,000 clients has a tenth of it. One file must not hold up the class
_FEWEST = 3  # triples: two runs never agree in so many by chance


class Flag(enum.StrEnum):
    """What speaks against a recording."""

    BROKEN = "broken"
    NO_LAB = "no lab"
    OTHER_LAB = "other lab"
    CUT = "cut"
    NO_ANSWERS = "no answers"
    WRONG_SEED = "wrong seed"
    EDITED = "edited"
    DUPLICATE = "duplicate"
    NOT_SEALED = "not sealed"
    OLD = "old"
    FAILED = "failed checks"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Remark:
    """A flag with the reason, a clause without a full stop."""

    flag: Flag
    words: str


@dataclass(frozen=True)
class Wanted:
    """What the instructor asked for; None: any. `seeds` are those of single students."""

    lab: str | None = None
    seed: int | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)

    def seed_of(self, student: str) -> int | None:
        """The seed that this student was given."""
        return self.seeds.get(student.casefold(), self.seed)


@dataclass(frozen=True)
class HandedIn:
    """One file: who handed it in, its points, and the remarks on it. `points` is None where no answer can be marked."""

    file: str
    student: str
    remarks: tuple[Remark, ...]
    lab: str = ""
    seed: int | None = None
    points: int | None = None
    of: int = 0
    verdict: str = ""
    at: str = ""
    machine: str = ""
    boot: str = ""
    version: str = ""
    sealed: seal.State = seal.State.NONE
    seal: str = ""  # the last link of the chain over the file's chunks
    run: str = ""  # a hash of the records
    triples: frozenset[tuple[int, int, int]] = frozenset()

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What speaks against it."""
        return tuple(remark.flag for remark in self.remarks)

    @property
    def undecided(self) -> bool:
        """Does the run prove nothing?"""
        return bool({Flag.CUT, Flag.INCONCLUSIVE} & set(self.flags))

    @property
    def sentence(self) -> str:
        """The file in one sentence."""
        right = "" if self.points is None else f"{self.points} of {count(self.of, 'answer')} {_is(self.points)} right"
        clauses = [*filter(None, [right]), *(remark.words for remark in self.remarks)]
        return f"{'; '.join(clauses)}."


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def seeds_of(path: Path) -> dict[str, int]:
    """The seeds of students, by name in small letters, from a CSV file: a name and a number in each line. Raises WrongUsage."""
    form = "give a line for each student, with the name and the seed: Ada Lovelace,17"
    found: dict[str, int] = {}
    try:
        for number, line in enumerate(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()), 1):
            if not line or (number == 1 and not line[-1].strip().isdecimal()):
                continue  # an empty line, or the names of the columns
            if len(line) != 2 or not line[1].strip().isdecimal() or line[0].strip().casefold() in found:
                raise WrongUsage(f"line {number} of {path} is no name with a seed, or repeats a name", form)
            found[line[0].strip().casefold()] = int(line[1])
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"can't read {path}: {getattr(error, 'strerror', None) or 'it is not text'}", form) from error
    return found


def files_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """The recordings below a folder, and the other files. A file is a recording by its name or by how it begins.

    Raises WrongUsage. No link is followed: a link that a student handed in leads to files of the instructor.
    """
    if not folder.is_dir():
        raise WrongUsage(f"there is no folder {folder}", "name the folder that has the recordings of the class")
    recordings: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.name.startswith("."):
            continue
        (recordings if path.suffix == ".iolab" or _begins_as_a_recording(path) else others).append(path)
    return recordings, others


def _begins_as_a_recording(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = file.read(64)
    except OSError:
        return False
    return first.startswith(chunks.MAGIC) or (first.startswith(_ZIP) and _MEMBER in first)


def collect(folder: Path, paths: Sequence[Path], wanted: Wanted, done: Callable[[int], None]) -> list[HandedIn]:
    """The marks of these files, in their order. `done` gets the number of files that are read."""
    found = []
    for number, path in enumerate(paths, 1):
        name = str(path.relative_to(folder))
        try:
            found.append(examine(path, name, wanted))
        except IolabError as error:
            found.append(HandedIn(name, _by_path(name), (Remark(Flag.BROKEN, error.problem.replace(str(path), "the file")),)))
        except Exception as error:  # whatever a file brings about, the others get their marks
            words = f"iolab itself failed on the file: {type(error).__name__}"
            found.append(HandedIn(name, _by_path(name), (Remark(Flag.BROKEN, words),)))
        done(number)
    return with_duplicates(found)


def examine(path: Path, name: str, wanted: Wanted) -> HandedIn:
    """One file, without the others. Raises IolabError for a file that can't be read or judged."""
    recording = load(path)
    if len(recording.data) > _LARGEST:
        raise WrongUsage(f"{path} is larger than a lab makes it", "ask for the run with the traffic that was set")
    context = recording.context
    origin = context.origin if isinstance(context, LabRun) else None
    base = HandedIn(
        file=name,
        student=origin.student if origin else _by_path(name),
        remarks=(),
        at=origin.at if origin else "",
        machine=f"{origin.host + ', ' if origin else ''}{recording.machine.kernel} {recording.machine.arch}",
        boot=origin.boot if origin else "",
        version=context.iolab,
        sealed=recording.seal.state,
        seal=recording.seal.digest,
        run=hashlib.sha256(recording.data).hexdigest(),
    )
    if not isinstance(context, LabRun):
        return dataclasses.replace(base, remarks=(Remark(Flag.NO_LAB, "the file is the recording of a trace"),))
    result = measure_and_check(recording)
    prediction = predict.mark(result)
    return dataclasses.replace(
        base,
        remarks=tuple(_remarks(recording, context, result, prediction, wanted, base.student)),
        lab=context.lab,
        seed=prediction.seed if prediction else None,
        points=prediction.points if prediction and prediction.marks else None,
        of=len(prediction.marks) if prediction else 0,
        verdict=str(result.verdict),
        triples=_triples(result.calls),
    )


def _remarks(
    recording: Recording, context: LabRun, result: Result, prediction: predict.Prediction | None, wanted: Wanted, student: str
) -> Iterator[Remark]:
    """What speaks against one recording, the gravest first."""
    if wanted.lab and context.lab != wanted.lab:
        yield Remark(Flag.OTHER_LAB, f"the recording is of lab {context.lab}, not of lab {wanted.lab}")
    cut = Missing.CUT in recording.losses
    if cut:
        yield Remark(Flag.CUT, "the file is cut off")
    if prediction is None:
        yield Remark(Flag.NO_ANSWERS, "the recording has no answers (lab --predict)")
    else:
        if wanted.seeds and wanted.seed_of(student) is None:
            yield Remark(Flag.WRONG_SEED, f"--seeds has no seed for {student}")
        yield from _of_the_seed(context, prediction, wanted.seed_of(student))
    yield from _edits(recording, context, result)
    if recording.seal.state is seal.State.NONE and not cut and not context.origin:
        yield Remark(Flag.NOT_SEALED, "the recording has no seal and no student's name")
    if not recording.seal.digest:
        yield Remark(Flag.OLD, "the file has format 1, which iolab does not write any more")
    if context.iolab != VERSION:
        yield Remark(Flag.OLD, f"iolab {context.iolab or 'of an unknown version'} made the recording, and this is {VERSION}")
    if result.verdict == "fail":
        yield Remark(Flag.FAILED, "checks of the lab failed on this server")
    if result.verdict == "inconclusive" and not cut:
        yield Remark(Flag.INCONCLUSIVE, "the run is inconclusive and proves nothing")


def _of_the_seed(context: LabRun, prediction: predict.Prediction, wanted: int | None) -> Iterator[Remark]:
    if wanted is not None and prediction.seed != wanted:
        yield Remark(Flag.WRONG_SEED, f"the questions are of seed {prediction.seed}, not of seed {wanted}")
    if isinstance(context, TrafficRun) and context.traffic.seed != prediction.seed:
        words = f"the questions are of seed {prediction.seed}, and the traffic is of seed {context.traffic.seed}"
        yield Remark(Flag.WRONG_SEED, words)


def _edits(recording: Recording, context: LabRun, result: Result) -> Iterator[Remark]:
    """What no run of iolab writes."""
    state = recording.seal.state
    if state is seal.State.BROKEN:
        yield Remark(Flag.EDITED, "the seal is broken: the file was changed after the run")
    if state is seal.State.LATE:
        yield Remark(Flag.EDITED, "the end of the file has other answers than its start")
    if state is seal.State.NONE and context.origin and Missing.CUT not in recording.losses:
        yield Remark(Flag.EDITED, "the seal was removed")
    first = min((thread.start for thread in result.threads), default=0)
    if context.prediction and context.origin and context.origin.answered > first:
        yield Remark(Flag.EDITED, "the answers are from a time after the start of the run")
    if context.prediction and context.iolab == VERSION:
        asked = {question.id: question.options for question in predict.questions(context.lab, context.prediction.seed)}
        if any(answer not in asked.get(name, ()) for name, answer in context.prediction.answers.items()):
            yield Remark(Flag.EDITED, "an answer is not among the options of its question")


def _by_path(name: str) -> str:
    """The student by the path: the folder of the file, else its name."""
    parts = Path(name).parts
    return parts[0] if len(parts) > 1 else Path(name).stem


# The same run


def _triples(calls: Sequence[Call]) -> frozenset[tuple[int, int, int]]:
    """Some pairs of a thread's successive calls: how long both took, and the time between them, to the nanosecond.

    These stay the same if all times are shifted, or if some records are changed. Of a long recording come those with the lowest
    hashes, so that two recordings of one run give the same choice (Broder 1997, MinHash).
    """
    found: set[tuple[int, int, int]] = set()
    last: dict[int, Call] = {}
    for call in calls:
        before = last.get(call.thread)
        if before is not None:
            found.add((before.exit - before.enter, call.enter - before.exit, call.exit - call.enter))
        last[call.thread] = call
    return frozenset(sorted(found, key=hash)[:_TRIPLES])  # the hash of a tuple of integers is the same in each process


def with_duplicates(found: Sequence[HandedIn]) -> list[HandedIn]:
    """The same with a remark on each recording whose run stands in another file, too."""
    groups: dict[str, list[HandedIn]] = {}
    for each in found:
        groups.setdefault(each.run, []).append(each)
    groups.pop("", None)
    twins = {key: [each.file for each in files] for key, files in groups.items()}
    for first, second in _alike({key: files[0].triples for key, files in groups.items()}):
        twins[first] += [each.file for each in groups[second]]
        twins[second] += [each.file for each in groups[first]]
    return [_with_twins(each, [file for file in twins.get(each.run, ()) if file != each.file]) for each in found]


def _alike(runs: Mapping[str, frozenset[tuple[int, int, int]]]) -> Iterator[tuple[str, str]]:
    """Each two of these runs that share at least half of their times, though their records differ."""
    holders: dict[tuple[int, int, int], list[str]] = collections.defaultdict(list)
    for run, triples in runs.items():
        for triple in triples:
            holders[triple].append(run)
    shared = collections.Counter(pair for held in holders.values() for pair in itertools.combinations(held, 2))
    for (first, second), number in shared.items():
        if number >= max(_FEWEST, min(len(runs[first]), len(runs[second])) / 2):
            yield first, second


def _with_twins(each: HandedIn, twins: Sequence[str]) -> HandedIn:
    if not twins:
        return each
    more = f" and {count(len(twins) - 1, 'other file')} have" if len(twins) > 1 else " has"
    remark = Remark(Flag.DUPLICATE, f"{twins[0]}{more} the same run")
    return dataclasses.replace(each, remarks=(*each.remarks, remark))
