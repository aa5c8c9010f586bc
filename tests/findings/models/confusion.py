"""The table of confusion: what each recorded server is, and what it classifies as. `docs/classification.md` shows it.

    python -m tests.findings.models.confusion            writes the table of the recordings in tests/data
    python -m tests.findings.models.confusion FOLDER     first records the installed real servers that FOLDER lacks, and writes
                                                         their table, too

IOLAB_SERVERS_PYTHON names an interpreter that has the servers which pip installs.
"""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from findings.models.model import Architecture, Classification, Model
from findings.threads.roles import Identity, identify
from probes.measure.measure import measure
from probes.recording import load
from probes.words import count
from tests.conftest import DATA, ROOT
from tests.findings.models.expected import RECORDED, identity_of
from tests.findings.models.real import Real, record, servers

PAGE = ROOT / "docs" / "classification.md"
SERVERS = DATA / "servers"


@dataclass(frozen=True)
class Outcome:
    """One server: what is right, and what it classifies as."""

    name: str
    models: tuple[Model, ...]
    architectures: tuple[Architecture, ...]
    found: Identity

    @property
    def classification(self) -> Classification:
        """Model and architecture."""
        return self.found.classification

    @property
    def right(self) -> bool:
        """Are both right?"""
        return self.classification.model in self.models and self.classification.architecture in self.architectures


def of_labs() -> Iterator[Outcome]:
    """The servers of this project, as the labs recorded them."""
    for expected in RECORDED:
        yield Outcome(expected.name, (expected.model,), (expected.architecture,), identity_of(expected.name))


def file_of(server: Real) -> str:
    """The name of a server's recording."""
    return server.name.replace(" ", "_").replace("/", "_") + ".iolab"


def of_recordings(folder: Path) -> Iterator[Outcome]:
    """The real servers whose recordings are in a folder."""
    for server in servers():
        path = folder / file_of(server)
        if path.exists():
            yield outcome_of(server, path)


@cache
def outcome_of(server: Real, path: Path) -> Outcome:
    """What a real server's recording classifies as."""
    return Outcome(server.name, server.models, server.architectures, identify(measure(load(path))))


def matrix(outcomes: Iterable[Outcome]) -> str:
    """A row for each model that a server is, a column for each model that one classifies as."""
    counted: collections.Counter[tuple[Model, Model]] = collections.Counter()
    for outcome in outcomes:
        model = outcome.classification.model
        counted[model if model in outcome.models else outcome.models[0], model] += 1
    columns = [model for model in Model if any(found is model for _, found in counted)]
    rows = [model for model in Model if any(is_ is model for is_, _ in counted)]
    lines = ["| is | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for is_ in rows:
        cells = [str(counted[is_, found] or "") for found in columns]
        lines.append(f"| {is_} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table(outcomes: Iterable[Outcome]) -> str:
    """A row for each server."""
    lines = ["| server | model | architecture | confidence | processes and threads |", "| --- | --- | --- | --- | --- |"]
    for outcome in outcomes:
        found = outcome.classification
        wrong = "" if outcome.right else f" (wrong: it is {outcome.models[0].words}, {outcome.architectures[0].words})"
        also = "".join(f", also {Model(each).words}" for each in found.also)
        cells = (
            outcome.name,
            found.model.words + also + wrong,
            found.architecture.words,
            found.confidence,
            outcome.found.roles.words,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def recorded_part() -> str:
    """What the page says about the recordings in tests/data."""
    labs, real = list(of_labs()), list(of_recordings(SERVERS))
    right = sum(outcome.right for outcome in (*labs, *real))
    words = (
        f"{count(len(labs), 'recording')} of this project's servers and {count(len(real), 'recording')} of real servers:"
        f" {right:,} of {len(labs) + len(real):,} classify as what they are, model and architecture."
    )
    return f"{words}\n\n{matrix((*labs, *real))}"


def live_part(folder: Path) -> str:
    """What the page says about a run of all installed servers."""
    outcomes = list(of_recordings(folder))
    right = sum(outcome.right for outcome in outcomes)
    return f"{count(len(outcomes), 'server')}, of which {right:,} were classified right.\n\n{table(outcomes)}"


def replaced(page: str, name: str, text: str) -> str:
    """The page with another text between the marks of a part."""
    begin, end = f"<!-- {name}: written by tests/findings/models/confusion.py -->\n", f"\n<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + text + end + after


def _record_all(folder: Path) -> None:
    for server in servers():
        path = folder / file_of(server)
        if path.exists() or not server.installed:
            continue
        print(server.name, file=sys.stderr)
        record(server, folder / path.stem)
        (folder / path.stem / "run.iolab").rename(path)


def main(arguments: list[str]) -> None:
    """Writes the page."""
    page = replaced(PAGE.read_text(), "recordings", recorded_part())
    if arguments:
        folder = Path(arguments[0])
        folder.mkdir(parents=True, exist_ok=True)
        _record_all(folder)
        page = replaced(page, "real servers", live_part(folder))
    PAGE.write_text(page)


if __name__ == "__main__":
    main(sys.argv[1:])
