"""Every shipped rubric is whole; a rubric with a mistake is refused, with the place and the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import grading
from probes.errors import WrongUsage
from runs.grading import criteria, rubric

SHIPPED = [model for model in criteria.models() if (rubric.FOLDER / f"{model.replace(':', '_')}.toml").exists()]


@pytest.mark.parametrize("model", SHIPPED)
def test_a_shipped_rubric_gives_100_points_and_every_trial(model: str) -> None:
    shipped = rubric.default(model)
    assert shipped.of == 100
    assert set(shipped.points) == set(criteria.BASIC)
    assert len(shipped.evidence) >= 2
    assert [criterion.id for criterion, _points in shipped.criteria][:2] == ["starts", "protocol"]


@pytest.mark.parametrize("model", SHIPPED)
def test_the_comments_of_a_shipped_rubric_are_the_statements(model: str) -> None:
    known = criteria.basic(model) | criteria.evidence(model)
    lines = (rubric.FOLDER / f"{model.replace(':', '_')}.toml").read_text().splitlines()
    for line in lines:
        name, _, statement = line.partition("#")
        if name.split(" = ")[-1].strip().isdigit() and name.split()[0] in known:
            assert statement.strip() == known[name.split()[0]].statement


def test_no_rubric_is_without_a_model() -> None:
    models = {model.replace(":", "_") for model in criteria.models()}
    assert {path.stem for path in rubric.FOLDER.glob("*.toml")} <= models | {"any"} and len(SHIPPED) >= 19


def test_a_model_without_a_rubric_of_its_own_has_the_one_for_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "any.toml").write_text((rubric.FOLDER / "any.toml").read_text())
    monkeypatch.setattr(rubric, "FOLDER", tmp_path)
    for_all = rubric.default("epoll")
    assert for_all.of == 100 and set(for_all.points) == set(criteria.BASIC) and not for_all.evidence


def test_the_help_names_every_model() -> None:
    assert grading.MODELS.split(", ") == [model for model in criteria.models() if ":" not in model]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 'select'", "is for model 'select', not for 'epoll'"),
        ("[points]\nstart = 4", "did you mean starts?"),
        ("[evidence]\none_tread = 4", "did you mean one_thread?"),
        ("[points]\nstarts = -1", "gives starts -1"),
        ("[points]\nstarts = true", "gives starts True"),
        ("[points]\nstarts = 1.5", "gives starts 1.5"),
        ("points = 3", r"has no table \[points\]"),
        ("pionts = 3", "did you mean points?"),
        ("clients = 0\n[points]\nstarts = 1", "gives clients 0"),
        ("protocol = 3\n[points]\nstarts = 1", "a protocol that is no text"),
        ("[points]\nstarts = 0", "has no points"),
        ("[points", "is no TOML"),
    ],
)
def test_a_mistake_in_a_rubric_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "rubric.toml"
    path.write_text(text)
    with pytest.raises(WrongUsage, match=words):
        rubric.load(path, "epoll")


def test_a_rubric_of_ones_own_needs_only_what_it_marks(tmp_path: Path) -> None:
    path = tmp_path / "rubric.toml"
    path.write_text("[points]\nstarts = 1\nreset = 2\n[evidence]\none_thread = 3\n")
    own = rubric.load(path, "epoll")
    assert [(criterion.id, points) for criterion, points in own.criteria] == [("starts", 1), ("one_thread", 3), ("reset", 2)]
    assert own.trials == ["reset"]


def test_a_model_that_is_none_is_named() -> None:
    with pytest.raises(WrongUsage, match="did you mean epoll"):
        rubric.default("epol")
    with pytest.raises(WrongUsage, match="not about one model"):
        rubric.default("files")
