"""Records the experiments of labs/wrong anew into tests/data/wrong: `python -m tests.labs.record_wrong [NAME ...]`, as root."""

from __future__ import annotations

import json
import os
import pkgutil
import sys

import labs.wrong
from probes.capture.instrument import Instrument
from probes.context import ExperimentRun
from runs.processes import Child
from tests.conftest import DATA


def experiments() -> list[str]:
    """The labs whose counterexample is an experiment."""
    modules = sorted(module.name for module in pkgutil.iter_modules(labs.wrong.__path__))
    return [name for name in modules if labs.find(name).experiment]


def record(name: str) -> None:
    """Records one of them under the instrument, as if it were the lab's own."""
    with Instrument() as instrument:
        with Child("runs.lab", f"labs.wrong.{name}:experiment", str(os.getpid()), invitation=instrument.invite()) as child:
            outcome = json.loads(child.rest(30))
        instrument.wait_until_gone(2)
        (DATA / "wrong").mkdir(exist_ok=True)
        instrument.stop(ExperimentRun(lab=name, aside=outcome)).save(str(DATA / "wrong" / f"{name}.iolab"))


if __name__ == "__main__":
    for _name in sys.argv[1:] or experiments():
        record(_name)
