"""The figures of the textbook by name, each with the lab that shows it, from a recording or from a fresh run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import labs
from findings.pictures import figure
from findings.view import NotOffered, Run
from labs.kit.traffic import Traffic
from probes.context import lab_of
from probes.errors import WrongUsage
from probes.recording import Recording
from probes.words import count, did_you_mean
from runs.lab import measure_and_check
from runs.report import Drawn


class Source(NamedTuple):
    """Where a figure comes from: the lab, and for a lab with several servers the case."""

    lab: str
    case: str = ""


# The models of UNP 6.2.
MODELS = {
    "blocking": Source("blocking"),
    "nonblocking": Source("nonblocking"),
    "multiplexing": Source("select"),
    "signal_driven": Source("signal_driven"),
    "asynchronous": Source("io_uring", "single"),
}
COMPARISON = "comparison"


@dataclass(frozen=True)
class Wanted:
    """What the user asked for: the sources in order; several of them are the comparison."""

    name: str
    sources: tuple[Source, ...]


def find(name: str) -> Wanted:
    """The figure of this name: of a model, of a lab whose server is drawn, or the comparison. Raises WrongUsage."""
    plain = name.replace("-", "_")
    if plain == COMPARISON:
        return Wanted(COMPARISON, tuple(MODELS.values()))
    if plain in MODELS:
        return Wanted(plain, (MODELS[plain],))
    if plain in labs.names() and labs.find(plain).experiment is None:
        cases = labs.find(plain).cases
        return Wanted(plain, (Source(plain, cases[0].name if cases else ""),))
    hint = did_you_mean(plain, [*MODELS, COMPARISON, *labs.names()])
    raise WrongUsage(
        f"there is no figure {name}", f"{hint}the figures: {', '.join([*MODELS, COMPARISON])}, or a lab with a server"
    )


def record(source: Source, progress: Callable[[str], None], traffic: Traffic | None = None) -> Recording:
    """A fresh run of the lab."""
    from runs import lab

    progress(f"lab {source.lab}")
    return lab.record(source.lab, traffic or labs.find(source.lab).traffic, progress, None)


def paired(wanted: Wanted, recordings: Sequence[Recording]) -> list[tuple[Source, Recording]]:
    """Each source with the recording of its lab. Raises WrongUsage if one is missing, or one is of no use."""
    if len(wanted.sources) == 1 == len(recordings):
        return [(wanted.sources[0], recordings[0])]
    by_lab = {lab_of(recording.context): recording for recording in recordings}
    missing = [source.lab for source in wanted.sources if source.lab not in by_lab]
    if missing or len(recordings) != len(wanted.sources):
        names = ", ".join(source.lab for source in wanted.sources)
        raise WrongUsage(
            f"figure {wanted.name} takes one recording of each of these labs: {names}",
            f"the command names {count(len(recordings), 'file')}" + (f"; missing: {', '.join(missing)}" if missing else ""),
        )
    return [(source, by_lab[source.lab]) for source in wanted.sources]


def drawn(source: Source, recording: Recording) -> Drawn:
    """The figure of a recording. Raises WrongUsage for a recording of another lab, or without a message."""
    recorded = lab_of(recording.context)
    if recorded != source.lab:
        raise WrongUsage(
            f"that is a recording of {f'lab {recorded}' if recorded else 'a trace'}, not of lab {source.lab}",
            f"invoke lab {source.lab} --save FILE makes a recording for this figure",
        )
    result = measure_and_check(recording)
    if source.case:
        try:
            result = Run(result).case(source.case).result
        except NotOffered as error:
            raise WrongUsage(
                f"{source.lab} could not be run on that machine: {error}", "draw a run of another machine"
            ) from error
    found = figure.figure(result)
    if found is None:
        raise WrongUsage("no message arrived in that run, so there is nothing to draw", "draw another run")
    return Drawn(source.case, result, found)
