"""The points of a grade: a TOML file with the points of each criterion (docs/instructors.md). Each model has a default."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.errors import WrongUsage
from probes.words import did_you_mean
from runs import protocols
from runs.grading import criteria
from runs.grading.criteria import Criterion

FOLDER = Path(__file__).parent / "rubrics"
_KEYS = {"model", "protocol", "clients", "points", "evidence"}
_MOST_CLIENTS = 1000
_MOST_POINTS = 10_000


@dataclass(frozen=True)
class Rubric:
    """The criteria of a grade with their points, in the order of the report."""

    model: str
    points: dict[str, int]  # of BASIC criteria
    evidence: dict[str, int]  # of the checks of the model's lab
    protocol: str = "echo"
    clients: int = 60  # of the trial many_clients

    @property
    def of(self) -> int:
        """All points."""
        return sum(self.points.values()) + sum(self.evidence.values())

    @property
    def criteria(self) -> list[tuple[Criterion, int]]:
        """Every criterion with its points: first the start and the protocol, then the model, then the trials, then the end."""
        from_kernel = criteria.evidence(self.model)
        basic = {
            name: (criterion, self.points[name])
            for name, criterion in criteria.basic(self.model).items()
            if name in self.points
        }
        first = [basic.pop(name) for name in ("starts", "protocol", "model") if name in basic]
        return [*first, *((from_kernel[name], points) for name, points in self.evidence.items()), *basic.values()]

    @property
    def trials(self) -> list[str]:
        """The trials that the rubric has points for."""
        return [name for name in criteria.TRIALS if name in self.points]


def default(model: str) -> Rubric:
    """The rubric that iolab ships for the model, or the one for all models. Raises WrongUsage if there is no such model."""
    criteria.find(model)
    own = FOLDER / f"{model.replace(':', '_')}.toml"
    return load(own if own.exists() else FOLDER / "any.toml", model)


def load(path: Path, model: str) -> Rubric:
    """A rubric of a file, checked. Raises WrongUsage, with the place in the file."""
    try:
        words = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUsage(f"can't read the rubric {path}: {error.strerror}", "name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(f"the rubric {path} is no TOML: {error}", "https://toml.io has the format") from error
    return _checked(words, model, str(path))


def _checked(words: dict[str, Any], model: str, path: str) -> Rubric:
    _known(words, _KEYS, "key", path)
    if (named := words.get("model", model)) != model:
        raise WrongUsage(f"the rubric {path} is for model {named!r}, not for {model!r}", "name the rubric of this model")
    points = _points(words, "points", set(criteria.BASIC), path)
    evidence = _points(words, "evidence", set(criteria.evidence(model)), path)
    protocol, clients = words.get("protocol", "echo"), words.get("clients", 60)
    if not isinstance(protocol, str):
        raise WrongUsage(f"the rubric {path} gives a protocol that is no text", f"one of {', '.join(protocols.PROTOCOLS)}")
    if not isinstance(clients, int) or isinstance(clients, bool) or not 1 <= clients <= _MOST_CLIENTS:
        raise WrongUsage(f"the rubric {path} gives clients {clients!r}", f"give a whole number from 1 to {_MOST_CLIENTS:,}")
    rubric = Rubric(model, points, evidence, protocol, clients)
    if not rubric.of:
        raise WrongUsage(f"the rubric {path} has no points", "give a criterion of [points] or [evidence] points above 0")
    return rubric


def _points(words: dict[str, Any], table: str, known: set[str], path: str) -> dict[str, int]:
    values = words.get(table, {})
    if not isinstance(values, dict):
        raise WrongUsage(f"the rubric {path} has no table [{table}]", f"write [{table}] and a line such as starts = 4 for each")
    _known(values, known, f"criterion of [{table}]", path)
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_POINTS:
            raise WrongUsage(
                f"the rubric {path} gives {name} {value!r}", f"give a whole number of points from 0 to {_MOST_POINTS:,}"
            )
    return dict(values)


def _known(values: dict[str, Any], known: set[str], what: str, path: str) -> None:
    for name in values:
        if name not in known:
            hint = did_you_mean(name, known)
            raise WrongUsage(f"the rubric {path} has an unknown {what}: {name!r}", f"{hint}known: {', '.join(sorted(known))}")
