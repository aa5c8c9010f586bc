"""Reads an exercise: a server with marked gaps. labs/exercises/__init__.py has the format.

A state machine goes through the lines of the file once. It knows the marker comments, and no Python and no C.
"""

from __future__ import annotations

import enum
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from probes.words import count

FOLDER = Path(__file__).resolve().parents[2] / "labs" / "exercises"
_WIDTH = 96  # of a task's comment in the skeleton
_FEWEST_HINTS, _MOST_HINTS = 2, 4


class Language(enum.StrEnum):
    """A language of the exercises."""

    PYTHON = "python"
    C = "c"

    @property
    def suffix(self) -> str:
        """Of a file's name."""
        return ".py" if self is Language.PYTHON else ".c"

    @property
    def comment(self) -> str:
        """What begins a comment line."""
        return "#" if self is Language.PYTHON else "//"

    @property
    def words(self) -> str:
        """The language in a sentence."""
        return "Python" if self is Language.PYTHON else "C"


class Marker(enum.StrEnum):
    """The comment lines that mark a gap."""

    GAP = "GAP"
    CHECKS = "CHECKS"
    HINT = "HINT"
    STUB = "STUB"
    END = "END"


# What may follow the lines of a marker; None stands for lines of the solution.
_FOLLOWS: dict[Marker | None, set[Marker | None]] = {
    Marker.GAP: {Marker.CHECKS},
    Marker.CHECKS: {None, Marker.CHECKS},
    None: {None, Marker.HINT},
    Marker.HINT: {Marker.HINT, Marker.STUB, Marker.END},
    Marker.STUB: {Marker.STUB, Marker.END},
}


class Malformed(Exception):
    """A file of an exercise breaks the format; the message names the file and the line."""


@dataclass(frozen=True)
class Gap:
    """One step that the student writes."""

    number: int
    task: str
    checks: tuple[str, ...]
    solution: tuple[str, ...]  # lines, as they stand in the file
    hints: tuple[str, ...]
    stub: tuple[str, ...]
    indent: str  # of the marker

    def comment(self, language: Language) -> list[str]:
        """The task as comment lines."""
        first = f"{self.indent}{language.comment} GAP {self.number}: "
        rest = f"{self.indent}{language.comment}{' ' * (len(first) - len(self.indent) - len(language.comment))}"
        return textwrap.wrap(self.task, _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)

    def end(self, language: Language) -> str:
        """The line that ends the gap in the student's file."""
        return f"{self.indent}{language.comment} END {self.number}"


@dataclass(frozen=True)
class Exercise:
    """A server of a model with gaps: `parts` are its lines and its gaps in their order."""

    model: str
    language: Language
    parts: tuple[str | Gap, ...]

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps, in order of their numbers."""
        return tuple(sorted((part for part in self.parts if isinstance(part, Gap)), key=lambda gap: gap.number))

    @property
    def file_name(self) -> str:
        """The name of the student's file. A file called select.py would hide the module that Python's library imports."""
        return f"{self.model}_server{self.language.suffix}"

    def skeleton(self) -> str:
        """What the student gets: each gap is its task, its stub and its end."""
        return self._text(lambda gap: [*gap.comment(self.language), *(gap.stub or ("",)), gap.end(self.language)])

    def solution(self, stubs: Sequence[int] = ()) -> str:
        """The whole server, with the tasks as comments. The gaps with these numbers have their stubs."""
        return self._text(
            lambda gap: [*gap.comment(self.language), *(gap.stub if gap.number in stubs else gap.solution)]
        )  # fmt: skip

    def _text(self, lines_of: Callable[[Gap], list[str]]) -> str:
        lines: list[str] = []
        for part in self.parts:
            lines += [part] if isinstance(part, str) else lines_of(part)
        return "\n".join(lines) + "\n"


def exists(model: str, language: Language) -> bool:
    """Is the model offered in this language?"""
    return (FOLDER / f"{model}{language.suffix}").is_file()


def models() -> list[str]:
    """The models with an exercise in any language, sorted."""
    suffixes = {language.suffix for language in Language}
    return sorted({path.stem for path in FOLDER.iterdir() if path.suffix in suffixes and path.stem != "__init__"})


def languages(model: str) -> list[Language]:
    """The languages in which the model is offered."""
    return [language for language in Language if exists(model, language)]


def load(model: str, language: Language) -> Exercise:
    """The exercise of the model. Raises Malformed."""
    path = FOLDER / f"{model}{language.suffix}"
    return parse(path.read_text(encoding="utf-8"), model, language, str(path.relative_to(FOLDER.parents[1])))


def parse(text: str, model: str, language: Language, name: str) -> Exercise:
    """The exercise that the text of a file describes. Raises Malformed."""
    parser = _Parser(language, name)
    for line in text.splitlines():
        parser.take(line)
    return Exercise(model, language, tuple(parser.finished()))


class _Parser:
    """Takes the lines one by one. `_state` is the marker whose lines come now: None in a solution."""

    def __init__(self, language: Language, name: str) -> None:
        self._language, self._name = language, name
        self._line = 0
        self._parts: list[str | Gap] = []
        self._numbers: list[int] = []  # of the gaps so far
        self._inside = False
        self._state: Marker | None = None
        self._start("")

    @property
    def _number(self) -> int:
        """Of the gap that the parser is in."""
        return self._numbers[-1]

    def _start(self, indent: str) -> None:
        self._indent = indent
        self._solution: list[str] = []
        self._texts: dict[Marker, list[str]] = {marker: [] for marker in Marker}

    def take(self, line: str) -> None:
        """The next line of the file."""
        self._line += 1
        marker, text = self._marker(line)
        if not self._inside:
            if marker is Marker.GAP:
                self._begin(line, text)
            elif marker is not None:
                self._refuse(f"{marker} stands outside a gap")
            else:
                self._parts.append(line)
        elif marker is not None:
            self._on_marker(marker, text)
        else:
            self._on_line(line)

    def _marker(self, line: str) -> tuple[Marker | None, str]:
        """The marker of a line, and the text behind it; of STUB the text with its own indentation."""
        words = line.strip()
        start = f"{self._language.comment} "
        if not words.startswith(start):
            return None, ""
        for marker in Marker:
            after = words.removeprefix(start).removeprefix(marker.value)
            if marker is Marker.END and words == f"{start}END":
                return marker, ""
            if marker is not Marker.END and words.startswith(f"{start}{marker}") and after[:1] in (" ", ":"):
                return marker, after
        return None, ""

    def _begin(self, line: str, text: str) -> None:
        number, colon, task = text.strip().partition(":")
        if not colon or not number.isdecimal() or number in map(str, self._numbers):
            self._refuse('expected "GAP N: ..." with a number of its own')
        self._numbers.append(int(number))
        self._start(line[: len(line) - len(line.lstrip())])
        self._inside, self._state = True, Marker.GAP
        self._texts[Marker.GAP].append(task.strip())

    def _on_marker(self, marker: Marker, text: str) -> None:
        if marker not in _FOLLOWS[self._state]:
            self._refuse(f"{marker} can't follow {self._state or 'the lines of the solution'}")
        if marker is Marker.END:
            self._end()
            return
        if not text.startswith(":"):
            self._refuse(f"a colon must follow {marker}")
        self._state = marker
        self._texts[marker].append(text[1:].removeprefix(" ").rstrip() if marker is Marker.STUB else text[1:].strip())

    def _on_line(self, line: str) -> None:
        """A line without a marker: the next line of a task or of a hint, or one of the solution."""
        words = line.strip()
        if self._state in (Marker.GAP, Marker.HINT):
            if not words.startswith(self._language.comment):
                self._refuse(f"expected a comment that goes on with {self._state}, or the next marker")
            self._texts[self._state][-1] += " " + words.removeprefix(self._language.comment).strip()
            return
        if None not in _FOLLOWS[self._state]:
            self._refuse(f"expected {Marker.STUB} or {Marker.END}")
        self._state = None
        self._solution.append(line.rstrip())

    def _end(self) -> None:
        hints = self._texts[Marker.HINT]
        if not _FEWEST_HINTS <= len(hints) <= _MOST_HINTS:
            self._refuse(f"gap {self._number} has {count(len(hints), 'hint')}, not {_FEWEST_HINTS} to {_MOST_HINTS}")
        checks = [word.strip() for line in self._texts[Marker.CHECKS] for word in line.split(",") if word.strip()]
        if not checks:
            self._refuse(f"gap {self._number} names no check")
        if not all([*hints, *self._texts[Marker.GAP]]):
            self._refuse(f"gap {self._number} has an empty task or an empty hint")
        stub = tuple(f"{self._indent}{line}".rstrip() for line in self._texts[Marker.STUB])
        gap = Gap(
            number=self._number,
            task=" ".join(self._texts[Marker.GAP]),
            checks=tuple(checks),
            solution=tuple(self._solution),
            hints=tuple(hints),
            stub=stub,
            indent=self._indent,
        )
        if _code(gap.solution, self._language) == _code(stub, self._language):
            self._refuse(f"the stub of gap {self._number} is its solution")
        self._parts.append(gap)
        self._inside = False

    def finished(self) -> list[str | Gap]:
        """The parts, at the end of the file."""
        if self._inside:
            self._refuse(f"gap {self._number} has no {Marker.END}")
        if not self._numbers:
            self._refuse("there is no gap")
        if sorted(self._numbers) != list(range(1, len(self._numbers) + 1)):
            self._refuse(f"the numbers of the gaps are {self._numbers}, not 1, 2, 3 ...")
        return self._parts

    def _refuse(self, words: str) -> NoReturn:
        raise Malformed(f"{self._name}:{self._line}: {words}")


@dataclass(frozen=True)
class Written:
    """What stands in a gap of the student's file. `line` is that of its task; 0: the student has removed the markers."""

    gap: Gap
    line: int
    begun: bool  # does the gap hold anything but its stub?
    code: str = ""  # the student's lines, without comments


def written(exercise: Exercise, text: str) -> tuple[Written, ...]:
    """Which gaps of a student's file still hold their stubs."""
    found = {number: (line, lines) for number, line, lines in _regions(exercise.language, text)}
    states = []
    for gap in exercise.gaps:
        line, lines = found.get(gap.number, (0, None))
        code = _code(lines or [], exercise.language)
        begun = lines is None or code != _code(gap.stub, exercise.language)
        states.append(Written(gap, line, begun, "\n".join(code)))
    return tuple(states)


def _regions(language: Language, text: str) -> Iterator[tuple[int, int, list[str]]]:
    """The gaps of a student's file: the number, the line of the task, and the lines up to the end."""
    number, begin, lines = "", 0, list[str]()
    for at, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        task, colon, _rest = words.removeprefix(f"{language.comment} GAP ").partition(":")
        if words.startswith(f"{language.comment} GAP ") and colon and task.isdecimal():
            number, begin, lines = task, at, []
        elif number and words == f"{language.comment} END {number}":
            yield int(number), begin, lines
            number = ""
        elif number:
            lines.append(line)


def _code(lines: Sequence[str], language: Language) -> list[str]:
    """The lines without those that are empty or a comment."""
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith(language.comment)]
