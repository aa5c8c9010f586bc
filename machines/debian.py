"""Debian's packages (kernels, an arm64 root, Docker), fetched by apt into iolab's own cache. The machine's own package state is
neither read nor changed.

Each suite has an apt state of its own, on the mirror that this machine's apt is configured for; apt verifies the archive's
signature and every package's checksum. Packages are found by the names that the suite's index gives, never by a version.
"""

from __future__ import annotations

import contextlib
import fcntl
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from probes.errors import CannotTrace

SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_XZ = b"\xfd7zXZ\0"  # the first bytes of an xz file
_KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
Progress = Callable[[str], None]  # takes a few words about the current step
_KERNEL_PARTS = re.compile(r"linux-(?:base|binary|image|modules)-\d\S*")  # one package until 6.12, then four


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel: `tree` holds its image and lib/modules/`release`, and a static busybox of the same architecture."""

    name: str  # as the user asks for it: 6.1, newest
    release: str  # as uname -r says it
    arch: str  # Debian's word: amd64, arm64
    package: str  # name and version of the image's package
    tree: Path

    @property
    def image(self) -> Path:
        """What QEMU boots."""
        if self.uncompressed.exists():
            return self.uncompressed
        return self.compressed

    @property
    def uncompressed(self) -> Path:
        """The kernel as an uncompressed ELF file. It exists if `fetch` could write it."""
        return self.tree / "vmlinux"

    @property
    def compressed(self) -> Path:
        """The compressed image in the Debian package."""
        beside = self.tree / "boot" / f"vmlinuz-{self.release}"
        return beside if beside.exists() else self.modules / "vmlinuz"

    @property
    def modules(self) -> Path:
        """The folder that the guest sees as /lib/modules/RELEASE."""
        return self.tree / "lib" / "modules" / self.release

    @property
    def busybox(self) -> Path:
        """The one program of the initramfs."""
        return next(path for path in (self.tree / "bin/busybox", self.tree / "usr/bin/busybox") if path.exists())


def cache(room: str = "kernels") -> Path:
    """The cache folder of that name: ~/.cache/iolab/NAME, or below $XDG_CACHE_HOME."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "iolab", room)


def last_words(text: str) -> str:
    """The last lines that a failed program printed, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-3:]) or "it printed no reason"


def run(*command: str, remedy: str, **options: object) -> str:
    """The output of the command. Raises CannotTrace with its last lines if it failed or doesn't exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    except FileNotFoundError:
        raise CannotTrace(f"{command[0]} is missing", remedy) from None
    if done.returncode:
        words = last_words(done.stderr.strip() or done.stdout)
        raise CannotTrace(f"{Path(command[0]).name} ended with status {done.returncode}: {words}", remedy)
    return str(done.stdout)


def install(packages: dict[str, str]) -> None:
    """Installs the missing ones of {program: package}, as root on Debian. Otherwise raises CannotTrace with their names."""
    missing = sorted({package for program, package in packages.items() if not _which(program)})
    if not missing:
        return
    remedy = f"sudo apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotTrace(f"to boot other kernels, {' and '.join(missing)} must be installed", remedy)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", remedy=remedy, env=quiet)
    run("apt-get", "install", "--yes", "--no-install-recommends", *missing, remedy=remedy, env=quiet)


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")  # users' PATH often lacks sbin


def mirrors(targets: str) -> list[str]:
    r"""The archives of Debian itself among the lines "URI|origin|label|release" that apt-get indextargets printed.

    >>> mirrors("http://a/debian/|Debian|Debian|trixie\nhttp://a/sec/|Debian|Debian-Security|trixie-security\n")
    ['http://a/debian/']
    """
    rows = [line.split("|") for line in targets.splitlines() if line.count("|") == 3]
    return list(dict.fromkeys(uri for uri, origin, label, _ in rows if (origin, label) == ("Debian", "Debian")))


def parts(depends: str) -> list[str]:
    r"""The packages that make up a kernel, in what `apt-cache depends --recurse linux-image-ARCH` printed.

    >>> parts("linux-image-amd64\n  Depends: linux-image-6.1.0-50-amd64\nlinux-image-6.1.0-50-amd64\n  Depends: kmod\nkmod")
    ['linux-image-6.1.0-50-amd64']
    """
    return [line for line in depends.splitlines() if _KERNEL_PARTS.fullmatch(line)]


class Suite:
    """The apt state of one suite and architecture."""

    def __init__(self, suite: str, arch: str) -> None:
        self.suite, self.arch = suite, arch
        self._folder = cache() / "apt" / f"{suite}-{arch}"
        self.sources = self._folder / "debian.sources"  # as apt and mmdebstrap read it; `update` writes it

    def _apt(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        settings = {
            "Dir::Etc::sourcelist": str(self.sources),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::status": "/dev/null",  # as if nothing were installed
            "Dir::State": str(self._folder / "state"),
            "Dir::Cache": str(self._folder / "cache"),
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "APT::Sandbox::User": "",  # the cache may be readable by its owner only
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        remedy = f"see that apt reaches Debian's archive ({self.suite}) from here, and try again"
        return run(program, *options, *arguments, remedy=remedy, cwd=cwd)

    def update(self) -> None:
        """Fetches the suite's index; one process at a time."""
        with alone(self._folder / "lock"):
            self._update()

    def _update(self) -> None:
        form = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(RELEASE)"
        remedy = "on a Debian whose apt works, as root: apt-get update"
        ask = ("apt-get", "indextargets", "--format", form, "Created-By: Packages")
        uris = mirrors(run(*ask, remedy=remedy))
        if not uris and os.geteuid() == 0:
            run("apt-get", "update", remedy=remedy)
            uris = mirrors(run(*ask, remedy=remedy))
        if not uris:
            raise CannotTrace("this machine's apt knows no archive of Debian to fetch packages from", remedy)
        keyring = next((path for path in _KEYRINGS if Path(path).exists()), None)
        if keyring is None:
            raise CannotTrace("the keys of Debian's archive are missing", "sudo apt-get install debian-archive-keyring")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self._folder / folder).mkdir(parents=True, exist_ok=True)
        self.sources.write_text(f"Types: deb\nURIs: {uris[0]}\nSuites: {self.suite}\nComponents: main\nSigned-By: {keyring}\n")
        self._apt("apt-get", "update")

    def depends(self, package: str) -> str:
        """apt-cache's list of the package's dependencies, and of the dependencies of these."""
        return self._apt("apt-cache", "depends", "--recurse", "--important", package)

    def simulate(self, packages: Sequence[str]) -> str:
        """The packages that apt-get would install on a machine without any package."""
        return self._apt("apt-get", "--simulate", "--no-install-recommends", "install", *packages)

    def unpack(self, packages: Sequence[str], tree: Path, first: str = "") -> dict[str, str]:
        """Downloads the packages and unpacks them into `tree`, the one named `first` first; returns each one's version."""
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="download-") as folder:
            self._apt("apt-get", "download", *packages, cwd=Path(folder))
            versions = {}
            for file in sorted(Path(folder).glob("*.deb"), key=lambda file: not file.name.startswith(f"{first}_")):
                remedy = "make room in the cache's file system, and try again"
                run("dpkg-deb", "--extract", str(file), str(tree), remedy=remedy)
                name, version = run(
                    "dpkg-deb", "--showformat", "${Package}\t${Version}", "--show", str(file), remedy=remedy
                ).split("\t")
                versions[name] = version
            return versions


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time fills a part of the cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(name: str, arch: str = "amd64", refresh: bool = False, say: Progress = lambda _words: None) -> Kernel:
    """The kernel of SUITES by name, from the cache. It comes from Debian if the cache does not have it, or with `refresh`."""
    suite = SUITES[name]
    place = cache() / f"{suite}-{arch}"
    with alone(place.with_suffix(".lock")):
        if refresh or not (place / "package").exists():
            say(f"fetching the kernel of {suite} ({arch}); this happens once")
            _fill(Suite(suite, arch), place)
        release = next((place / "lib/modules").iterdir()).name
        kernel = Kernel(name, release, arch, (place / "package").read_text().strip(), place)
        if arch == "amd64" and not kernel.uncompressed.exists():
            _uncompress(kernel)
    return kernel


def _uncompress(kernel: Kernel) -> None:
    """Writes the ELF file in the kernel's bzImage, if it is compressed with xz.

    Under emulation, a kernel needs 2.5 s of CPU time to uncompress itself. QEMU boots an ELF file through its PVH entry
    (QEMU's hw/i386/x86-common.c, load_elfboot; CONFIG_PVH in Debian's kernels).
    """
    if payload := xz_payload(kernel.compressed.read_bytes()):
        part = kernel.uncompressed.with_suffix(".part")
        part.write_bytes(lzma.LZMADecompressor().decompress(payload))
        part.rename(kernel.uncompressed)


def xz_payload(image: bytes) -> bytes:
    """The compressed kernel in a bzImage; b"" if it is not compressed with xz.

    The fields are setup_sects, payload_offset and payload_length (Documentation/arch/x86/boot.rst). The last 4 bytes of the
    payload are the size of the uncompressed kernel; they do not belong to the xz data.
    """
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (1 + sectors) * 512 + offset
    payload = image[begin : begin + length]
    return payload if payload.startswith(_XZ) else b""


def _fill(suite: Suite, place: Path) -> None:
    install({"depmod": "kmod", "dpkg-deb": "dpkg"})
    suite.update()
    packages = parts(suite.depends(f"linux-image-{suite.arch}"))
    if not packages:
        raise CannotTrace(f"{suite.suite} has no kernel package for {suite.arch}", "invoke kernels --only 6.1 takes another")
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="unpack-") as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        versions = suite.unpack([*packages, "busybox-static"], tree)
        if not (tree / "lib").exists():  # newer packages bring /usr/lib only
            (tree / "lib").symlink_to("usr/lib")
        elif (tree / "usr/lib/modules").exists() and not (tree / "lib/modules").exists():
            (tree / "lib/modules").symlink_to("../usr/lib/modules")
        release = next((tree / "lib/modules").iterdir()).name
        run(_which("depmod") or "depmod", "-b", str(tree), release, remedy="sudo apt-get install kmod")
        image = next(name for name in versions if name.startswith("linux-image-"))
        (tree / "package").write_text(f"{image} {versions[image]}\n")
        shutil.rmtree(place, ignore_errors=True)
        tree.rename(place)
