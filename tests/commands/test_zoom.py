"""--timeline, --from and --to, as a user types them."""

from __future__ import annotations

import pytest

from tests.conftest import DATA, iolab

RECORDING = str(DATA / "blocking.iolab")


def test_the_timeline_of_a_recording_and_a_part_of_it() -> None:
    whole = iolab("show", RECORDING, "--timeline")
    assert whole.returncode == 0 and "the message of the picture" in whole.stdout and "system calls, in ms" not in whole.stdout
    part = iolab("show", RECORDING, "--from", "-5ms", "--to", "end")
    assert part.returncode == 0 and "(5.00 ms of 1.53 s)" in part.stdout


@pytest.mark.parametrize(
    "options", [("--from", "2s"), ("--from", "20ms", "--to", "10ms"), ("--to", "5"), ("--to=-1s", "--json")]
)
def test_a_bad_range_is_one_sentence_and_status_2(options: tuple[str, ...]) -> None:
    done = iolab("show", RECORDING, *options)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 2 and done.stderr.startswith("iolab: --")
