"""The words of a figure: its title, and the run that it shows."""

from __future__ import annotations

from findings.figure import Figure
from probes.context import LabRun, TrafficRun
from probes.measure.result import Result
from probes.words import count
from reports.figures.model import Caption
from reports.terminal.picture import which
from reports.words import duration
from runs import link

# The textbook's names of the models (UNP 6.2), by the lab that shows them.
TITLES = {
    "blocking": "Blocking I/O",
    "nonblocking": "Non-blocking I/O",
    "select": "I/O multiplexing with select",
    "signal_driven": "Signal-driven I/O",
    "io_uring": "Asynchronous I/O with io_uring",
}


def caption(figure: Figure, result: Result, case: str = "") -> Caption:
    """The caption of one run's figure; `case` names one of several servers."""
    context, message = result.context, figure.scene.message
    lab = context.lab if isinstance(context, LabRun) else ""
    name = f"{lab}, {case}" if case else lab
    title = TITLES.get(lab) or (f"lab {name}" if name else "a traced program")
    words = [f"{'Lab ' + name if name else 'Trace'}: {which(figure.scene)}, {message.bytes:,} B, {_way(result)}."]
    words.append(f"Times are from the moment the data was ready; to scale from {_start(figure)} on.")
    if message.probed > _WORTH_TELLING:
        words.append(f'The probe\'s own work of {duration(message.probed)} is subtracted after "woken".')
    machine = result.machine
    version = f", iolab {context.iolab}" if context.iolab else ""
    words.append(f"Linux {machine.kernel}, {count(machine.cpus, 'CPU')}{version}.")
    return Caption(f"{title}: one message of {message.bytes:,} B", " ".join(words))


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
