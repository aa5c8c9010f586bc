"""The kernel matrix: Debian's kernels, booted one after the other, and what iolab shows in each."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import platform
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machines import arm, debian, guest
from machines.debian import Progress
from probes import VERSION
from probes.errors import CannotTrace, LabBroken, WrongUsage
from probes.measure.result import worst

SCHEMA_VERSION = 2
SLOWER = 20  # the factor of every time limit in an emulated machine, which was 10 to 15 times slower on free cores
_PRELUDE_SECONDS, _LAB_SECONDS, _TEST_SECONDS = 900, 900, 7200  # bounds against a hang, not expectations
_NOT_TRIED = "it was interrupted before this kernel was booted"
ARCHITECTURES = {"amd64": "amd64", "x86_64": "amd64", "arm64": "arm64", "aarch64": "arm64"}


@dataclass
class Tried:
    """One lab in one kernel. `verdict`: pass, fail, inconclusive, cannot (the kernel lacks what it needs), broken."""

    verdict: str
    seconds: float
    why: str = ""
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The reason why the verdict is not pass, in one line."""
        wrong = [check for check in self.checks if check["verdict"] in ("failed", "inconclusive")]
        bad = [f"{check['name']}: {check['evidence']}" for check in wrong]
        return "; ".join([line for line in (" ".join(self.why.split()), *bad) if line])


@dataclass
class Tested:
    """One live test in one kernel. `outcome`, as pytest's: passed, failed or skipped."""

    outcome: str
    seconds: float
    why: str = ""


@dataclass
class Trial:
    """All results of one kernel."""

    kernel: str  # the name that the user gives: 6.1, newest
    release: str
    package: str
    arch: str
    boot_seconds: float = 0
    can_trace: bool = False
    doctor: list[dict[str, str]] = field(default_factory=list)
    doctor_seconds: float = 0
    probes: list[dict[str, Any]] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)  # probes.capture.cost.Cost, in this kernel
    labs: dict[str, Tried] = field(default_factory=dict)
    tests: dict[str, Tested] = field(default_factory=dict)
    chosen: str = ""  # the expression that chose the tests; "": all
    status: int | None = None  # the exit status of pytest; None: pytest did not end, or was not started
    broken: str = ""  # why a guest did not end as planned
    unfinished: str = ""  # why a part of the plan was not tried: a later trial can add it

    def take(self, answer: dict[str, Any]) -> str:
        """Keeps one answer of machines.inside; returns a few words about it."""
        if answer["kind"] == "doctor":
            self.can_trace, self.doctor, self.doctor_seconds = answer["can_trace"], answer["findings"], answer["seconds"]
            return "doctor: it can be traced" if self.can_trace else "doctor: it can't be traced"
        if answer["kind"] == "costs":
            self.costs = answer["costs"]
            return f"what a hook costs: {self.costs_words or answer['why']}"
        if answer["kind"] == "lab":
            tried = Tried(answer["verdict"], answer["seconds"], answer["why"], answer["checks"])
            self.labs[answer["name"]] = tried
            self.probes = self.probes or answer.get("probes", [])
            return f"lab {answer['name']}: {tried.verdict}" + (f" ({tried.words})" if tried.verdict != "pass" else "")
        if answer["kind"] == "test":
            tested = self.tests[answer["name"]] = Tested(answer["outcome"], answer["seconds"], answer["why"])
            words = " ".join(tested.why.split())[:200]
            return f"{answer['name'].removeprefix('tests/')}: {tested.outcome}" + (f" ({words})" if words else "")
        self.status = answer["status"]
        return f"live tests: {self.tests_words}"

    def times_a_tracepoint(self, kind: str) -> str:
        """What a hit of that kind of hook costs, as a multiple of a raw tracepoint's; "-": no figure."""
        ns = {cost["kind"]: cost["ns"] for cost in self.costs}
        point, own = ns.get("raw tracepoint"), ns.get(kind)
        return f"x{own / point:.1f}" if point and own else "-"

    @property
    def costs_words(self) -> str:
        """The kinds of hook that have a figure."""
        times = {cost["kind"]: self.times_a_tracepoint(cost["kind"]) for cost in self.costs[1:]}
        return ", ".join(f"{kind} {factor}" for kind, factor in times.items() if factor != "-")

    @property
    def untested(self) -> bool:
        """Whether pytest ended before all chosen live tests had run."""
        return bool(self.tests) and self.status is None

    @property
    def tests_words(self) -> str:
        """The live tests in numbers."""
        if not self.tests:
            return "-"
        found = Counter(test.outcome for test in self.tests.values())
        words = f"{found['passed']} passed, {found['failed']} failed, {found['skipped']} skipped"
        words += f" (of {self.chosen})" if self.chosen else ""
        return words + (" (not to the end)" if self.untested else "")

    @property
    def verdict(self) -> str:
        """pass, fail or inconclusive."""
        verdicts = {lab.verdict for lab in self.labs.values()}
        bad = any(test.outcome == "failed" for test in self.tests.values())
        bad |= self.status not in (0, 1, 5, None)  # 1 is for the tests that failed, 5 for an expression that chose none
        if "fail" in verdicts or bad or (self.doctor and not self.can_trace):
            return "fail"
        left = self.broken or self.unfinished or self.untested
        return "inconclusive" if left or verdicts & {"inconclusive", "broken"} else "pass"


def verdict(trials: Iterable[Trial]) -> str:
    """The worst verdict of all trials."""
    return worst(trial.verdict for trial in trials)


def names(only: str, arch: str) -> list[str]:
    """The kernels that --only names (kernels or suites, separated by commas; "": all kernels of the architecture)."""
    every = list(debian.SUITES) if arch == "amd64" else [arm.KERNEL]
    suites = {suite: name for name, suite in debian.SUITES.items()}
    chosen = [suites.get(kernel, kernel) for kernel in only.split(",")] if only else every
    for kernel in chosen:
        if kernel not in debian.SUITES:
            raise WrongUsage(f"there is no kernel {kernel!r} to boot", f"--only takes {', '.join(debian.SUITES)}")
    return list(dict.fromkeys(chosen))


def architecture(word: str) -> str:
    """Debian's name of the architecture that --arch names; "": the architecture of this machine."""
    mine = ARCHITECTURES.get(platform.machine(), "amd64")
    if word and word not in ARCHITECTURES:
        raise WrongUsage(f"there is no kernel for {word!r} to boot", "--arch takes amd64 or arm64")
    arch = ARCHITECTURES.get(word, mine)
    if arch == "amd64" != mine:  # an arm64 kernel gets a Debian of its own
        raise WrongUsage("an amd64 kernel would run over this machine's own files, which are arm64's", "leave --arch out")
    return arch


def to_run(labs: str, every: Sequence[str], arch: str) -> list[str]:
    """The labs that --labs names, separated by commas. 'none': no lab; "": `every` lab, on arm64 a few labs."""
    if labs == "none":
        return []
    return [lab for lab in labs.split(",") if lab] or list(every if arch == "amd64" else arm.LABS)


def to_test(tests: str, arch: str) -> str | None:
    """The expression of --tests ("": all tests), or None for 'none'. Raises WrongUsage on an architecture without pytest."""
    if tests == "none" or (arch == "arm64" and not tests):
        return None
    if arch == "arm64":
        raise WrongUsage("the arm64 machine has neither pytest nor a compiler", "leave --tests out: it runs doctor and labs")
    return tests


def matrix(
    trials: list[Trial],
    kernels: Sequence[str],
    arch: str,
    labs: Sequence[str],
    tests: str | None,
    *,
    at_once: int,
    refresh: bool,
    progress: Progress,
) -> None:
    """Tries every kernel, `at_once` of them at a time, and adds a Trial for each to `trials`. `tests`: an expression for
    pytest's -k ("": all), or None for none.

    Raises CannotTrace if this machine can't boot any kernel. A kernel that can't be fetched, or that breaks, is a Trial with
    that result. After an interrupt the machines end, and `trials` has the results until then.
    """
    guest.need_qemu(arch)
    fetched = _fetch(trials, kernels, arch, refresh, progress)
    new = [
        Trial(kernel.name, kernel.release, kernel.package, kernel.arch, chosen=tests or "", unfinished=_NOT_TRIED)
        for kernel in fetched
    ]
    trials += new
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        # An interrupt inside submit leaves a thread that the pool does not know, and does not wait for.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        futures = [pool.submit(_try, *pair, labs, tests, stop, progress) for pair in zip(fetched, new, strict=True)]
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(trials: list[Trial], kernels: Sequence[str], arch: str, refresh: bool, progress: Progress) -> list[debian.Kernel]:
    """The kernels' packages. Adds a Trial for each kernel without a package, and raises CannotTrace if no kernel has one."""
    fetched, missing = [], []
    for name in kernels:
        try:
            fetched.append(debian.fetch(name, arch, refresh, progress))
        except CannotTrace as error:  # the other kernels can be tried
            progress(f"{name}: {error}")
            missing.append((name, error))
    if not fetched:
        raise missing[0][1]
    trials += [
        Trial(name, name, "-", arch, unfinished=f"there is no package of it: {error.problem}") for name, error in missing
    ]
    return fetched


def _try(
    kernel: debian.Kernel, trial: Trial, labs: Sequence[str], tests: str | None, stop: threading.Event, progress: Progress
) -> None:
    """Boots the kernel for what the trial does not hold yet; once more after a machine broke, as long as each boot brings
    something new.
    """
    answers = 0
    while True:
        progress(f"{kernel.release}: booting")
        try:
            trial.boot_seconds = _boot(kernel, trial, labs, tests, stop, progress)
            trial.unfinished = ""
            return
        except LabBroken as error:
            progress(f"{kernel.release}: {error}")
            if stop.is_set():
                trial.unfinished = error.problem
                return
            trial.broken = "; ".join(filter(None, (trial.broken, error.problem)))
        except Exception as error:
            trial.unfinished = str(error)
            raise
        before, answers = answers, len(trial.labs) + len(trial.tests)
        if answers == before:  # the machine would break at the same place again
            trial.unfinished = ""
            return


def _boot(
    kernel: debian.Kernel, trial: Trial, labs: Sequence[str], tests: str | None, stop: threading.Event, progress: Progress
) -> float:
    """Boots one machine, runs the command, and returns the time of the boot. Raises LabBroken if the command does not end."""
    lines = bytearray()

    def hear(data: bytes) -> None:
        lines.extend(data)
        while b"\n" in lines:
            line, _, rest = bytes(lines).partition(b"\n")
            lines[:] = rest
            progress(f"{kernel.release}: {trial.take(json.loads(line))}")

    root = Path(__file__).resolve().parents[1]
    python = sys.executable if kernel.arch == "amd64" else str(root / ".venv/bin/python")
    left = [lab for lab in labs if lab not in trial.labs]
    plan = {"examine": not trial.doctor, "labs": left, "tests": tests, "reported": list(trial.tests)}
    ended = guest.run(
        kernel,
        [python, "-m", "machines.inside", json.dumps(plan)],
        seconds=_PRELUDE_SECONDS + _LAB_SECONDS * len(left) + (0 if tests is None else _TEST_SECONDS),
        directory=str(root),
        environment={"IOLAB_SLOW": str(SLOWER)} | guest.inherited(),
        shares=arm.place(root, progress) if kernel.arch == "arm64" else (),
        out=hear,
        stop=stop,
    )
    if ended.status:
        last = " | ".join(ended.err.splitlines()[-3:])
        raise LabBroken(f"what ran in the guest ended with status {ended.status}: {last}")
    return round(ended.boot_seconds, 1)


def as_data(trials: Sequence[Trial]) -> dict[str, Any]:
    """The report as --json writes it."""
    rows = [dataclasses.asdict(trial) | {"verdict": trial.verdict} for trial in trials]
    return {"schema_version": SCHEMA_VERSION, "iolab": VERSION, "verdict": verdict(trials), "kernels": rows}


def merged(trials: Iterable[Trial]) -> list[Trial]:
    """One trial for each kernel, the oldest kernel first. The labs, tests and findings of a later trial replace those of an
    earlier trial. If an earlier trial broke, the merged trial says so; if it was only unfinished, it does not.
    """
    found: dict[tuple[str, str], Trial] = {}
    for trial in trials:
        found.pop((trial.kernel, trial.arch), None)  # there was no package of it then
        before = found.get((trial.release, trial.arch))
        if before:
            kept = {
                name: getattr(trial, name) or getattr(before, name)
                for name in ("boot_seconds", "doctor", "doctor_seconds", "probes", "costs")
            }
            kept["can_trace"] = trial.can_trace if trial.doctor else before.can_trace
            kept["broken"] = "; ".join(filter(None, (before.broken, trial.broken)))
            kept |= _tests_of(before, trial)
            trial = dataclasses.replace(trial, labs=before.labs | trial.labs, **kept)
        found[trial.release, trial.arch] = trial
    order = list(debian.SUITES)
    return sorted(
        found.values(), key=lambda trial: (trial.arch, order.index(trial.kernel) if trial.kernel in order else len(order))
    )


def _tests_of(before: Trial, later: Trial) -> dict[str, Any]:
    """The fields about tests of two trials in one."""
    runs = [trial for trial in (before, later) if trial.tests or trial.status is not None]
    if runs and not runs[-1].chosen:  # the later one tried them all
        runs = runs[-1:]
    statuses = [run.status for run in runs if run.status is not None]
    return {
        "tests": before.tests | later.tests,
        "chosen": "" if any(not run.chosen for run in runs) else " or ".join(dict.fromkeys(run.chosen for run in runs)),
        "status": max(statuses) if statuses and len(statuses) == len(runs) else None,
    }


def load(path: str) -> list[Trial]:
    """The trials of an earlier report (--json --out FILE)."""
    try:
        data = json.loads(Path(path).read_text())
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {data['schema_version']}, not {SCHEMA_VERSION}")
        known = {field.name for field in dataclasses.fields(Trial)}
        trials = []
        for row in data["kernels"]:
            labs = {name: Tried(**lab) for name, lab in row["labs"].items()}
            tests = {name: Tested(**test) for name, test in row["tests"].items()}
            fields = {key: value for key, value in row.items() if key in known}
            trials.append(Trial(**fields | {"labs": labs, "tests": tests}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongUsage(
            f"{path} is not a result of this command ({error})", "--add takes files made by --json --out FILE"
        ) from error
    return trials
