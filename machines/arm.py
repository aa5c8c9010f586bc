"""An arm64 Debian to test iolab on: a root of that architecture, made once and kept in the cache.

None of its packages is configured or run on this machine. apt resolves the packages for an empty machine, and they are only
unpacked, which is enough for Python and BCC. Our pinned packages come from PyPI as wheels for that architecture.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

from machines import debian
from machines.guest import Share

KERNEL = "6.12"  # the root is of the same suite
LABS = ("blocking", "epoll", "poll")  # each lab takes a minute under emulation; --labs chooses other labs
_PACKAGES = (
    "base-files", "base-passwd", "coreutils", "dash", "kmod", "python3", "python3-venv", "python3-bpfcc",
)  # fmt: skip


def chosen(simulated: str) -> list[str]:
    r"""The packages that `apt-get --simulate install` said it would install.

    >>> chosen("Inst libc6 (2.41-12 Debian:13/stable [arm64])\nConf libc6 (2.41-12 Debian:13/stable [arm64])\n")
    ['libc6']
    """
    return re.findall(r"^Inst (\S+)", simulated, re.MULTILINE)


def place(checkout: Path, progress: Callable[[str], None]) -> tuple[Share, ...]:
    """What the guest sees: the arm64 root, the checkout at its own path, and an arm64 .venv in it."""
    root = debian.cache() / f"{debian.SUITES[KERNEL]}-arm64-root"
    with debian.alone(root.with_suffix(".lock")):
        if not root.exists():
            progress("unpacking an arm64 Debian; this happens once")
            _fill_root(root)
    pins = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["dependencies"]
    digest = hashlib.sha256(" ".join(pins).encode()).hexdigest()[:12]
    venv = debian.cache() / f"arm64-venv-{digest}"
    with debian.alone(venv.with_suffix(".lock")):
        if not venv.exists():
            progress("fetching our pinned packages for arm64")
            _fill_venv(venv, next((root / "usr/bin").glob("python3.[0-9]*")).name, pins)
    return (Share(str(root), "/"), Share(str(checkout), str(checkout)), Share(str(venv), str(checkout / ".venv")))


def _fill_root(root: Path) -> None:
    suite = debian.Suite(debian.SUITES[KERNEL], "arm64")
    suite.update()
    packages = chosen(suite.simulate(_PACKAGES))
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="unpack-") as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        suite.unpack(packages, tree, first="base-files")  # this package has the links /bin -> usr/bin, /lib -> usr/lib
        masters = tree / "usr/share/base-passwd"
        for name in ("passwd", "group"):
            shutil.copy(masters / f"{name}.master", tree / "etc" / name)
        tree.rename(root)


def _fill_venv(venv: Path, python: str, pins: list[str]) -> None:
    """What `python -m venv --system-site-packages` and pip would make on that machine."""
    with tempfile.TemporaryDirectory(dir=venv.parent, prefix="unpack-") as folder:
        tree = Path(folder, "venv")
        (tree / "bin").mkdir(parents=True)
        (tree / "bin/python").symlink_to(f"/usr/bin/{python}")
        (tree / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
        debian.run(
            sys.executable, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
            "--no-deps", "--no-compile",
            "--only-binary=:all:", "--platform", "manylinux2014_aarch64", "--platform", "manylinux_2_28_aarch64",
            "--python-version", python.removeprefix("python"), "--target", str(tree / "lib" / python / "site-packages"), *pins,
            remedy="see that pip reaches PyPI from here, and try again",
        )  # fmt: skip
        tree.rename(venv)
