"""The kernel matrix: kernel x probe x quality and kernel x lab x verdict, on the terminal, as JSON, as a page for docs/."""

from __future__ import annotations

import datetime
import itertools
import json as codec
import platform
import re
from collections import Counter
from collections.abc import Sequence
from typing import IO

from rich.text import Text

from machines import kernels
from machines.kernels import Trial
from probes import VERSION
from probes.words import visible
from reports.terminal.screen import Column, figures, printing

_STYLES = {
    "pass": "green", "measured": "green", "yes": "green", "fail": "bold red", "broken": "bold red", "no": "bold red",
    "inconclusive": "bold yellow", "bounded": "yellow", "limited": "yellow", "cannot": "dim", "unavailable": "dim", "-": "dim",
}  # fmt: skip
_ASKED_OF_DOCTOR = ("BTF", "fentry", "kprobe", "io_uring", "link")
AGAIN = "./iolab kernels --write docs/kernels.md"

Rows = list[list[str]]


def probe_rows(trials: Sequence[Trial]) -> Rows:
    """A row for each probe: its quality in each kernel, with the kind of attachment; then what doctor found of the kernel."""
    rows = []
    for name in dict.fromkeys(probe["name"] for trial in trials for probe in trial.probes):
        cells = []
        for trial in trials:
            found = next((probe for probe in trial.probes if probe["name"] == name), None)
            kind = f" ({found['attached'].split(':')[0]})" if found and found["attached"] else ""
            cells.append(f"{found['quality']}{kind}" if found else "-")
        rows.append([name, *cells])
    for name in _ASKED_OF_DOCTOR:
        states = [next((finding["state"] for finding in trial.doctor if finding["name"] == name), "-") for trial in trials]
        rows.append([name, *("no" if state == "info" else state for state in states)])
    return rows


def lab_rows(trials: Sequence[Trial], names: Sequence[str] = ()) -> Rows:
    """A row for each lab, of `names` and of all that was tried: its verdict in each kernel. "-": it was not tried."""
    every = sorted({*names, *(name for trial in trials for name in trial.labs)})
    return [[name, *(trial.labs[name].verdict if name in trial.labs else "-" for trial in trials)] for name in every]


HOOKS = ("raw tracepoint", "fentry", "fexit", "kprobe", "kretprobe")


def cost_rows(trials: Sequence[Trial]) -> Rows:
    """What one hit costs by each kind of hook, as a multiple of a raw tracepoint's in the same kernel."""
    return [[kind, *(trial.times_a_tracepoint(kind) for trial in trials)] for kind in HOOKS]


def figure_rows(trials: Sequence[Trial]) -> Rows:
    """Seconds of each part, and the live tests."""
    return [
        ["boot, s", *(f"{trial.boot_seconds:.0f}" if trial.boot_seconds else "-" for trial in trials)],
        ["doctor, s", *(f"{trial.doctor_seconds:.0f}" for trial in trials)],
        ["labs, s", *(f"{sum(lab.seconds for lab in trial.labs.values()):.0f}" for trial in trials)],
        *([f"tests {outcome}", *(_tests(trial, outcome) for trial in trials)] for outcome in ("passed", "failed", "skipped")),
        ["tests chosen (pytest -k)", *(_chosen(trial) for trial in trials)],
        ["tests, s", *(_seconds(trial) for trial in trials)],
    ]


def _tests(trial: Trial, outcome: str) -> str:
    return str(sum(test.outcome == outcome for test in trial.tests.values())) if trial.tests else "-"


def _seconds(trial: Trial) -> str:
    return f"{seconds:.0f}" if (seconds := sum(test.seconds for test in trial.tests.values())) else "-"


def _chosen(trial: Trial) -> str:
    if not trial.tests:
        return "-"
    return (trial.chosen or "all") + (", not finished" if trial.untested else "")


def remarks(trials: Sequence[Trial]) -> list[str]:
    """One line for each problem, with its evidence."""
    found = []
    for trial in trials:
        found += [f"{trial.release}: {why}" for why in (trial.broken, trial.unfinished) if why]
        found += [f"{trial.release}: the live tests did not finish"] if trial.untested else []
        found += [f"{trial.release}, lab {name}: {lab.words}" for name, lab in trial.labs.items() if lab.verdict != "pass"]
        found += [f"{trial.release}, {name}: {test.why}" for name, test in trial.tests.items() if test.outcome == "failed"]
    return [" ".join(line.split())[:600] for line in found]


def skip_rows(trials: Sequence[Trial]) -> Rows:
    """A row for each reason why live tests were skipped, with the number of tests in each kernel."""
    reasons = [Counter(test.why for test in trial.tests.values() if test.outcome == "skipped") for trial in trials]
    return [
        [reason, *(str(counts[reason] or "-") for counts in reasons)] for reason in dict.fromkeys(itertools.chain(*reasons))
    ]


def _heads(trials: Sequence[Trial]) -> list[str]:
    short = [trial.release.removesuffix(f"-{trial.arch}") for trial in trials]
    return [head + ("" if trial.arch == "amd64" else f" {trial.arch}") for head, trial in zip(short, trials, strict=True)]


def write(trials: Sequence[Trial], file: IO[str], json: bool = False) -> None:
    """The tables, or the JSON document."""
    if json:
        codec.dump(kernels.as_data(trials), file, indent=1)
        file.write("\n")
        return
    # "6.12.117+deb13": what follows the plus does not fit four times
    columns = [Column(re.sub(r"\+\S+", "", head), left=True, wraps=True) for head in _heads(trials)]
    with printing(file) as out:
        for first, rows in (
            ("probe", probe_rows(trials)),
            ("one hit of", cost_rows(trials)),
            ("lab", lab_rows(trials)),
            ("", figure_rows(trials)),
        ):
            if rows:
                figures(out, first, columns, map(_styled, rows))
                out.print()
        for line in remarks(trials):
            out.print(Text(f"- {visible(line)}"))


def _styled(row: Sequence[str]) -> list[Text]:
    name, *cells = row
    return [Text(name, style="bold"), *(Text(visible(cell), style=_STYLES.get(cell.split(" ")[0], "")) for cell in cells)]


def _markdown(first: str, heads: Sequence[str], rows: Rows) -> str:
    lines = [[first, *heads], ["---"] * (len(heads) + 1), *([f"`{name}`" if first else name, *cells] for name, *cells in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def write_page(trials: Sequence[Trial], names: Sequence[str], file: IO[str]) -> None:
    """The page for docs/, with a row for each lab of `names`: the tables, the date, the versions, and the command."""
    heads = _heads(trials)
    problems = "".join(f"* {line}\n" for line in remarks(trials)) or "None: every trial passed.\n"
    parts = [
        ("The kernels that iolab was tried on", f"{_made()}\n\n{_packages(trials)}"),
        ("What each probe gives", f"{_PROBES}\n\n{_markdown('probe', heads, probe_rows(trials))}"),
        ("What a hook costs", f"{_COSTS}\n\n{_markdown('one hit of', heads, cost_rows(trials))}"),
        ("What each lab says", f"{_LABS}\n\n{_markdown('lab', heads, lab_rows(trials, names))}"),
        ("Time and tests", f"{_markdown('', heads, figure_rows(trials))}{_skips(trials)}"),
        ("Remarks", problems),
    ]
    file.write("\n".join(f"{'##' if number else '#'} {title}\n\n{text}" for number, (title, text) in enumerate(parts)))


def _made() -> str:
    """How the page was made."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    host = f"{platform.machine()}, Python {platform.python_version()}"
    return f"""Written on {today} by `{AGAIN}`,
iolab {VERSION}, on {host}. {_ABOUT}"""


_ABOUT = f"""\
Each kernel is Debian's own package. QEMU boots it with 2 CPUs and 2 GiB over
the files of this machine (Python, BCC, the checkout); an arm64 kernel has a Debian of its own. Each lab with a verdict ran in
the kernel, and its last run counts. The command writes every table; no table is edited by hand. An emulated machine is many
times slower than a real machine. Therefore every time limit is multiplied by {kernels.SLOWER} (`IOLAB_SLOW`), and the clients
of a lab that spreads them start further apart (`runs/lab.py`: `_SPREAD`). No time on this page is that of a real machine."""
_PROBES = """\
`measured`: an exact bracket. `bounded`: an upper bound. `unavailable`: this kernel does not offer the probe, and every report
gives the reason. The kind of attachment stands in parentheses. The last rows are the findings of `./iolab doctor`."""
_COSTS = """\
The cost of one hit of a program that only adds to a counter, as a multiple of the cost at a raw tracepoint in the same kernel.
The measure is the fastest of many rounds of a short system call, with and without the program; `python -m probes.capture.cost`
measures it on any machine. The ratios are those of an emulated machine; on a real processor breakpoints and trampolines have
other costs. `-`: no figure, or not tried."""
_LABS = """\
`pass`: every check held. `fail`: a check failed. `inconclusive`: events were lost. `cannot`: the kernel does not offer the
mechanism of the lab. `broken`: the lab did not finish. `-`: not tried."""


def _packages(trials: Sequence[Trial]) -> str:
    return "".join(f"* {trial.package} ({trial.arch})\n" for trial in trials)


def _skips(trials: Sequence[Trial]) -> str:
    skipped = skip_rows(trials)
    return f"\nSkipped live tests, by reason:\n\n{_markdown('', _heads(trials), skipped)}" if skipped else ""


def documented_labs(page: str) -> list[str]:
    """The labs that have a row in such a page."""
    section = page.partition("\n## What each lab says\n")[2].partition("\n## ")[0]
    return [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
