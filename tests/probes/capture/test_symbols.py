"""Names of the kernel's functions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from probes.capture.symbols import Symbols, readable


def test_a_symbol_loses_the_endings_of_the_compiler() -> None:
    assert [readable(name) for name in ("do_epoll_wait", "do_epoll_wait.constprop.0", "")] == [
        "do_epoll_wait",
        "do_epoll_wait",
        "?",
    ]


@pytest.mark.live
def test_libbcc_and_python_find_the_same_names(kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """libbcc names nothing for a user who is not root, although the kernel would; there Python's own table counts."""
    lines = [line.split() for line in Path("/proc/kallsyms").read_text().splitlines()]
    named = Counter(words[0] for words in lines)  # several functions may have one address
    places = [int(words[0], 16) + 1 for words in lines if words[1] in "tT" and named[words[0]] == 1][500:40_000:500]
    symbols = Symbols()
    as_root = [symbols._look_up(place) for place in places]
    monkeypatch.setattr("os.getuid", lambda: 1000)
    assert [symbols._look_up(place) for place in places] == as_root and len(set(as_root)) > 20
    assert symbols.address("schedule") and symbols.name(symbols.address("schedule")) == "schedule"
    assert symbols.address("no_such_function_at_all") == 0


class _Counted(Symbols):
    def __init__(self) -> None:
        super().__init__()
        self.looked_up: list[int] = []

    def _look_up(self, address: int) -> str:
        self.looked_up.append(address)
        return "?"


@pytest.mark.live
def test_an_address_is_looked_up_once(kernel: None) -> None:
    """Thousands of stacks have a few hundred addresses."""
    symbols = _Counted()
    assert [symbols.name(address) for address in (1, 2, 1, 2, 1)] == ["?"] * 5
    assert symbols.looked_up == [1, 2]
