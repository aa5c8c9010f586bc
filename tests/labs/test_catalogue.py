"""The catalogue checks itself: a lab without server, docstring, claims, recording or test fails here, with words that help."""

from __future__ import annotations

import importlib

import pytest

import labs
from labs.claims import CLAIMS
from probes.errors import WrongUsage
from servers.__main__ import models
from tests.conftest import DATA


@pytest.mark.parametrize("name", labs.names())
def test_a_lab_is_whole(name: str) -> None:
    module = importlib.import_module(f"labs.{name}")
    lab = labs.find(name)
    assert module.__doc__ and len(module.__doc__) > 40, f"labs/{name}.py: open with what it asks and shows"
    assert bool(lab.server) != bool(lab.experiment), f"labs/{name}.py: a lab has either a server or an experiment"
    assert lab.experiment or lab.server in models(), f"labs/{name}.py: there is no servers/{lab.server}.py"
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


@pytest.mark.parametrize("name", models())
def test_a_server_has_a_lab(name: str) -> None:
    assert name in {labs.find(lab).server for lab in labs.names()}, (
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
    assert list(CLAIMS) == [f"C{number:02}" for number in range(1, 48)]
    for claim in CLAIMS.values():
        assert claim.chapter and claim.text.endswith(".")


def test_an_unknown_lab_is_answered_with_the_nearest() -> None:
    with pytest.raises(WrongUsage, match="did you mean epoll"):
        labs.find("epol")
    with pytest.raises(WrongUsage, match="there is no lab"):
        labs.find("kit")
