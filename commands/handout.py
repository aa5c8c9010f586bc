"""`invoke handout NAME`: a page about a lab for students, and a page with its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commands import outputs
from probes import files
from probes.errors import WrongUsage
from probes.recording import load

ROOT = Path(__file__).resolve().parents[1]
HELP = {
    "name": "the lab, or all: then --out names a folder for the pages, and its folder answers gets the pages with the answers",
    "recording": "take the answers from this recording of the lab (default: a recording that comes with iolab)",
    "with-answers": "add the answers, an example run and the checked statements to the page",
    "out": "write to this file (with NAME all: to this folder, and the figures to its folder figures)",
}


def handout(name: str, recording: str = "", with_answers: bool = False, out: str = "") -> None:
    """Write a Markdown page about a lab for students: what to predict, read and run. --with-answers adds the answers."""
    import labs as rooms
    from reports import handout as pages
    from runs import page

    if name == "all":
        _all(recording, with_answers, out)
        return
    rooms.find(name)
    content = page.page(name, _example(name, recording))
    with outputs.output(out) as file:
        file.write(pages.both(content) if with_answers else pages.page(content))


def _all(recording: str, with_answers: bool, out: str) -> None:
    """The pages of all labs, and in the folder answers their answers."""
    import labs as rooms
    from reports import handout as pages
    from reports.figures import model, sizes
    from runs import catalogue, page

    if not out or recording:
        raise WrongUsage("all pages need a folder", "invoke handout all --out docs/labs")
    if with_answers:
        raise WrongUsage("the answers of all labs have a folder of their own", "leave --with-answers out")
    files.make_folder(out)
    for folder in ("answers", "figures"):
        files.make_folder(str(Path(out) / folder))
    texts = {"README.md": pages.index(catalogue.all_labs()), "figures/comparison.svg": _comparison()}
    for lab in rooms.names():
        content = page.page(lab, _example(lab, ""))
        texts |= {f"{lab}.md": pages.page(content), f"answers/{lab}.md": pages.answers(content)}
        drawn = pages.figures(content)
        texts |= {f"figures/{name}.svg": model.of_run(found, sizes.COLUMN).svg(alone=True) for name, found in drawn}
    for place, text in texts.items():
        with files.whole(str(Path(out) / place)) as file:
            file.write(text)


def _comparison() -> str:
    """The comparison of the models of UNP 6.2, from the recordings that come with iolab."""
    from reports.figures import comparison, sizes
    from runs import figures

    sources = figures.find(figures.COMPARISON).sources
    drawn = [figures.drawn(source, load(ROOT / "tests" / "data" / f"{source.lab}.iolab")) for source in sources]
    return comparison.of_runs(drawn, sizes.COLUMN).svg(alone=True)


def _example(lab: str, recording: str) -> Any:
    from runs.lab import measure_and_check

    return measure_and_check(load(Path(recording) if recording else ROOT / "tests" / "data" / f"{lab}.iolab"))
