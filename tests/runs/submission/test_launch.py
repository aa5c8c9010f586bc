"""What a submission starts: a program that exists, in a folder that can be copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.errors import WrongUsage
from runs.submission.launch import Launch, check_command, check_folder, with_slot


@pytest.mark.parametrize("command", ["sh", "server.py"])
def test_a_program_on_path_or_in_the_folder_is_found(command: str, tmp_path: Path) -> None:
    (tmp_path / "server.py").touch()
    check_command([command], str(tmp_path))


@pytest.mark.parametrize(
    ("command", "words"), [([], "no server to start"), (["no-such-program"], "no program 'no-such-program'")]
)
def test_a_command_that_can_not_start_is_refused(command: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=words):
        check_command(command, str(tmp_path))


def test_a_folder_counts_whole_pages_of_each_file(tmp_path: Path) -> None:
    check_folder(str(tmp_path))
    with (tmp_path / "data").open("wb") as file:
        file.truncate(64 << 20)  # a file with a hole: its copy in memory would have none
    check_folder(str(tmp_path))
    (tmp_path / "one_byte").write_bytes(b".")
    with pytest.raises(WrongUsage, match="more than 64 MB"):
        check_folder(str(tmp_path))


def test_a_missing_folder_and_a_file_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(WrongUsage, match="there is no folder"):
            check_folder(str(tmp_path / name))


def test_a_link_to_a_large_file_is_no_large_file(tmp_path: Path) -> None:
    folder = tmp_path / "submission"
    folder.mkdir()
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 30)
    (folder / "link").symlink_to(tmp_path / "large")
    check_folder(str(folder))


def test_another_slot_is_the_same_submission() -> None:
    launch = Launch(("./server",), "/srv", strict=True, hidden=("/rubric",))
    assert with_slot(launch, 3) == Launch(("./server",), "/srv", strict=True, hidden=("/rubric",), slot=3)
