"""The catalogue checks itself: a lab without server, docstring, claims, recording or test fails here, with words that help."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import labs
import servers.mistakes
import servers.textbook
from labs.claims import CLAIMS, parse
from labs.kit.lab import CHAPTERS
from probes.errors import WrongUsage
from runs import compare
from servers.__main__ import find, models
from tests.conftest import DATA


@pytest.mark.parametrize("name", labs.names())
def test_a_lab_is_whole(name: str) -> None:
    module = importlib.import_module(f"labs.{name}")
    lab = labs.find(name)
    assert module.__doc__ and len(module.__doc__) > 40, f"labs/{name}.py: open with what it asks and shows"
    ways = [bool(lab.server), bool(lab.cases), bool(lab.experiment)]
    assert sum(ways) == 1, f"labs/{name}.py: a lab has a server, or cases, or an experiment"
    for case in lab.servers:
        assert find(case.server) or find(case.server, udp=True), f"labs/{name}.py: there is no server {case.server}"
    assert lab.chapter in CHAPTERS, f"labs/{name}.py: chapter is one of {', '.join(CHAPTERS)}"
    assert lab.question.endswith("?"), f"labs/{name}.py: a lab asks a question"
    assert lab.checks, f"labs/{name}.py: a lab without checks proves nothing"
    assert 2 <= len(lab.try_next) <= 3, f"labs/{name}.py: name two or three things to try next"
    for line in lab.try_next:
        command, _, why = line.partition("  ")
        assert command.startswith("invoke ") and why, f"labs/{name}.py: try_next is 'invoke ...  why', two blanks between"
    assert (DATA / f"{name}.iolab").exists(), f"./iolab lab {name} --save tests/data/{name}.iolab"
    for check, claims, function in lab.checks:
        assert function.__doc__, f"labs/{name}.py: {check!r} has no docstring"
        assert claims and set(claims) <= set(CLAIMS), f"labs/{name}.py: {check!r} names claims that labs/claims.py doesn't have"


def mistakes() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(servers.mistakes.__path__))


@pytest.mark.parametrize("name", mistakes())
def test_a_mistake_has_a_lab_that_runs_it(name: str) -> None:
    assert name in labs.names(), f"servers/mistakes/{name}.py is shown by no lab: write labs/{name}.py"
    shown = {case.server.partition(":")[0] for case in labs.find(name).servers}
    assert f"mistakes.{name}" in shown, f"labs/{name}.py runs no server of servers/mistakes/{name}.py"


@pytest.mark.parametrize("name", sorted(module.name for module in pkgutil.iter_modules(servers.textbook.__path__)))
def test_a_program_of_the_textbooks_is_run_broken_and_mended(name: str) -> None:
    shown = {case.server for case in labs.find("textbook").servers}
    assert {f"textbook.{name}:broken", f"textbook.{name}:mended"} <= shown, f"labs/textbook.py does not run both of {name}"


def test_every_claim_has_a_check() -> None:
    standing = {claim for name in labs.names() for claim in labs.find(name).claims}
    standing |= {claim for _name, claims, _function in compare.CHECKS for claim in claims}
    missing = sorted(set(CLAIMS) - standing)
    assert not missing, f"no check stands for {', '.join(missing)}: name them in a check's claims"


@pytest.mark.parametrize("name", models())
def test_a_server_has_a_lab(name: str) -> None:
    assert name in {case.server for lab in labs.names() for case in labs.find(lab).servers}, (
        f"servers/{name}.py is shown by no lab: write labs/{name}.py"
    )


@pytest.mark.parametrize("name", models())
def test_a_server_says_what_it_shows(name: str) -> None:
    module = importlib.import_module(f"servers.{name}")
    assert module.__doc__ and ("UNP" in module.__doc__ or "man " in module.__doc__), (
        f"servers/{name}.py: say what it shows and where it sleeps, with the source"
    )
    assert callable(module.serve), f"servers/{name}.py has no serve(listener)"


def test_every_claim_has_an_id_a_chapter_and_a_sentence() -> None:
    assert {f"C{number:02}" for number in range(1, 49)} <= set(CLAIMS)
    for claim in CLAIMS.values():
        assert claim.chapter and claim.text.endswith(".")


def test_two_claims_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="C01"):
        parse("Terms\nC01 One statement.\nC01 Another statement.")


def test_an_unknown_lab_is_answered_with_the_nearest() -> None:
    with pytest.raises(WrongUsage, match="did you mean epoll"):
        labs.find("epol")
    with pytest.raises(WrongUsage, match="there is no lab"):
        labs.find("kit")
