"""`invoke marks PLACE`: the recordings that a class handed in, with the points of the answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from commands import options, outputs
from probes.errors import WrongUsage

_EVERY = 2.0  # seconds between two lines of progress
HELP = {
    "place": "the folder with the recordings of lab --predict --save, also in folders below it; or one recording",
    "lab": "the lab that was set; recordings of other labs are flagged",
    "seed": "the seed that was set; answers to the questions of another seed are flagged",
    "seeds": "a CSV file with the seed of each student: a name and a seed in each line",
    "csv": "write a line for each recording to this file, as CSV",
    "verify": "write also what marks verified in each recording, and what a student with root could still forge",
    "json": "write the marks as one JSON document",
    "out": "write the table to this file",
}


def marks(
    place: str, lab: str = "", seed: str = "", seeds: str = "", csv: str = "", verify: bool = False, json: bool = False,
    out: str = "",
) -> int:  # fmt: skip
    """Collect the recordings of a class: points, duplicates, wrong seeds, edited and broken files."""
    from probes import files
    from reports import marks as report
    from runs import marks as collecting

    outputs.check(out, csv)
    if lab:
        import labs

        labs.find(lab)
    own = collecting.seeds_of(Path(seeds)) if seeds else {}
    wanted = collecting.Wanted(lab or None, options.number("seed", seed) if seed else None, own)
    path = Path(place)
    folder, (paths, others) = (path.parent, ([path], [])) if path.is_file() else (path, collecting.files_of(path))
    if not paths:
        raise WrongUsage(f"there is no recording in {place}", "name a folder with files that lab --save wrote")
    found = collecting.collect(folder, paths, wanted, _progress(len(paths)))
    if csv:
        with files.whole(csv) as file:
            report.write_csv(found, file)
    with outputs.output(out) as file:
        if json:
            report.write_json(found, file)
        elif verify:
            report.write_verified(found, file)
        else:
            report.write(found, others, file)
    return 3 if any(each.undecided for each in found) else int(any(each.remarks for each in found))


def _progress(number: int) -> Callable[[int], None]:
    """Prints how many recordings are read, from time to time."""
    due = time.monotonic() + _EVERY

    def done(read: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _EVERY
            outputs.progress(f"{read} of {number} recordings")

    return done
