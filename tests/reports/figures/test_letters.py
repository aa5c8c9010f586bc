"""Text in a figure: each line fits its room, and only a word that is wider than the room is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reports.figures.letters import cut, width, wrapped

WORDS = st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9), max_size=12)


@given(WORDS, st.integers(60, 300), st.booleans())
def test_no_line_is_wider_than_its_room_and_no_word_is_lost(words: list[str], room: int, bold: bool) -> None:
    lines = wrapped(" ".join(words), 10, room, bold)
    assert all(width(line, 10, bold) <= room for line in lines)
    if all(width(word, 10, bold) <= room for word in words):
        assert " ".join(lines).split() == words


def test_a_word_that_is_wider_than_the_room_is_cut() -> None:
    assert wrapped("a epoll_wait b", 10, 40) == ["a", "epoll_...", "b"]
    assert wrapped("", 10, 40) == []


def test_bold_and_large_letters_are_wider() -> None:
    assert width("epoll", 10) < width("epoll", 10, bold=True) < width("epoll", 12, bold=True)
    assert width("ü", 10) >= width("u", 10), "an unknown letter has no less room than a known one"


def test_a_text_that_fits_is_not_cut() -> None:
    assert cut("read", 10, width("read", 10)) == "read"
    assert cut("read", 10, width("read", 10) - 0.1).endswith("...")
