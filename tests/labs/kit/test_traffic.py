"""The clients: what they refuse, and that the same seed sends the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.kit.traffic import Traffic
from probes.errors import WrongUsage


@pytest.mark.parametrize(
    ("option", "value"), [("clients", 0), ("clients", 10_001), ("messages", 0), ("size", 0), ("size", 1 << 40), ("gap_ms", -1)]
)
def test_out_of_range_is_refused_with_the_range(option: str, value: float) -> None:
    with pytest.raises(WrongUsage, match=f"--{option.replace('_', '-')} .* is out of range") as error:
        Traffic(**{option: value})  # type: ignore[arg-type]
    assert "from" in error.value.remedy


@given(st.integers(1, 9), st.integers(1, 99), st.integers(1, 10**6))
def test_bytes_are_the_product(clients: int, messages: int, size: int) -> None:
    assert Traffic(clients, messages, size).bytes == clients * messages * size


def test_one_of_each_is_said_in_the_singular() -> None:
    assert Traffic(1, 1, 1, 0).words == "1 client, 1 message of 1 B, 0 ms apart"
