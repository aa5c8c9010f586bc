"""`invoke figure NAME`: a figure of the textbook, drawn from a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from commands import outputs, process
from probes.errors import WrongUsage

if TYPE_CHECKING:
    from probes.recording import Recording
    from runs.figures import Source, Wanted

HELP = {
    "name": "blocking, nonblocking, multiplexing, signal_driven, asynchronous, comparison, or a lab with a server",
    "recording": "draw this recording of the lab (default: run the lab now); the comparison takes several, separated by commas",
    "out": "write the figure to this file, whose name ends in .svg, .png or .pdf (default: SVG to stdout)",
    "size": "slide (16:9, with a title) or column (of a page or a handout); default: column",
}


def figure(name: str, recording: str = "", out: str = "", size: str = "column") -> None:
    """Draw a figure of the textbook from a run: what the application, the kernel and the network did for one message."""
    from reports.figures import comparison, convert, model, sizes
    from runs import figures

    wanted = figures.find(name)
    if size not in sizes.SIZES:
        raise WrongUsage(f"there is no size {size}", f"--size {' or --size '.join(sizes.SIZES)}")
    format_ = Path(out).suffix.removeprefix(".").lower() if out else "svg"
    if format_ not in convert.FORMATS:
        raise WrongUsage(f"a figure can't be written as {Path(out).name}", "name a file that ends in .svg, .png or .pdf")
    outputs.check(out)
    if format_ != "svg":
        from commands.extras import PICTURES

        PICTURES.need()
    drawn = [figures.drawn(source, found) for source, found in _recordings(wanted, recording)]
    shape = sizes.SIZES[size]
    paper = comparison.of_runs(drawn, shape) if len(drawn) > 1 else model.of_run(drawn[0], shape)
    _write(convert.converted(paper.svg(alone=True), format_), out)


def _recordings(wanted: Wanted, files: str) -> list[tuple[Source, Recording]]:
    """A recording for each source: the files that the user names, or fresh runs."""
    from probes.recording import load
    from runs import figures

    if files:
        return figures.paired(wanted, [load(Path(file)) for file in files.split(",")])
    process.need_tracing()
    return [(source, figures.record(source, outputs.progress)) for source in wanted.sources]


def _write(data: bytes, out: str) -> None:
    from probes import files

    if out:
        with files.whole(out, "wb") as file:
            file.write(data)
        return
    with outputs.output(out) as file:
        file.write(data.decode())
