"""The words of the verdicts: one definition each, in the list of claims and in the docs."""

from __future__ import annotations

import io
import json

import pytest

from probes.measure.result import Check, Verdict
from reports import catalogue
from reports.terminal import checks
from reports.terminal.screen import printing
from reports.words import VERDICTS, definitions
from runs.catalogue import all_claims
from tests.conftest import ROOT


def plain(text: str) -> str:
    return " ".join(text.split())


def test_every_verdict_has_a_word_and_one_meaning() -> None:
    assert set(VERDICTS) == set(Verdict)
    for texts in ([words.word for words in VERDICTS.values()], [words.meaning for words in VERDICTS.values()]):
        assert len(set(texts)) == len(texts)
    assert VERDICTS[Verdict.UNAVAILABLE].word == "not shown here" and Verdict.UNAVAILABLE.value == "unavailable"


def test_the_list_of_claims_defines_each_word_once() -> None:
    file = io.StringIO()
    catalogue.write_claims(all_claims(), file)
    text = plain(file.getvalue())
    for words in VERDICTS.values():
        assert text.count(plain(f"{words.word} {words.meaning}")) == 1, words


def test_the_list_as_json_has_the_meanings_by_verdict() -> None:
    file = io.StringIO()
    catalogue.write_claims(all_claims(), file, json=True)
    assert json.loads(file.getvalue())["verdicts"] == {verdict: words.meaning for verdict, words in VERDICTS.items()}


@pytest.mark.parametrize("verdict", Verdict)
def test_the_docs_define_each_word(verdict: Verdict) -> None:
    word, meaning = VERDICTS[verdict]
    assert f"| *{word}* | {meaning} |" in (ROOT / "docs" / "instructors.md").read_text()


def report(*verdicts: Verdict) -> str:
    file = io.StringIO()
    with printing(file) as out:
        checks.show([Check(f"statement {number}", (), verdict, "1 figure") for number, verdict in enumerate(verdicts)], out)
    return file.getvalue()


def test_a_report_defines_what_it_uses_once_and_no_more() -> None:
    text = report(Verdict.REFINED, Verdict.CONFIRMED, Verdict.REFINED, Verdict.UNAVAILABLE)
    for verdict in (Verdict.REFINED, Verdict.UNAVAILABLE):
        assert plain(text).count(VERDICTS[verdict].meaning) == 1
    assert "unavailable" not in text and VERDICTS[Verdict.REFUTED].meaning not in plain(text)
    assert ": " not in report(Verdict.CONFIRMED), "confirmed needs no definition in a report"


def test_definitions_keep_their_order() -> None:
    assert [words.word for words in definitions({Verdict.FAILED, Verdict.CONFIRMED})] == ["confirmed", "failed"]
