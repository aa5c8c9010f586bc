"""A student's folder: the files of the exercises, how far each is, and the command that starts a server."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from probes import files
from probes.errors import CannotTrace, WrongUsage
from probes.words import did_you_mean, visible_lines
from runs.exercise import progress, source
from runs.exercise.assessment import Assessment, GapState
from runs.exercise.progress import Record
from runs.exercise.source import Exercise, Gap, Language, Written
from runs.grading import criteria

FOLDER = "exercises"  # in the current folder
C_OPTIONS = ("-Wall", "-Wextra", "-pthread")
_PACKAGES = "gcc libc6-dev"
_COMPILES_WITHIN = 60.0  # seconds
# Models that Python's library has no functions for; a binding by ctypes would hide the model.
_IN_C_ONLY = {"io_uring": "io_uring", "native_aio": "io_submit and io_getevents", "posix_aio": "aio_read and aio_write"}


class State(enum.StrEnum):
    """How far a student is with an exercise."""

    NOT_BEGUN = "not begun"
    BEGUN = "begun"
    PASSED = "passed"


class DoesNotCompile(Exception):
    """The compiler refused the student's file; the message is what the compiler printed."""


@dataclass(frozen=True)
class Desk:
    """One exercise in a student's folder."""

    exercise: Exercise
    folder: Path
    NO_FILE: ClassVar = (0, 0)  # a version

    @property
    def path(self) -> Path:
        """The student's file."""
        return self.folder / self.exercise.file_name

    @property
    def record(self) -> Record:
        """What the student has done so far."""
        return progress.load(self.folder).of(self.exercise)

    @property
    def state(self) -> State:
        """Not begun, begun or passed."""
        if not self.path.exists():
            return State.NOT_BEGUN
        return State.PASSED if self.record.passed else State.BEGUN

    def text(self) -> str:
        """The student's file. Raises WrongUsage if it is missing."""
        try:
            return self.path.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            name, language = self.exercise.model, self.exercise.language
            option = "" if language is Language.PYTHON else f" --lang {language}"
            raise WrongUsage(f"there is no file {self.path}", f"invoke exercise {name}{option} writes it") from None
        except OSError as error:
            raise WrongUsage(f"can't read {self.path}: {error.strerror}", "name another folder: --dir DIR") from error

    def written(self) -> tuple[Written, ...]:
        """Which gaps the student has begun."""
        return source.written(self.exercise, self.text())

    def begin(self) -> None:
        """Writes the skeleton, for the user who called sudo. A file that is there is kept as FILE.old."""
        files.make_folder(str(self.folder))
        if self.path.exists():
            with files.whole(f"{self.path}.old") as file:
                file.write(self.text())
        with files.whole(str(self.path)) as file:
            file.write(self.exercise.skeleton())
        if self.record != Record(self.exercise.model, str(self.exercise.language)):
            progress.save(self.folder, Record(self.exercise.model, str(self.exercise.language)))

    def version(self) -> tuple[int, int]:
        """Changes whenever the student saves the file; an editor may remove it for a moment."""
        try:
            status = self.path.stat()
        except OSError:
            return self.NO_FILE
        return status.st_mtime_ns, status.st_ino

    def note(self, text: str, found: Assessment) -> None:
        """Notes what a check of this text found: the open gap, the code of gaps that are done, and the file if it passed."""
        record = self.record
        before = dict(enumerate(record.done))
        done = (
            progress.digest(judged.written.code) if judged.state is GapState.DONE else before.get(index, "")
            for index, judged in enumerate(found.gaps)
        )
        kept = progress.digest(text) if found.status == "pass" else record.passed
        faulty = found.suspected or ((found.open,) if found.open else ())
        numbers = tuple(judged.gap.number for judged in faulty)
        progress.save(self.folder, dataclasses.replace(record, open=numbers, passed=kept, done=tuple(done)))

    def settled(self, written: Sequence[Written]) -> frozenset[int]:
        """The numbers of the gaps whose code an earlier check found done."""
        pairs = zip(written, self.record.done, strict=False)
        return frozenset(each.gap.number for each, done in pairs if each.line and done == progress.digest(each.code))

    def open_gap(self) -> Gap | None:
        """The gap to work on: the first that holds its stub, or that the last check found faulty. None: no gap is known.

        Of several gaps that a check suspects, it is the first with a hint that the student has not seen.
        """
        record, written = self.record, self.written()
        first = next((each for each in written if not each.begun or each.gap.number in record.open), None)
        if first is None or not first.begun:
            return first.gap if first else None
        suspected = [each.gap for each in written if each.gap.number in record.open]
        return next((gap for gap in suspected if record.seen(gap.number) < len(gap.hints)), first.gap)

    def take_hint(self) -> Gap | None:
        """Notes that the student sees one more hint of the open gap, if that has one more. The gap; None: no gap is known."""
        gap, record = self.open_gap(), self.record
        if gap is not None and record.seen(gap.number) < len(gap.hints):
            progress.save(self.folder, record.with_hint(gap.number))
        return gap

    @contextlib.contextmanager
    def command(self) -> Iterator[tuple[str, ...]]:
        """How the server is started, as a command line of check. C is compiled first, into a folder that is removed again.

        Raises DoesNotCompile, and CannotTrace without a compiler.
        """
        self.text()
        if self.exercise.language is Language.PYTHON:
            yield ("python3" if shutil.which("python3") else sys.executable, str(self.path), "{port}")
            return
        with tempfile.TemporaryDirectory(prefix="iolab-exercise-") as folder:
            Path(folder).chmod(0o755)  # the server runs as the user who called sudo
            program = Path(folder) / self.path.stem
            _compile(self.path, program)
            yield (str(program), "{port}")

    @property
    def cautions(self) -> tuple[str, ...]:
        """What may go wrong for the student, in sentences that also say what to do."""
        found = []
        called = os.environ.get("IOLAB_CALLED", "")
        if called.startswith("docker") and " -v " not in called:
            found.append('the file is lost with this container: docker run -v "$PWD:/out" ... keeps it in the current folder')
        if self.exercise.language is Language.C and not _compiler():
            found.append(f"--check needs a C compiler (cc), and there is none here. {_how_to_install()}")
        return tuple(found)

    @property
    def starts_by(self) -> str:
        """How a student starts the server."""
        if self.exercise.language is Language.PYTHON:
            return f"python3 {self.path} 8080"
        program = self.path.with_suffix("")
        return (
            f"cc {' '.join(C_OPTIONS)} -o {program} {self.path} && {program if program.is_absolute() else f'./{program}'} 8080"
        )


def _compiler() -> str | None:
    return next((found for name in ("cc", "gcc", "clang", "tcc") if (found := shutil.which(name))), None)


def _how_to_install() -> str:
    """The command that installs a compiler or, in a container, makes an image with a compiler.

    A new container has only what its image has.
    """
    if os.environ.get("IOLAB_CALLED", "").startswith("docker"):
        line = f"apt-get update && apt-get install --yes {_PACKAGES}"
        return f"Make an image with one: printf 'FROM iolab\\nRUN {line}\\n' | docker build -t iolab-c - (docs/docker.md)"
    return f"Debian, Ubuntu: {'' if os.geteuid() == 0 else 'sudo '}apt-get install {_PACKAGES}"


def _compile(path: Path, program: Path) -> None:
    compiler = _compiler()
    if compiler is None:
        raise CannotTrace("there is no C compiler (cc) here", _how_to_install())
    line = [compiler, *C_OPTIONS, "-o", str(program), str(path)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=_COMPILES_WITHIN, check=False)
    except subprocess.TimeoutExpired:
        raise DoesNotCompile(f"cc did not end within {_COMPILES_WITHIN:g} s") from None
    if done.returncode:
        raise DoesNotCompile(visible_lines(done.stderr.strip()))


def find(model: str, language: str, folder: str) -> Desk:
    """The exercise of the model. Without a language: that of the student's file, else Python. Raises WrongUsage."""
    _known(model)
    place, offered = Path(folder or FOLDER), source.languages(model)
    begun = [each for each in offered if (place / source.load(model, each).file_name).exists()]
    usual = begun[0] if len(begun) == 1 else Language.PYTHON
    wanted = _language(language) if language else usual
    if wanted not in offered:
        reason = f": Python's library has no {_IN_C_ONLY[model]}" if wanted is Language.PYTHON and model in _IN_C_ONLY else ""
        raise WrongUsage(
            f"exercise {model} is not offered in {wanted.words}{reason}", f"invoke exercise {model} --lang {offered[0]}"
        )
    return Desk(source.load(model, wanted), place)


def everything(folder: str) -> list[Desk]:
    """All exercises, model by model."""
    place = Path(folder or FOLDER)
    return [Desk(source.load(model, language), place) for model in source.models() for language in source.languages(model)]


def _language(name: str) -> Language:
    try:
        return Language(name.lower())
    except ValueError:
        raise WrongUsage(f"there are no exercises in {name!r}", "--lang python or --lang c") from None


def _known(model: str) -> None:
    known = source.models()
    if model in known:
        return
    what = f"there is no exercise {model!r}"
    if model in criteria.models():
        what = f"there is no exercise for model {model} yet"
    raise WrongUsage(what, f"{did_you_mean(model, known)}the exercises: {', '.join(known)}")
