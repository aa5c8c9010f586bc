"""What BCC and the kernel say when they refuse, made a reason."""

from __future__ import annotations

import os

import pytest

from probes.capture.bpf import complaint, quiet


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", ""),
        ("\n \n", ""),
        ("bpf: Failed to load program: Operation not permitted\n\n", "Operation not permitted"),
        ("a warning\nlibbpf: failed to find BTF\n", "failed to find BTF"),
        ("x" * 500, "x" * 160),
    ],
)
def test_the_last_line_that_says_something_is_the_reason(said: str, reason: str) -> None:
    assert complaint(said) == reason


def test_what_is_printed_meanwhile_is_kept_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet() as said:
        os.write(1, b"from stdout ")
        os.write(2, b"from stderr")
    os.write(1, b"after")
    assert said == ["from stdout from stderr"]
    assert capfd.readouterr() == ("after", "")
