"""What a container must print, and with which status it must end."""

from __future__ import annotations

import subprocess

import pytest

from machines.containers import Unmet, ended


def test_a_container_that_ends_otherwise_is_found_out() -> None:
    done = subprocess.CompletedProcess([], 3, "", "a reason\n")
    with pytest.raises(Unmet, match="ended with 3, not 0: a reason"):
        ended(done, 0)
    with pytest.raises(Unmet, match="did not print 'why'"):
        ended(done, 3, "why")
    assert ended(done, 3, "a reason") is done
