"""The options of show that narrow the report, as a user types them."""

from __future__ import annotations

import json

import pytest

from tests.conftest import DATA, iolab

RECORDING = str(DATA / "lock_in_loop.iolab")


def test_one_recording_answers_many_questions() -> None:
    shown = iolab("show", RECORDING, "--brief", "--thread", "python*", "--calls", "epoll_wait, futex", "--fd", "")
    assert shown.returncode == 0 and "only thread python*, call epoll_wait or futex" in " ".join(shown.stdout.split())
    found = json.loads(iolab("show", RECORDING, "--json", "--calls", "fut*", "--slowest", "2").stdout)
    assert [row["name"] for row in found["calls"]] == ["futex"] and len(found["slowest"]["calls"]) == 2


@pytest.mark.parametrize("options", [("--fd", "five"), ("--slowest", "some")])
def test_a_text_that_is_no_number_is_wrong_usage(options: tuple[str, str]) -> None:
    done = iolab("show", RECORDING, *options)
    assert done.returncode == 2 and f"{' '.join(options)} is not a number" in done.stderr
