"""The words of a figure: its title, and the run that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from findings.pictures.figure import Figure
from probes.context import LabRun, TrafficRun
from probes.measure.result import Result
from probes.words import count
from reports.terminal.picture import which
from reports.words import duration
from runs import link
from runs.compare import COMPARE
from runs.report import Drawn


@dataclass(frozen=True)
class Caption:
    """The words around a figure: its title, and the run that it shows, in sentences."""

    title: str
    run: str


# The textbook's names of the models (UNP 6.2), by the lab that shows them.
TITLES = {
    "blocking": "Blocking I/O",
    "nonblocking": "Non-blocking I/O",
    "select": "I/O multiplexing with select",
    "signal_driven": "Signal-driven I/O",
    "io_uring": "Asynchronous I/O with io_uring",
}
SHORT = {
    "blocking": "blocking",
    "nonblocking": "non-blocking",
    "select": "multiplexing (select)",
    "signal_driven": "signal-driven",
    "io_uring": "asynchronous (io_uring)",
}


def caption(figure: Figure, result: Result, case: str = "") -> Caption:
    """The caption of one run's figure; `case` names one of several servers."""
    context, message = result.context, figure.scene.message
    run = _run(result, case)
    model = context.model if isinstance(context, LabRun) and context.lab == COMPARE else _lab(result, "")
    title = TITLES.get(model) or run[:1].upper() + run[1:]
    words = [f"{run[:1].upper()}{run[1:]}: {which(figure.scene)}, {message.bytes:,} B, {_way(result)}."]
    words.append(f"Times are from the moment the data was ready; to scale from {_start(figure)} on.")
    if message.probed > _WORTH_TELLING:
        words.append(f'The probe\'s own work of {duration(message.probed)} is subtracted after "woken".')
    machine = result.machine
    version = f", iolab {context.iolab}" if context.iolab else ""
    words.append(f"Linux {machine.kernel}, {count(machine.cpus, 'CPU')}{version}.")
    return Caption(f"{title}: one message of {message.bytes:,} B", " ".join(words))


def _run(result: Result, case: str) -> str:
    """What was run, as in "lab silent_client, broken"."""
    context = result.context
    if not isinstance(context, LabRun):
        return "a traced program"
    if context.lab == COMPARE:
        return f"model {context.model}"
    return f"lab {context.lab}" + (f", {case}" if case else "")


_WORTH_TELLING = 2_000  # ns


def _start(figure: Figure) -> str:
    return "the arrival" if figure.scene.sent is None else "the client's send"


def _way(result: Result) -> str:
    """How the message came."""
    context = result.context
    if not isinstance(context, TrafficRun):
        return "of a traced program"
    if context.link:
        return link.words(context.link)
    return f"{'UDP' if context.traffic.udp else 'TCP'} on loopback"


def of_several(drawn: Sequence[Drawn]) -> Caption:
    """The caption of the comparison."""
    runs = ", ".join(_lab(found.result, found.case) for found in drawn)
    bytes_ = sorted({found.figure.scene.message.bytes for found in drawn})
    size = " or ".join(f"{number:,} B" for number in bytes_)
    kernels = sorted({found.result.machine.kernel for found in drawn})
    words = (
        f"Labs {runs}: of each run the message with the median time, of those that found the thread asleep; {size} over TCP."
        f" The data is ready at the same height in all columns; from there on all have one scale. Linux {', '.join(kernels)}."
    )
    return Caption("The I/O models compared", words)


def model_title(found: Drawn) -> str:
    """The name of a column of the comparison."""
    return SHORT.get(_lab(found.result, ""), _lab(found.result, found.case))


def _lab(result: Result, case: str) -> str:
    lab = result.context.lab if isinstance(result.context, LabRun) else "a trace"
    return f"{lab} ({case})" if case else lab
