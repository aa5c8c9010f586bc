"""The bounds of a recording's JSON: a text that is too large is refused before it fills the memory."""

from __future__ import annotations

import pytest

from probes import bounds
from probes.bounds import Texts, too_dense


def test_a_text_within_the_bounds_is_read() -> None:
    assert Texts().read(b'{"a": [1, 2.5, null], "b": "x"}') == {"a": [1, 2.5, None], "b": "x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'[{"b": {"a": 1, "a": 1}}]', "a key stands twice"),
        (b"[NaN]", "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1,", "Expecting value"),
    ],
)
def test_what_json_does_not_allow_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Texts().read(text)


def test_the_texts_of_one_file_keep_to_the_bounds_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "JSON", 30)
    texts = Texts()
    texts.read(b'["0123456789"]')
    texts.read(b'["0123456789"]')
    with pytest.raises(ValueError, match="too large"):
        texts.read(b"[1]")


def test_many_values_in_few_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "VALUES", 4)
    assert Texts().read(b"[1,2,3,4]") == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="too large"):
        Texts().read(b"[[],[],[]]")


def test_a_deep_text_is_an_error_and_no_crash() -> None:
    with pytest.raises(RecursionError):
        Texts().read(b"[" * 100_000 + b"]" * 100_000)


def test_only_large_records_are_too_dense() -> None:
    assert not too_dense(bounds.SMALL, 1)
    assert too_dense(bounds.SMALL + 1, 1)
    assert not too_dense(bounds.DENSEST << 20, 1 << 20)
    assert too_dense((bounds.DENSEST << 20) + 1, 1 << 20)
