"""A class of servers to measure grade-all with: `python -m machines.course FOLDER [NUMBER]` writes NUMBER (200) submissions.

They are the wrong and the right servers of all labs (labs/wrong), in turn. What they import stands in FOLDER-code. FOLDER must
not be below /tmp: a server in the sandbox has a /tmp of its own.

    .venv/bin/python -m machines.course /srv/class
    time ./iolab grade-all epoll /srv/class -- ./serve {port}
"""

from __future__ import annotations

import importlib
import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from labs import wrong

ROOT = Path(__file__).resolve().parents[1]
NUMBER = 200
_NEEDED = ("findings", "labs", "probes", "servers")  # what the servers import
_SERVE = """#!/bin/sh
export PYTHONPATH={code}
exec /usr/bin/python3 -m servers {server} --port "$1"
"""


def servers() -> Iterator[tuple[str, str]]:
    """The model and the function of each server of labs/wrong."""
    for path in sorted(Path(wrong.__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f"labs.wrong.{path.stem}")
        for name in (*getattr(module, "WRONG", ()), *getattr(module, "RIGHT", ())):
            yield path.stem, name


def write(folder: Path, number: int = NUMBER) -> list[Path]:
    """Writes the class, and the code beside it. Returns the folders of the submissions."""
    code = folder.with_name(f"{folder.name}-code")
    for room in _NEEDED:
        shutil.copytree(ROOT / room, code / room, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    made = []
    for place, (model, name) in zip(range(number), itertools.cycle(list(servers())), strict=False):
        made.append(folder / f"{place:03}-{model}-{name}")
        made[-1].mkdir(parents=True, exist_ok=True)
        serve = made[-1] / "serve"
        serve.write_text(_SERVE.format(code=code, server=f"labs.wrong.{model}:{name}"))
        serve.chmod(0o755)
    for path in (code, *code.rglob("*")):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))  # the user of the sandbox reads it
    return made


if __name__ == "__main__":
    submissions = write(Path(os.path.abspath(sys.argv[1])), *map(int, sys.argv[2:3]))  # noqa: PTH100 (a link stays a link)
    print(f"{len(submissions)} submissions are in {submissions[0].parent}")
