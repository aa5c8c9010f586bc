"""`invoke handout NAME`: a page about a lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commands import shared
from probes import files
from probes.errors import WrongUsage
from probes.recording import load

ROOT = Path(__file__).resolve().parents[1]
HELP = {
    "name": "the lab; all: every lab's page, into the folder that --out names",
    "recording": "show this run of the lab; without it, a run that comes with iolab",
    "out": "the file, or the folder",
}


def handout(name: str, recording: str = "", out: str = "") -> None:
    """Write a Markdown page about a lab for students: what to predict, run and see."""
    import labs as rooms
    from reports import handout as pages
    from runs import catalogue, page

    if name != "all":
        rooms.find(name)
        with shared.answer(out) as file:
            file.write(pages.page(page.page(name, _example(name, recording))))
        return
    if not out or recording:
        raise WrongUsage("all pages need a folder", "invoke handout all --out docs/labs")
    files.make_folder(out)
    texts = {"README": pages.index(catalogue.all_labs())}
    texts |= {lab: pages.page(page.page(lab, _example(lab, ""))) for lab in rooms.names()}
    for lab, text in texts.items():
        with files.whole(str(Path(out) / f"{lab}.md")) as file:
            file.write(text)


def _example(lab: str, recording: str) -> Any:
    from runs.lab import measure_and_check

    return measure_and_check(load(Path(recording) if recording else ROOT / "tests" / "data" / f"{lab}.iolab"))
