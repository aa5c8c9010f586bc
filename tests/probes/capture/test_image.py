"""The compiled programs on disk: the file holds the compiled programs, and a file that others could have written is ignored."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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


def test_a_writer_that_was_killed_leaves_the_way_free(folder: Path) -> None:
    """The unfinished file of another writer is neither finished nor removed, even by a writer with the same process id."""
    unfinished = folder / f".{KEY}.{os.getpid()}"
    unfinished.write_bytes(b"half")
    keep()
    assert kept() == MADE and unfinished.read_bytes() == b"half"


def test_a_whole_file_that_makes_no_sense_is_no_image(folder: Path) -> None:
    """The checksum is right, but the contents are not those of an image: a map that is not there, a program that ends early."""
    enter = MADE.programs["on_enter"]
    nonsense = [
        replace(MADE, programs={"on_enter": replace(enter, maps=((2, "no such map"),))}),
        replace(MADE, programs={"on_enter": replace(enter, maps=((7, "threads"),))}),  # ld_imm64 takes two instructions
        replace(MADE, programs={"on_enter": replace(enter, maps=((-1, "threads"),))}),
        replace(MADE, programs={"on_enter": replace(enter, code=enter.code[:-1])}),
        replace(MADE, programs={"on_enter": replace(enter, code=b"", maps=())}),
        replace(MADE, maps=(replace(MADE.maps[0], key_size=-4), MADE.maps[1])),
    ]
    with image._folder() as descriptor:
        assert descriptor is not None
        for made in nonsense:
            image._write(descriptor, KEY, made)
            assert kept() is None, made
            (folder / KEY).unlink()


def test_an_image_under_another_key_is_no_image(folder: Path) -> None:
    keep()
    (folder / KEY).rename(folder / ("1" * 40))
    with image._folder() as descriptor:
        assert descriptor is not None and image._read(descriptor, "1" * 40) is None


def test_something_else_under_that_name_does_not_hold_up_a_start(folder: Path) -> None:
    os.mkfifo(folder / KEY, 0o600)  # to open it for reading would wait for a writer
    assert kept() is None
    (folder / KEY).unlink()
    (folder / KEY).mkdir()
    assert kept() is None


def test_a_folder_is_not_made_below_one_that_others_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("IOLAB_CACHE", str(tmp_path / "open" / "cache"))
    with image._folder() as descriptor:
        assert descriptor is None
    assert not (tmp_path / "open" / "cache").exists()


def test_the_key_changes_with_everything_that_the_programs_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    btf, library, kernel, notes = (tmp_path / name for name in ("vmlinux", "libbcc.so.0", "kernel", "notes"))
    kernel.mkdir()
    for path, content in ((btf, b"types"), (library, b"library"), (kernel / "fold.h", b"struct call;")):
        path.write_bytes(content)
    monkeypatch.setattr(image, "BTF", btf)
    monkeypatch.setattr(image, "NOTES", notes)
    monkeypatch.setattr(image, "_bcc_library", lambda: library)
    monkeypatch.setattr(image, "KERNEL", kernel)
    start = ("source", ["on_enter"], {"fentry": ["sock_poll"]})
    keys = [image._key(*start)]
    assert image._key(*start) == keys[0]
    keys.append(image._key("#define OFF_TASK_PID 1272\n", *start[1:]))
    keys.append(image._key("source", ["on_enter", "on_exit"], start[2]))
    keys.append(image._key("source", start[1], {"fentry": ["pipe_poll"]}))
    for path in (btf, library, kernel / "fold.h"):
        path.write_bytes(path.read_bytes() + b" changed")
        keys.append(image._key(*start))
    for build in (b"\1" * 20, b"\2" * 20):  # a kernel with a build id: its types follow from it
        notes.write_bytes(struct.pack("=3I", 4, 20, 3) + b"GNU\0" + build + b"other notes")
        keys.append(image._key(*start))
    btf.write_bytes(b"not looked at")
    assert image._key(*start) == keys[-1]
    for question in ("machine", "release"):
        monkeypatch.setattr(platform, question, lambda: "another")
        keys.append(image._key(*start))
    assert len(set(keys)) == len(keys)


def test_without_a_known_bcc_nothing_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the version of BCC is unknown, the programs are compiled at each start."""
    monkeypatch.setattr(image, "_bcc_library", lambda: None)
    monkeypatch.setattr(image, "_compile", lambda *_: MADE)
    monkeypatch.setattr(image, "_known", {})
    assert image.image("source", [], {}) == MADE
    assert not list(folder.iterdir())


def test_old_images_go_and_other_files_stay(folder: Path) -> None:
    """IOLAB_CACHE may name a folder that is used for something else, too."""
    (folder / "thesis.txt").touch()
    os.utime(folder / "thesis.txt", (0, 0))
    (folder / "letters").mkdir()
    os.utime(folder / "letters", (0, 0))
    for number in range(1, image._KEEP + 4):
        path = folder / f"{number:040}"
        path.touch()
        os.utime(path, (number, number))
    keep()
    left = {path.name for path in folder.iterdir()}
    assert {"thesis.txt", "letters", KEY} <= left
    assert len(left) == image._KEEP + 2 and f"{1:040}" not in left


_IN_A_THREAD = (
    "import threading; from probes.capture.instrument import Instrument\n"
    "thread = threading.Thread(target=lambda: Instrument().__exit__(None, None, None)); thread.start(); thread.join()"
)
_NAMES = (
    "import sys; from probes.capture.instrument import Instrument\n"
    "with Instrument() as one: print('bcc' in sys.modules, sorted(p.name for p in one.probes if p.attached))"
)
_TRACE = (*COMMAND, "trace", "--out", "/dev/null", "--", "true")


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.live
def test_parallel_starts_and_a_damaged_cache_do_no_harm_and_a_warm_start_needs_no_bcc(kernel: None, folder: Path) -> None:
    """Two starts compile at the same time, one of them in a thread. There malloc has an arena of its own, so BCC's module
    lies above 4 GB, as in a Python that is a PIE. A start with a damaged image compiles again; the next start needs neither
    clang nor an import of the module bcc. All is one test, because each compilation takes seconds of CPU time.
    """
    with ThreadPoolExecutor() as pool:
        thread = pool.submit(python, _IN_A_THREAD)
        assert subprocess.run(_TRACE, capture_output=True).returncode == 0
        assert (thread.result().returncode, thread.result().stderr) == (0, "")
    (kept_file,) = folder.iterdir()
    assert image._KEY.fullmatch(kept_file.name)
    whole = kept_file.read_bytes()
    kept_file.write_bytes(whole[:1000])
    cold = python(_NAMES)
    assert kept_file.read_bytes() == whole, "made again, and the same"
    warm = python(_NAMES)
    assert cold.returncode == warm.returncode == 0, cold.stderr + warm.stderr
    imported, attached = zip(*(done.stdout.split(" ", 1) for done in (cold, warm)), strict=True)
    assert imported == ("True", "False") and attached[0] == attached[1]


@pytest.mark.live
def test_where_nothing_can_be_kept_it_compiles(kernel: None) -> None:
    done = subprocess.run(_TRACE, capture_output=True, env=os.environ | {"IOLAB_CACHE": "/proc/nowhere"})
    assert done.returncode == 0
