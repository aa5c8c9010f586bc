"""The clients: wrong options are refused, and the same seed sends the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs.kit.traffic import SLOW, Traffic
from probes.errors import WrongUsage
from runs.clients import message


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


def test_a_datagram_has_a_largest_size() -> None:
    assert Traffic(size=65_507, udp=True).size == 65_507
    with pytest.raises(WrongUsage, match="--size 65508 is out of range"):
        Traffic(size=65_508, udp=True)


def test_the_words_name_the_additional_clients() -> None:
    assert "silent for 400 ms" in Traffic(silent_ms=400).words and "floods for 80 ms" in Traffic(flood_ms=80).words
    assert "reads nothing for 150 ms" in Traffic(late_ms=150).words
    assert "23 datagrams" in Traffic(udp=True).words and "the requests of 1 client take long" in Traffic(slow=1).words


@given(st.binary(min_size=1, max_size=50), st.integers(0, 99), st.booleans())
def test_only_a_slow_message_begins_as_one(payload: bytes, number: int, slow: bool) -> None:
    made = message(payload, number, slow)
    assert len(made) == len(payload) and (made[:1] == SLOW) == slow


def test_one_of_each_is_said_in_the_singular() -> None:
    assert Traffic(1, 1, 1, 0).words == "1 client, 1 message of 1 B, 0 ms apart"
