"""Debian's packages: the error of a failed program, the places of a kernel's files, and one process at a time in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from machines import debian
from machines.debian import Kernel
from probes.errors import CannotTrace


def test_the_last_lines_of_a_failed_program_are_in_the_error() -> None:
    program = "import sys; print('one\\n\\ntwo\\nthree\\n  four  ', file=sys.stderr); sys.exit(100)"
    with pytest.raises(CannotTrace, match=r"ended with status 100: two \| three \| four") as error:
        debian.run(sys.executable, "-c", program, remedy="try again")
    assert "try again" in str(error.value)
    with pytest.raises(CannotTrace, match="no-such-program is missing"):
        debian.run("no-such-program", remedy="")


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    debian.install({"sh": "dash"})
    with pytest.raises(CannotTrace) as error:
        debian.install({"no-such-b": "package-b", "no-such-a": "package-a", "sh": "dash"})
    assert "package-a and package-b must be installed" in str(error.value)
    assert "apt-get install --no-install-recommends package-a package-b" in str(error.value)


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert debian.cache("roots") == tmp_path / "iolab" / "roots"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/ada")
    assert debian.cache() == Path("/home/ada/.cache/iolab/kernels")


def test_an_image_is_in_boot_or_beside_its_modules(tmp_path: Path) -> None:
    kernel = Kernel("6.1", "6.1.0-50-amd64", "amd64", "linux-image 6.1", tmp_path)
    assert kernel.image == tmp_path / "lib/modules/6.1.0-50-amd64/vmlinuz"
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1.0-50-amd64").touch()
    assert kernel.image == tmp_path / "boot/vmlinuz-6.1.0-50-amd64"
    kernel.uncompressed.touch()
    assert kernel.image == tmp_path / "vmlinux"


def test_security_archives_have_no_kernel_of_a_suite() -> None:
    rows = "http://a/|Debian|Debian|sid\nhttp://b/|Debian|Debian-Security|sid\nhttp://a/|Debian|Debian|sid\nbroken\n"
    assert debian.mirrors(rows) == ["http://a/"]


def test_two_processes_do_not_fill_one_place(tmp_path: Path) -> None:
    lock = tmp_path / "suite" / "lock"
    with debian.alone(lock):
        taken = subprocess.run(["flock", "--nonblock", str(lock), "true"])
        assert taken.returncode == 1
    assert subprocess.run(["flock", "--nonblock", str(lock), "true"]).returncode == 0
