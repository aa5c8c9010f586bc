"""A file is written whole or not at all; devices, links and other users' files do not change."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes import files
from probes.errors import WrongUsage
from tests.conftest import ROOT
from tests.probes.owners import CALLER, NOBODY, STRANGER, as_root, as_user, made, owner, refused
from tests.probes.writing import write


def test_it_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "answer"
    with files.whole(str(target)) as file:
        file.write("half")
        assert not target.exists()
    assert target.read_text() == "half" and list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "answer"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.whole(str(target)) as file:
        file.write("new")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    files.check(str(tmp_path / "answer"))
    assert not list(tmp_path.iterdir())


def test_a_new_file_has_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "answer")
    finally:
        os.umask(before)
    assert owner(tmp_path / "answer")[2] == 0o640


# Owners


@as_root
@pytest.mark.usefixtures("sudo")
def test_a_new_file_belongs_to_the_caller_of_sudo(folder: Path) -> None:
    write(folder / "answer")
    assert owner(folder / "answer") == (CALLER, CALLER + 1, 0o644)


@as_root
@pytest.mark.usefixtures("sudo")
def test_a_new_folder_belongs_to_the_caller_of_sudo(folder: Path) -> None:
    files.make_folder(str(folder / "a" / "b"))
    files.make_folder(str(folder / "a" / "b"))
    assert owner(folder / "a")[:2] == owner(folder / "a" / "b")[:2] == (CALLER, CALLER + 1)
    with pytest.raises(WrongUsage, match="Not a directory"):
        files.make_folder(str(made(folder / "file")))


@as_root
@pytest.mark.usefixtures("sudo")
def test_a_set_group_id_folder_gives_its_group(folder: Path) -> None:
    os.chown(folder, CALLER, 77)
    folder.chmod(0o2755)
    write(folder / "answer")
    assert owner(folder / "answer")[:2] == (CALLER, 77)


@as_root
@pytest.mark.parametrize("value", ["", "-1", "x", "4294967295", "99999999999", "²", "1 "])
def test_a_senseless_SUDO_UID_counts_as_none(folder: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", value)
    monkeypatch.setenv("SUDO_GID", "4711")
    write(folder / "answer")
    assert owner(folder / "answer")[:2] == (0, 0)


@as_root
@pytest.mark.usefixtures("sudo")
def test_SUDO_UID_says_nothing_to_another_user(folder: Path) -> None:
    folder.chmod(0o777)
    as_user(NOBODY, lambda: write(folder / "answer"))
    assert owner(folder / "answer")[:2] == (NOBODY, NOBODY)


@as_root
@pytest.mark.parametrize("named", [False, True])
def test_an_existing_file_keeps_owner_group_and_mode(folder: Path, named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if named:
        monkeypatch.delattr(os, "O_TMPFILE")  # as on a file system without it
    target = made(folder / "answer", CALLER, 0o600, CALLER + 7)
    number = target.stat().st_ino
    write(target)
    assert owner(target) == (CALLER, CALLER + 7, 0o600) and target.read_text() == "new" and target.stat().st_ino != number
    assert list(folder.iterdir()) == [target]


_NO_ID = 2**32 - 1
_ACL = struct.pack("<I", 2) + b"".join(  # acl(5): owner rw, user 4711 rw, group none, mask rw, others none
    struct.pack("<HHI", *entry) for entry in ((1, 6, _NO_ID), (2, 6, 4711), (4, 0, _NO_ID), (16, 6, _NO_ID), (32, 0, _NO_ID))
)


def test_an_existing_file_keeps_its_acl_and_user_attributes(tmp_path: Path) -> None:
    target = made(tmp_path / "answer")
    try:
        os.setxattr(target, "system.posix_acl_access", _ACL)
        os.setxattr(target, "user.note", b"mine")
    except OSError as error:
        pytest.skip(f"no ACL in {tmp_path}: {error.strerror}; to make it run: a TMPDIR on ext4, xfs or btrfs")
    write(target)
    assert os.getxattr(target, "system.posix_acl_access") == _ACL and os.getxattr(target, "user.note") == b"mine"


def test_a_folders_default_acl_gives_nobody_an_existing_file(tmp_path: Path) -> None:
    target = made(tmp_path / "answer", mode=0o660)
    try:
        os.setxattr(tmp_path, "system.posix_acl_default", _ACL)
    except OSError as error:
        pytest.skip(f"no ACL in {tmp_path}: {error.strerror}; to make it run: a TMPDIR on ext4, xfs or btrfs")
    write(target)
    assert "system.posix_acl_access" not in os.listxattr(target) and owner(target)[2] == 0o660


@as_root
def test_an_own_file_in_a_folder_that_takes_no_new_name(folder: Path) -> None:
    target = made(folder / "answer", NOBODY, 0o600)

    def written() -> None:
        assert "only overwritten" in files.check(str(target))
        with pytest.raises(RuntimeError), files.whole(str(target)) as file:
            file.write("broken")
            raise RuntimeError
        assert target.read_text() == "old"
        write(target, "a longer text")
        write(target)

    as_user(NOBODY, written)
    assert target.read_text() == "new" and owner(target) == (NOBODY, NOBODY, 0o600)


@as_root
def test_a_file_whose_owner_we_can_t_keep_is_overwritten(folder: Path) -> None:
    folder.chmod(0o777)
    target = made(folder / "answer", 0, 0o666)
    as_user(NOBODY, lambda: write(target))
    assert target.read_text() == "new" and owner(target) == (0, 0, 0o666)


@as_root
def test_what_a_user_may_not_write_is_refused(folder: Path) -> None:
    target = made(folder / "answer")
    as_user(NOBODY, lambda: refused(target, "Permission denied"))
    as_user(NOBODY, lambda: refused(folder / "other", "Permission denied"))
    folder.chmod(0o777)
    as_user(NOBODY, lambda: refused(target, "Permission denied"))


# Files that others laid out


@as_root
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_another_users_file_where_everybody_can_write_is_refused(folder: Path, kind: str) -> None:
    folder.chmod(0o1777)
    target = folder / "answer"
    if kind == "pipe":
        os.mkfifo(target)
        os.chown(target, NOBODY, NOBODY)
    else:
        made(target, NOBODY, 0o666)
    refused(target, "belongs to nobody, in a folder where other users can write")


@as_root
def test_another_users_file_in_that_users_folder_is_replaced_and_stays_theirs(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    target = made(folder / "answer", NOBODY, 0o600)
    write(target)
    assert target.read_text() == "new" and owner(target) == (NOBODY, NOBODY, 0o600)


def test_a_hard_link_keeps_the_old_content(tmp_path: Path) -> None:
    target, other = made(tmp_path / "answer", os.geteuid()), tmp_path / "other"
    other.hardlink_to(target)
    write(target)
    assert target.read_text() == "new" and other.read_text() == "old"


# What can't be replaced


@contextlib.contextmanager
def mounted(source: Path | str, target: Path, kind: str = "", options: str = "", flags: int = 0) -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(str(source).encode(), str(target).encode(), kind.encode() or None, flags, options.encode() or None):
        pytest.skip(f"mount: {os.strerror(ctypes.get_errno())}; to make it run: root with CAP_SYS_ADMIN")
    try:
        yield
    finally:
        assert libc.umount2(str(target).encode(), 0) == 0


_BIND, _READ_ONLY = 4096, 1


@as_root
def test_a_bind_mounted_file_is_overwritten_at_the_end(folder: Path) -> None:
    source, target = made(folder / "source", CALLER, 0o600), made(folder / "answer")
    with mounted(source, target, flags=_BIND):
        assert "only overwritten" in files.check(str(target))
        with files.whole(str(target)) as file:
            file.write("nw")
            file.flush()
            assert target.read_text() == "old"
        assert target.read_text() == "nw"
    assert source.read_text() == "nw" and owner(source) == (CALLER, CALLER, 0o600) and target.read_text() == "old"


@as_root
def test_a_file_that_is_mounted_over_during_the_work_is_overwritten(folder: Path) -> None:
    source, target = made(folder / "source"), made(folder / "answer")
    with contextlib.ExitStack() as held:
        with files.whole(str(target)) as file:
            file.write("new")
            held.enter_context(mounted(source, target, flags=_BIND))
        assert {entry.name for entry in folder.iterdir()} == {"source", "answer"}
    assert target.read_text() == "new"


@as_root
def test_hard_links_where_others_can_write_are_not_overwritten(folder: Path) -> None:
    secret, crowd = made(folder / "secret"), folder / "crowd"
    crowd.mkdir()
    os.chown(crowd, NOBODY, NOBODY)
    (crowd / "answer").hardlink_to(secret)
    with mounted(secret, crowd / "answer", flags=_BIND):
        refused(crowd / "answer", "several names")
    assert secret.read_text() == "old"


@as_root
def test_a_read_only_file_system_is_named(folder: Path) -> None:
    with mounted("tmpfs", folder, "tmpfs", flags=_READ_ONLY):
        refused(folder / "answer", "Read-only file system.*\n.*another file system")


@as_root
def test_a_full_file_system_leaves_the_old_file(folder: Path) -> None:
    with mounted("tmpfs", folder, "tmpfs", "size=64k"):
        target = made(folder / "answer")
        for path in (target, folder / "other"):
            with pytest.raises(WrongUsage, match=r"No space left.*\n.*make room"), files.whole(str(path)) as file:
                file.write("x" * 1_000_000)
        assert target.read_text() == "old" and list(folder.iterdir()) == [target]


def test_a_file_size_limit_leaves_the_old_file(tmp_path: Path) -> None:
    target, (soft, hard) = made(tmp_path / "answer", os.geteuid()), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(WrongUsage, match="File too large"), files.whole(str(target)) as file:
            file.write("x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


# Devices, pipes, descriptors


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write(fifo, "through")
    assert os.read(reader, 100) == b"through" and stat.S_ISFIFO(fifo.stat().st_mode)
    os.close(reader)


def test_dev_null_stays_a_device() -> None:
    write("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_full_disk_is_named() -> None:
    with pytest.raises(WrongUsage, match=r"No space left.*\n.*make room"), files.whole("/dev/full") as file:
        file.write("x" * 100_000)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/../proc/thread-self/../../fd/1"])
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_the_output_is_written_to_where_it_stands(tmp_path: Path, name: str, kind: str) -> None:
    written = f"from tests.probes.writing import write; write({name!r}, 'new')"
    code = f"import os; os.write(1, b'first '); {written}; os.write(1, b' last')"
    if kind == "pipe":
        out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    else:
        with (tmp_path / "out").open("w") as file:
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=file, check=True)
        out = (tmp_path / "out").read_bytes()
    assert out == b"first new last"


def test_a_descriptor_that_no_user_gave_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "own").open("w") as own, (tmp_path / "own").open() as reading:
        refused(f"/dev/fd/{own.fileno()}", "not open for writing")
        os.set_inheritable(reading.fileno(), True)
        refused(f"/dev/fd/{reading.fileno()}", "not open for writing")
    refused("/dev/fd/1000000", "No such file")


# What a kill leaves


def killed_run(target: Path, named: bool) -> None:
    """A run that is killed while its file is half written."""
    code = (
        f"import os, signal; {'del os.O_TMPFILE' if named else ''}\n"
        "from probes import files\n"
        f"with files.whole({str(target)!r}) as file:\n"
        "    file.write('half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == -signal.SIGKILL


@pytest.mark.parametrize("exists", [False, True])
def test_a_kill_leaves_nothing(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "answer"
    if exists:
        made(target, os.geteuid())
    killed_run(target, named=False)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["old"] * exists


def test_what_a_kill_left_goes_with_the_next_run(tmp_path: Path) -> None:
    killed_run(tmp_path / "answer", named=True)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".iolab-")
    with (tmp_path / ".iolab-0123456789abcdef").open("w") as in_use, (tmp_path / ".iolab-mine").open("w"):
        fcntl.flock(in_use, fcntl.LOCK_EX)
        write(tmp_path / "other")
        assert {entry.name for entry in tmp_path.iterdir()} == {".iolab-0123456789abcdef", ".iolab-mine", "other"}


@as_root
def test_a_strangers_file_is_not_swept(folder: Path) -> None:
    folder.chmod(0o1777)
    made(folder / ".iolab-0123456789abcdef", STRANGER)
    write(folder / "answer")
    assert (folder / ".iolab-0123456789abcdef").exists()


def test_where_linkat_is_refused_the_file_is_copied(tmp_path: Path) -> None:
    path = str(tmp_path / "answer")
    code = f"from tests.probes.writing import write; write({path!r}); write({path!r}, 'newer')"
    linkat = {"x86_64": "265", "aarch64": "37"}[os.uname().machine]
    line = [sys.executable, "-m", "tests.refusing", linkat, "1", sys.executable, "-c", code]
    assert subprocess.run(line, cwd=ROOT).returncode == 0
    (target,) = tmp_path.iterdir()
    assert target.name == "answer" and target.read_text() == "newer" and owner(target)[2] == 0o644


def test_two_at_once_leave_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "answer"
    with files.whole(str(target)) as first:
        first.write("first")
        write(target, "second")
    assert target.read_text() == "first" and list(tmp_path.iterdir()) == [target]
