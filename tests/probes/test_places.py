"""Where a path leads: links that others made or can exchange are not followed, and bad places are refused in words."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.probes.owners import CALLER, NOBODY, as_root, link, made, refused
from tests.probes.writing import write


def test_a_link_is_followed_and_the_mode_kept(tmp_path: Path) -> None:
    target, name = tmp_path / "answer", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    name.symlink_to(target)
    write(name)
    assert name.is_symlink() and target.read_text() == "new" and stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_dangling_link_of_ours_makes_its_target(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub/../sub//./answer")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "sub" / "answer").read_text() == "new"


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_of_another_user_is_not_followed(folder: Path, mode: int, dangling: bool) -> None:
    target, crowd = folder / "secret", folder / "crowd"
    if not dangling:
        made(target)
    crowd.mkdir()
    crowd.chmod(mode)
    link(crowd / "answer", target, NOBODY)
    refused(crowd / "answer", "'answer' is a symbolic link under the control of nobody")
    assert not target.exists() if dangling else target.read_text() == "old"


@as_root
def test_a_folder_behind_another_users_link_is_not_entered(folder: Path) -> None:
    (folder / "mine").mkdir()
    link(folder / "link", folder / "mine", NOBODY)
    refused(folder / "link" / "answer", "symbolic link under the control of nobody")
    assert not list((folder / "mine").iterdir())


@as_root
def test_a_link_of_ours_in_another_users_folder_is_not_followed(folder: Path) -> None:
    target = made(folder / "secret")
    (folder / "theirs").mkdir()
    os.chown(folder / "theirs", NOBODY, NOBODY)
    (folder / "theirs" / "answer").symlink_to(target)  # its owner can rename it to the name that the command line gives
    refused(folder / "theirs" / "answer", "symbolic link under the control of nobody")


@as_root
@pytest.mark.parametrize(
    ("mode", "group", "followed"), [(0o777, 0, False), (0o775, 77, False), (0o775, 0, True), (0o1777, 0, True)]
)
def test_a_link_of_ours_where_others_can_exchange_it(folder: Path, mode: int, group: int, followed: bool) -> None:
    target, crowd = made(folder / "secret"), folder / "crowd"
    crowd.mkdir()
    os.chown(crowd, 0, group)
    crowd.chmod(mode)
    (crowd / "answer").symlink_to(target)
    if followed:
        write(crowd / "answer")
    else:
        refused(crowd / "answer", "in a folder where other users can exchange it")
    assert target.read_text() == ("new" if followed else "old")


@as_root
@pytest.mark.usefixtures("sudo")
def test_the_callers_link_in_the_callers_folder_is_followed(folder: Path) -> None:
    os.chown(folder, CALLER, CALLER + 1)
    folder.chmod(0o775)
    target = made(folder / "real", CALLER)
    write(link(folder / "answer", target, CALLER))
    assert target.read_text() == "new" and (folder / "answer").is_symlink()


@pytest.mark.parametrize("links", [{"a": "b", "b": "a"}, {"a": "a"}, {"a": "a/x"}])
def test_links_in_a_circle_are_refused(tmp_path: Path, links: dict[str, str]) -> None:
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    refused(tmp_path / "a", "Too many levels of symbolic links.*\n.*circle")


@pytest.mark.parametrize(
    "path", ["/etc/passwd/x", ".", "..", "/", "/nowhere/x", "x" * 300, "tests/", "tests/..", "nowhere/", ""]
)
def test_a_bad_place_is_refused_in_words(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    refused(path, "can't write")


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        refused("socket", "it is a socket")
