"""A Docker daemon to try the image with: the one that is there, or one of Debian's that lives as long as the trial.

Where no daemon can be reached, root of a Debian gets one: Debian's own packages, unpacked into a cache and not installed, in
a pid and a mount namespace of their own. When the namespace's first process ends, the kernel ends everything in it, so
no process outlives the trial, not even kill -9 of it. It touches neither bridges nor firewall nor sysctls: containers have
loopback only, or with `--network host` the machine's network.

Docker 26 (Debian 13) is the first that can give all capabilities in a machine that itself lacks some.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from machines import debian
from machines.debian import Progress
from probes.capture.prctl import end_with_parent
from probes.errors import CannotTrace

ROOT = Path(__file__).parents[1]
CACHE = debian.cache("docker")
SUITE, PYTHON = "trixie", "3.13"
BASE = f"debian:{SUITE}-slim"
IMAGE = "iolab"
GROUP = 23456  # who may use a daemon started here, besides root: nobody's group, but for the trial of it
_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd", "tini", "mmdebstrap")
_RUNC = "runc"  # bound to the C library of its release: the machine's own
_CGROUP = "iolab-image"
_MADE = "made here by mmdebstrap"


@dataclass
class Docker:
    """The docker command for one daemon."""

    program: str
    environment: dict[str, str] = field(default_factory=dict)
    own: bool = False  # started here: no bridge, so a build needs the machine's own network

    @property
    def socket(self) -> Path:
        """Where the daemon listens."""
        return Path((os.environ | self.environment).get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`docker ARGUMENTS`, running; its output and errors in pipes."""
        return subprocess.Popen(
            [self.program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | self.environment,
        )  # fmt: skip

    def run(self, *arguments: str, timeout: float | None = 900) -> subprocess.CompletedProcess[str]:
        """`docker ARGUMENTS`, to its end; at most so many seconds."""
        return subprocess.run(
            [self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
            env=os.environ | self.environment,
        )  # fmt: skip

    def ask(self, *arguments: str, timeout: float | None = 900) -> str:
        """What it prints. Raises CannotTrace with its own words where it fails."""
        done = self.run(*arguments, timeout=timeout)
        if done.returncode:
            raise CannotTrace(
                f"docker {arguments[0]} failed: {debian.last_words(done.stderr or done.stdout)}",
                "docs/docker.md has the known ones",
            )
        return done.stdout.strip()


def reachable() -> Docker | None:
    """The daemon that the docker command reaches, if it does."""
    found = shutil.which("docker")
    if found is None:
        return None
    docker = Docker(found)
    try:
        return docker if docker.run("version", timeout=20).returncode == 0 else None
    except subprocess.TimeoutExpired:
        return None


def why_none() -> CannotTrace | None:
    """What stands against a daemon here: None if one can be reached or started."""
    if reachable():
        return None
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return CannotTrace(
            "no Docker daemon can be reached, and only root of a Debian can start one here",
            "start Docker (sudo systemctl start docker; Docker Desktop)",
        )
    if Path("/sys/class/net/docker0").exists():
        return CannotTrace(
            "there is docker0, the bridge of a Docker daemon that can't be reached; one started here would take it away",
            "start that daemon (sudo systemctl start docker), or remove its bridge (ip link delete docker0)",
        )
    return None


@contextlib.contextmanager
def daemon(progress: Progress) -> Iterator[Docker]:
    """A daemon for the time of the block. Raises CannotTrace where there can be none."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # whoever's the daemon is: two would take each other's containers for changes of the host
            progress("waiting: another trial is under way on this machine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if found := reachable():
            yield found
            return
        if problem := why_none():
            raise problem
        with _started(_programs(progress), progress) as docker:
            yield docker


# -- a daemon of our own ----------------------------------------------------------------------------------------------


def _suite() -> debian.Suite:
    """SUITE with its index, for this machine's architecture."""
    arch = debian.run("dpkg", "--print-architecture", remedy="run it on Debian, or start a Docker daemon yourself").strip()
    suite = debian.Suite(SUITE, arch)
    suite.update()
    return suite


def _programs(progress: Progress) -> Path:
    """The folder with docker, dockerd and what they need; fetched once, by an apt state apart from the machine's."""
    programs = CACHE / "programs"
    if (programs / "complete").exists():
        return programs
    progress(f"fetching Docker from Debian's packages ({SUITE}), 80 MB")
    shutil.rmtree(programs, ignore_errors=True)
    packages = programs / "packages"
    packages.mkdir(parents=True)
    _suite().unpack(_PACKAGES, programs / "root")
    remedy = "on a Debian whose apt works, as root: apt-get update"
    debian.run("apt-get", "update", remedy=remedy)
    debian.run("apt-get", "-o", "APT::Sandbox::User=root", "download", _RUNC, remedy=remedy, cwd=packages)
    for package in packages.glob("*.deb"):
        debian.run("dpkg-deb", "--extract", str(package), str(programs / "root"), remedy="make room in the cache's file system")
    shutil.rmtree(packages)
    root = programs / "root" / "usr"
    (programs / "bin").mkdir()
    for program in (*root.glob("bin/*"), *root.glob("sbin/*")):
        with contextlib.suppress(FileExistsError):
            (programs / "bin" / program.name).symlink_to(program.resolve())
    plugins = programs / "configuration" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-buildx").symlink_to(root / "libexec" / "docker" / "cli-plugins" / "docker-buildx")
    (programs / "configuration.json").write_text("{}")
    (programs / "complete").touch()
    return programs


# The daemon's own traces on the machine are under /run: they go into the mount namespace, and away with it.
_IN_NAMESPACE = """
for folder in /run/containerd /run/docker; do mkdir -p $folder && mount -t tmpfs iolab $folder || exit 1; done
exec docker-init -- dockerd "$@"
"""


@contextlib.contextmanager
def _started(programs: Path, progress: Progress) -> Iterator[Docker]:
    progress("starting a Docker daemon of our own, for the time of the trial")
    run = Path(tempfile.mkdtemp(prefix="iolab-docker-"))
    run.chmod(0o711)  # who is in the socket's group gets to it
    new = [path for path in (Path("/run/containerd"), Path("/run/docker")) if not path.exists()]
    socket, log = run / "docker.sock", run / "log"
    path = f"{programs / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    options = [
        f"--config-file={programs / 'configuration.json'}", f"--data-root={CACHE / 'data'}", f"--host=unix://{socket}",
        f"--pidfile={run / 'pid'}", f"--group={GROUP}",
        f"--cgroup-parent={_CGROUP}", "--exec-opt=native.cgroupdriver=cgroupfs", "--bridge=none",
        "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=false",
    ]  # fmt: skip
    line = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "sh", "-c", _IN_NAMESPACE, "sh", *options]
    parent = os.getpid()
    with log.open("w") as words:
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=words, stderr=words, env={**os.environ, "PATH": path},
            start_new_session=True,  # Ctrl-C ends the trial, and the trial the daemon
            preexec_fn=lambda: end_with_parent(parent),
        )  # fmt: skip
    docker = Docker(
        str(programs / "bin" / "docker"),
        {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(programs / "configuration"), "DOCKER_BUILDKIT": "1"},
        own=True,
    )
    try:
        end = time.monotonic() + 60
        while not (socket.exists() and docker.run("version").returncode == 0):
            if process.poll() is not None or time.monotonic() > end:
                raise CannotTrace(
                    f"the Docker daemon did not start: {debian.last_words(log.read_text())}",
                    "docs/docker.md has the known ones",
                )
            time.sleep(0.1)
        yield docker
    finally:
        process.kill()  # the namespace's first process dies with it, and takes the rest along
        process.wait()
        _clean_up(new)
        shutil.rmtree(run, ignore_errors=True)


def _clean_up(new: list[Path]) -> None:
    """Takes away what a killed daemon leaves: empty cgroups, and the places where it mounted."""
    end = time.monotonic() + 10
    while True:
        folders = [
            one for top in Path("/sys/fs/cgroup").glob(f"**/{_CGROUP}") for one in (*top.rglob("*"), top) if one.is_dir()
        ]
        for folder in sorted(folders, key=lambda one: -len(one.parts)):
            with contextlib.suppress(OSError):  # its last process is about to end
                folder.rmdir()
        if not folders or time.monotonic() > end:
            break
        time.sleep(0.05)
    for path in new:
        with contextlib.suppress(OSError):
            path.rmdir()


# -- the image --------------------------------------------------------------------------------------------------------


def base(docker: Docker, progress: Progress) -> bool:
    """Sees to it that BASE is there. Returns True if it came from a registry, False if it was made here."""
    found = docker.run("image", "inspect", "--format", "{{.Comment}}", BASE)
    if found.returncode == 0:
        return found.stdout.strip() != _MADE
    progress(f"pulling {BASE}")
    pulled = docker.run("pull", "--quiet", BASE, timeout=None)
    if pulled.returncode == 0:
        return True
    if os.geteuid() != 0 or not all(map(shutil.which, ("apt-get", "perl"))):
        raise CannotTrace(f"{BASE} can't be pulled: {debian.last_words(pulled.stderr)}", f"docker pull {BASE} must work first")
    progress(f"no registry can be reached: making {BASE} out of Debian's packages (mmdebstrap)")
    with tempfile.TemporaryDirectory() as folder:
        programs = _programs(progress) / "bin"
        debian.run(
            "perl", str(programs / "mmdebstrap"), "--mode=root", "--variant=essential", "--include=apt",
            *(f"--dpkgopt=path-exclude=/usr/share/{one}/*" for one in ("man", "locale", "info", "groff", "lintian")),
            "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            SUITE, f"{folder}/base.tar", str(_suite().sources),
            env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}, remedy="mend that, then try again",
        )  # fmt: skip
        docker.ask("import", "--message", _MADE, f"{folder}/base.tar", BASE)
    return False


def wheels(progress: Progress) -> Path:
    """The folder with the wheels of everything that pyproject.toml pins, fetched by this machine's pip as it is set up."""
    folder, pins = CACHE / "wheels", (ROOT / "pyproject.toml").read_bytes()
    stamp = folder / "pyproject.toml"
    if stamp.exists() and stamp.read_bytes() == pins:
        return folder
    progress("fetching wheels with this machine's pip")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    project = tomllib.loads(pins.decode())["project"]
    pinned = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    debian.run(
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", str(folder),
        "--only-binary=:all:", "--python-version", PYTHON, *pinned, remedy="see that pip reaches PyPI from here, and try again",
    )  # fmt: skip
    stamp.write_bytes(pins)
    return folder


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The wheels over HTTP on loopback; pip's settings to take them from there, and from nowhere else.

    So the way in which this machine reaches its packages stays on this machine: no mirror, password or certificate of it is
    in any layer. The port is the same each time where it is free, since a build's cache goes by its arguments.
    """
    handler = functools.partial(_Silent, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 47114), handler)
    except OSError:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"http://127.0.0.1:{server.server_port}/"}
        server.shutdown()


@contextlib.contextmanager
def built(docker: Docker, progress: Progress) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Builds IMAGE. Yields what a container or another build needs to install packages here: the options, pip's settings."""
    pulled = base(docker, progress)
    with contextlib.ExitStack() as stack:
        settings = {} if pulled else stack.enter_context(served(wheels(progress)))
        network = ["--network=host"] if docker.own or not pulled else []
        progress(f"building {IMAGE}")
        revision = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        arguments = [f"{name}={value}" for name, value in {"REVISION": revision or "unknown", **settings}.items()]
        docker.ask(
            "build", *network, *(word for one in arguments for word in ("--build-arg", one)), "--tag", IMAGE, str(ROOT),
            timeout=None,
        )  # fmt: skip
        docker.run("image", "prune", "--force", "--filter", "label=iolab.source")  # what has lost its name to this one
        yield network, settings
