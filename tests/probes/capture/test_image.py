"""The compiled programs on disk: what is kept is what was made, and nothing is believed that others could have written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from probes.capture import image
from probes.capture.image import Image, MapDefinition, Program
from tests.conftest import COMMAND, ROOT

MADE = Image(
    (MapDefinition("threads", 1, 4, 600, 16, 0), MapDefinition("records", 27, 0, 0, 4096, 0)),
    {"on_enter": Program(bytes(range(64)), ((2, "threads"),)), "on_exit": Program(bytes(8), ())},
)
KEY = "0" * 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the test's own, in a place that only this user can write."""
    if os.geteuid() != 0:
        pytest.skip("pytest's folders lie below a folder that others can write; to make it run: root, and /var/cache")
    path = Path("/var/cache") / f"iolab-test-{os.getpid()}"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("IOLAB_CACHE", str(path))
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


def kept() -> Image | None:
    with image._folder() as descriptor:
        return None if descriptor is None else image._read(descriptor, KEY)


def keep() -> None:
    with image._folder() as descriptor:
        assert descriptor is not None
        image._write(descriptor, KEY, MADE)


def test_what_is_kept_is_what_was_made(folder: Path) -> None:
    assert kept() is None
    keep()
    assert kept() == MADE
    assert [path.name for path in folder.iterdir()] == [KEY]


def test_a_maps_descriptor_goes_where_the_map_belongs() -> None:
    code = MADE.programs["on_enter"].with_maps({"threads": 77})
    assert code[20:24] == (77).to_bytes(4, "little") and code[:20] == bytes(range(20)) and code[24:] == bytes(range(24, 64))


def test_a_damaged_file_is_no_image(folder: Path) -> None:
    keep()
    whole = (folder / KEY).read_bytes()
    for at in range(0, len(whole), 7):
        (folder / KEY).write_bytes(whole[:at])
        assert kept() is None, f"cut at byte {at}"
        (folder / KEY).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert kept() is None, f"byte {at} changed"


def test_what_others_can_write_is_not_believed(folder: Path) -> None:
    keep()
    path = folder / KEY
    for mode in (0o620, 0o602):
        path.chmod(mode)
        assert kept() is None, "a file that others can write"
    path.chmod(0o600)
    for mode in (0o770, 0o707, 0o1777):
        folder.chmod(mode)
        assert kept() is None, "a folder that others can write"
    folder.chmod(0o700)
    os.chown(path, 65534, 65534)
    assert kept() is None, "another user's file"
    os.chown(path, 0, 0)
    os.chown(folder, 65534, 65534)
    assert kept() is None, "another user's folder"
    os.chown(folder, 0, 0)
    assert kept() == MADE


def test_links_are_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep()
    (folder / KEY).rename(folder / "elsewhere")
    (folder / KEY).symlink_to(folder / "elsewhere")
    assert kept() is None
    link = folder.with_name(folder.name + "-link")
    link.symlink_to(folder)
    try:
        monkeypatch.setenv("IOLAB_CACHE", str(link))
        with image._folder() as descriptor:
            assert descriptor is None
    finally:
        link.unlink()


def test_a_folder_below_one_that_others_can_write_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("IOLAB_CACHE", str(tmp_path / "open" / "cache"))
    with image._folder() as descriptor:
        assert descriptor is None


def test_the_key_changes_with_everything_that_the_programs_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("this kernel has no type information; to make it run: a kernel with CONFIG_DEBUG_INFO_BTF")
    keys = {image._key("source"), image._key("another source")}
    monkeypatch.setattr(image, "_bcc_version", lambda: "another BCC")
    keys.add(image._key("source"))
    assert len(keys) == 3


def test_old_images_go(folder: Path) -> None:
    for number in range(image._KEEP + 3):
        path = folder / f"{number:040}"
        path.touch()
        os.utime(path, (number, number))
    with image._folder() as descriptor:
        assert descriptor is not None
        image._forget_the_oldest(descriptor)
    assert len(list(folder.iterdir())) == image._KEEP


@pytest.mark.live
def test_starts_at_once_and_a_damaged_cache_harm_nobody(kernel: None, folder: Path) -> None:
    def start(_number: int) -> int:
        return subprocess.run([*COMMAND, "trace", "--out", "/dev/null", "--", "true"], capture_output=True).returncode

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(start, range(4))) == {0}
    (kept_file,) = folder.iterdir()
    whole = kept_file.read_bytes()
    kept_file.write_bytes(whole[:1000])
    assert start(0) == 0
    assert kept_file.read_bytes() == whole, "made again, and the same"


@pytest.mark.live
def test_a_warm_start_needs_no_bcc(kernel: None, folder: Path) -> None:
    """What was kept is loaded without clang: the module bcc is not even imported."""
    script = (
        "import sys; from probes.capture.instrument import Instrument\n"
        "with Instrument() as one: print('bcc' in sys.modules, sorted(p.name for p in one.probes if p.attached))"
    )
    cold, warm = (
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
            " ", 1
        )
        for _ in range(2)
    )
    assert (cold[0], warm[0]) == ("True", "False") and cold[1] == warm[1]


@pytest.mark.live
def test_where_nothing_can_be_kept_it_compiles(kernel: None) -> None:
    line = [*COMMAND, "trace", "--out", "/dev/null", "--", "true"]
    done = subprocess.run(line, capture_output=True, env=os.environ | {"IOLAB_CACHE": "/proc/nowhere"})
    assert done.returncode == 0
