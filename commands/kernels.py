"""`invoke kernels`: other kernels under QEMU."""

from __future__ import annotations

import signal

from commands import options, outputs
from probes import files
from probes.errors import WrongUsage

HELP = options.REPORT_HELP | {
    "only": "run these kernels only (5.10, 6.1, 6.12, newest), separated by commas",
    "arch": "amd64 or arm64 (default: the architecture of this machine); on arm64 only doctor and a few labs run",
    "labs": "run these labs only, separated by commas; 'none' runs no lab",
    "tests": "run only the live tests that this expression of pytest -k selects; 'none' runs no test (arm64 has no live tests)",
    "at-once": "number of kernels that run at the same time",
    "refresh": "download the kernels again, even if they are in the cache",
    "add": "include these earlier results (files of --json --out), separated by commas; new results replace old ones",
    "write": "also write the results to this file, as the page docs/kernels.md",
}


def kernels(
    only: str = "",
    arch: str = "",
    labs: str = "",
    tests: str = "",
    at_once: str = "1",
    refresh: bool = False,
    add: str = "",
    write: str = "",
    json: bool = False,
    out: str = "",
) -> int:
    """Boot Debian's kernels under QEMU, run every lab and the live tests in each, and print the results by kernel."""
    import labs as rooms
    from machines import kernels as machines
    from reports import kernels as report

    outputs.check(out, write)
    architecture, machines_at_once = machines.architecture(arch), _at_least_one(at_once)
    chosen, chosen_tests = machines.to_run(labs, rooms.names(), architecture), machines.to_test(tests, architecture)
    for lab in chosen:
        rooms.find(lab)
    trials = [trial for path in add.split(",") if path for trial in machines.load(path)]
    names = [] if only == "none" else machines.names(only, architecture)
    try:
        if names:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the finished trials are kept
            machines.matrix(
                trials, names, architecture, chosen, chosen_tests,
                at_once=machines_at_once, refresh=refresh, progress=outputs.progress,
            )  # fmt: skip
    finally:  # also after Ctrl-C: a later run can add to the trials made until then (--add)
        trials = machines.merged(trials)
        if trials:
            with outputs.output(out) as file:
                report.write(trials, file, json)
    if write:
        with files.whole(write) as file:
            report.write_page(trials, rooms.names(), file)
    return outputs.VERDICT_CODES[machines.verdict(trials)]


def _at_least_one(at_once: str) -> int:
    number: int = options.number("at_once", at_once)
    if number < 1:
        raise WrongUsage(f"--at-once {at_once} is out of range", "it takes 1 or more")
    return number
