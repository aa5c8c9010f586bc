"""From 60 columns on, each page fits its screen: no line is wider, no word is broken, no figure is cut."""

from __future__ import annotations

import io
import re
import string
from collections.abc import Callable
from typing import IO

import pytest

from findings.rounds import Ranking, Spread
from machines.kernels import Trial
from probes.measure.result import Check, Verdict
from reports import catalogue, comparison
from reports import kernels as kernel_report
from reports.terminal import page
from reports.terminal.screen import printing
from runs import catalogue as entries
from runs import compare
from runs.catalogue import Capability, Machine
from runs.compare import Comparison, Crowd
from runs.rows import Round, row
from tests.conftest import DATA, measured, reported

WIDTHS = (60, 70, 80, 120)
WIDE = 400
RECORDINGS = sorted(path.relative_to(DATA) for path in DATA.rglob("*.iolab") if path.parent.name != "faults")


def words(text: str) -> set[str]:
    """The words of a page, without the picture, the lines of headings, and the punctuation around words."""
    if found := re.search(r"one message of [\d,]+ B, to scale", text):
        text = text[: found.start()] + text[found.end() :].partition("\n\n")[2]
    return {word.strip(string.punctuation + "─") for word in text.split()} - {""}


def fits(write: Callable[[IO[str]], None], monkeypatch: pytest.MonkeyPatch, *widths: int) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDE))
    write(wide := io.StringIO())
    whole = words(wide.getvalue())
    for width in widths:
        monkeypatch.setenv("COLUMNS", str(width))
        write(narrow := io.StringIO())
        lines = narrow.getvalue().splitlines()
        assert max(map(len, lines)) <= width, max(lines, key=len)
        assert not [line for line in lines if "…" in line], "a cell was cut"
        broken = words(narrow.getvalue()) - whole
        assert not broken, "broken words"


@pytest.mark.parametrize("name", RECORDINGS, ids=str)
def test_every_recording(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = reported(str(name).removesuffix(".iolab"))
    fits(lambda file: page.write(found, file, with_stacks=True), monkeypatch, *WIDTHS)


def test_the_stacks_are_one_more_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a page that fits with the stacks fits without."""
    found = reported("epoll")
    page.write(found, without := io.StringIO(), with_stacks=False)
    page.write(found, whole := io.StringIO(), with_stacks=True)
    head, _, rest = whole.getvalue().partition("kernel stacks")
    assert rest and without.getvalue().startswith(head.rpartition("\n\n")[0])
    assert rest.endswith(without.getvalue().partition("statements checked")[2])


def test_the_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = entries.all_claims()
    fits(lambda file: catalogue.write_labs(entries.all_labs(), file), monkeypatch, *WIDTHS)
    fits(lambda file: catalogue.write_claims(claims, file), monkeypatch, *WIDTHS)
    judged: dict[str, dict[str, Check]] = {}
    for support in (support for claim in claims for support in claim.supports):
        check = Check(support.name, (), Verdict.INCONCLUSIVE, "0 of 3 tracepoint:sched:sched_process_fork were seen")
        judged.setdefault(support.lab, {})[support.name] = check
    with_verdicts = entries.all_claims(judged)
    fits(lambda file: catalogue.write_claims(with_verdicts, file), monkeypatch, *WIDTHS)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("able", [True, False])
def test_doctor(width: int, able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Machine(
        capabilities=(
            Capability("probe: new connection", "yes", "measured, by tracepoint:sock:inet_sock_set_state", ""),
            Capability("kernel symbols", "limited", "/proc/kallsyms hides addresses", "sysctl kernel.kptr_restrict=0, as root"),
        ),
        can_trace=able,
        blocking=("kernel symbols",),
        labs=tuple(all_lab.name for all_lab in entries.all_labs()),
        lacking={"io_uring": "this machine refuses io_uring: kernel.io_uring_disabled is 2"},
    )
    fits(lambda file: catalogue.write_doctor(found, file), monkeypatch, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_comparison(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for name in ("blocking", "epoll", "select", "nonblocking", "posix_aio", "process_pool", "signal_driven", "threads"):
        rows.append(row(name, [Round(measured(name), 69, 123_000_000)]))
    medians = {"threads": 100_000, "select": 12_345_678, "epoll": 999}
    ranking = Ranking({model: Spread(ns, ns // 2, 3 * ns // 2) for model, ns in medians.items()})
    crowds = tuple(Crowd(number, ranking, ranking) for number in compare.CONNECTIONS)
    found = Comparison(compare.TRAFFIC, tuple(rows), crowds, missing={"io_uring": "this machine refuses io_uring"})
    fits(lambda file: comparison.write(found, file), monkeypatch, width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_kernels(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = []
    for release in ("5.10.0-38-amd64", "6.1.0-50-amd64", "6.12.117+deb13-amd64", "7.2.3+deb14-amd64"):
        trial = Trial(release, release, f"linux-image-{release} 1", "amd64")
        attached = {
            "name": "new connection",
            "attached": "tracepoint:sock:x",
            "quality": "unavailable",
            "reason": "",
            "hits": 1,
        }
        check = {"name": "asleep", "evidence": "0 of 3", "verdict": "failed"}
        run = {"kind": "lab", "name": "thundering_herd", "verdict": "inconclusive", "seconds": 9.0, "why": ""}
        trial.take(run | {"checks": [check], "probes": [attached]})
        trials.append(trial)
    fits(lambda file: kernel_report.write(trials, file), monkeypatch, width)


def test_a_figure_cut_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(file: IO[str]) -> None:
        with printing(file) as out:
            out.print("1,234,567.8 " * 3 + "a-word-that-is-longer-than-the-narrowest-of-all-screens-can-show-in-one-line-" * 2)

    with pytest.raises(AssertionError, match="broken words"):
        fits(write, monkeypatch, 60)
