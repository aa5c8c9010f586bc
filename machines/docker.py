"""A Docker daemon for the trials: the daemon that the docker command reaches, or a daemon from Debian's packages.

If no daemon can be reached, root of a Debian machine gets one for the time of the trials. Debian's packages are unpacked into a
cache, not installed. The daemon runs in its own pid and mount namespaces. When the first process of the pid namespace ends, the
kernel ends all processes in it. So no process outlives the trials, not even after kill -9. The daemon changes no bridges, no
firewall and no sysctls: containers have loopback only, or the machine's network with `--network host`.

Docker 26 (Debian 13) is the first version that can give all capabilities on a machine that itself lacks some.
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
from collections.abc import Iterator, Mapping, Sequence
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
GROUP = 23456  # the group that may use a daemon started here; no user of the machine is in it
_PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd", "tini", "mmdebstrap")
_RUNC = "runc"  # the machine's own version: it is linked to the C library of its release
_CGROUP = "iolab-image"
_MADE = "made here by mmdebstrap"


@dataclass
class Docker:
    """The docker command for one daemon."""

    program: str
    environment: dict[str, str] = field(default_factory=dict)
    own: bool = False  # started by `daemon`, without a bridge: a build needs the machine's own network

    @property
    def socket(self) -> Path:
        """The socket of the daemon."""
        return Path((os.environ | self.environment).get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `docker ARGUMENTS`, with its output and errors in pipes."""
        return subprocess.Popen(
            [self.program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | self.environment,
        )  # fmt: skip

    def run(self, *arguments: str, timeout: float | None = 900) -> subprocess.CompletedProcess[str]:
        """Runs `docker ARGUMENTS` to its end, for at most `timeout` seconds."""
        return subprocess.run(
            [self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
            env=os.environ | self.environment,
        )  # fmt: skip

    def ask(self, *arguments: str, timeout: float | None = 900) -> str:
        """The output of `docker ARGUMENTS`. Raises CannotTrace with docker's own message if it fails."""
        done = self.run(*arguments, timeout=timeout)
        if done.returncode:
            raise CannotTrace(
                f"docker {arguments[0]} failed: {debian.last_words(done.stderr or done.stdout)}",
                "docs/docker.md lists the known problems",
            )
        return done.stdout.strip()


def reachable() -> Docker | None:
    """The daemon that the docker command reaches, or None."""
    program = shutil.which("docker")
    if program is None:
        return None
    docker = Docker(program)
    try:
        return docker if docker.run("version", timeout=20).returncode == 0 else None
    except subprocess.TimeoutExpired:
        return None


def why_none() -> CannotTrace | None:
    """The reason why this machine can have no daemon; None if a daemon can be reached or started."""
    if reachable():
        return None
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return CannotTrace(
            "no Docker daemon can be reached, and only root of a Debian machine can start one",
            "start Docker (sudo systemctl start docker; Docker Desktop)",
        )
    if Path("/sys/class/net/docker0").exists():
        return CannotTrace(
            "docker0 exists, the bridge of a Docker daemon that can't be reached; a daemon started here would delete it",
            "start that daemon (sudo systemctl start docker), or remove its bridge (ip link delete docker0)",
        )
    return None


@contextlib.contextmanager
def daemon(progress: Progress) -> Iterator[Docker]:
    """A daemon for the time of the block. Raises CannotTrace if this machine can have none."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # two runs at once would see each other's containers as changes of the host
            progress("waiting for another run of the trials on this machine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if docker := reachable():
            yield docker
            return
        if problem := why_none():
            raise problem
        with _started(_programs(progress), progress) as docker:
            yield docker


# -- a daemon from Debian's packages ------------------------------------------------------------------------------------


def _suite() -> debian.Suite:
    """SUITE with an updated index, for this machine's architecture."""
    arch = debian.run("dpkg", "--print-architecture", remedy="run it on Debian, or start a Docker daemon yourself").strip()
    suite = debian.Suite(SUITE, arch)
    suite.update()
    return suite


def _programs(progress: Progress) -> Path:
    """The folder with docker, dockerd and the programs that they need. apt fetches them once, with an apt state of our own."""
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


# The daemon writes to folders under /run. In its mount namespace they are tmpfs mounts, which go away with the namespace.
_IN_NAMESPACE = """
for folder in /run/containerd /run/docker; do mkdir -p $folder && mount -t tmpfs iolab $folder || exit 1; done
exec docker-init -- dockerd "$@"
"""


def _command_line(programs: Path, run: Path) -> list[str]:
    """Starts dockerd in new pid and mount namespaces, with all its files under `programs`, CACHE and `run`."""
    options = [
        f"--config-file={programs / 'configuration.json'}", f"--data-root={CACHE / 'data'}",
        f"--host=unix://{run / 'docker.sock'}", f"--pidfile={run / 'pid'}", f"--group={GROUP}",
        f"--cgroup-parent={_CGROUP}", "--exec-opt=native.cgroupdriver=cgroupfs", "--bridge=none",
        "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=false",
    ]  # fmt: skip
    return ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "sh", "-c", _IN_NAMESPACE, "sh", *options]


@contextlib.contextmanager
def _started(programs: Path, progress: Progress) -> Iterator[Docker]:
    progress("starting a Docker daemon for the time of the trials")
    run = Path(tempfile.mkdtemp(prefix="iolab-docker-"))
    run.chmod(0o711)  # the socket's group must reach the socket
    new = [path for path in (Path("/run/containerd"), Path("/run/docker")) if not path.exists()]
    log = run / "log"
    path = f"{programs / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    parent = os.getpid()
    with log.open("w") as output:
        process = subprocess.Popen(
            _command_line(programs, run), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, "PATH": path},
            start_new_session=True,  # Ctrl-C ends the trials, and they end the daemon
            preexec_fn=lambda: end_with_parent(parent),
        )  # fmt: skip
    environment = {"DOCKER_HOST": f"unix://{run / 'docker.sock'}", "DOCKER_CONFIG": str(programs / "configuration")}
    docker = Docker(str(programs / "bin" / "docker"), environment | {"DOCKER_BUILDKIT": "1"}, own=True)
    try:
        _wait_until_it_answers(docker, process, log)
        yield docker
    finally:
        process.kill()  # unshare --kill-child then kills the first process of the namespace, and the kernel all others
        process.wait()
        _clean_up(new)
        shutil.rmtree(run, ignore_errors=True)


def _wait_until_it_answers(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the daemon answers. Raises CannotTrace if it ends first, or does not answer within 60 s."""
    end = time.monotonic() + 60
    while not (docker.socket.exists() and docker.run("version").returncode == 0):
        if process.poll() is not None or time.monotonic() > end:
            raise CannotTrace(
                f"the Docker daemon did not start: {debian.last_words(log.read_text())}",
                "docs/docker.md lists the known problems",
            )
        time.sleep(0.1)


def _clean_up(new: list[Path]) -> None:
    """Removes what a killed daemon leaves: empty cgroups, and the folders that it mounted on."""
    end = time.monotonic() + 10
    while True:
        tops = list(Path("/sys/fs/cgroup").glob(f"**/{_CGROUP}"))
        folders = [folder for top in tops for folder in (*top.rglob("*"), top) if folder.is_dir()]
        for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
            with contextlib.suppress(OSError):  # its last process has not ended yet
                folder.rmdir()
        if not folders or time.monotonic() > end:
            break
        time.sleep(0.05)
    for path in new:
        with contextlib.suppress(OSError):
            path.rmdir()


# -- the image --------------------------------------------------------------------------------------------------------


def base(docker: Docker, progress: Progress) -> bool:
    """Pulls or makes the image BASE if it is missing. Returns True if it came from a registry, False if it was made here."""
    present = docker.run("image", "inspect", "--format", "{{.Comment}}", BASE)
    if present.returncode == 0:
        return present.stdout.strip() != _MADE
    progress(f"pulling {BASE}")
    pulled = docker.run("pull", "--quiet", BASE, timeout=None)
    if pulled.returncode == 0:
        return True
    if os.geteuid() != 0 or not all(map(shutil.which, ("apt-get", "perl"))):
        raise CannotTrace(f"{BASE} can't be pulled: {debian.last_words(pulled.stderr)}", f"docker pull {BASE} must work first")
    progress(f"no registry can be reached: making {BASE} from Debian's packages (mmdebstrap)")
    with tempfile.TemporaryDirectory() as folder:
        programs = _programs(progress) / "bin"
        debian.run(
            "perl", str(programs / "mmdebstrap"), "--mode=root", "--variant=essential", "--include=apt",
            *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "locale", "info", "groff", "lintian")),
            "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            SUITE, f"{folder}/base.tar", str(_suite().sources),
            env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}, remedy="repair that, then try again",
        )  # fmt: skip
        docker.ask("import", "--message", _MADE, f"{folder}/base.tar", BASE)
    return False


def wheels(progress: Progress) -> Path:
    """The folder with the wheels of all packages that pyproject.toml pins, fetched with this machine's pip and its settings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    pinned = list(dict.fromkeys(pin for group in groups for pin in group))
    folder = CACHE / "wheels"
    stamp, pins = folder / "pins", "\n".join(pinned)
    if stamp.exists() and stamp.read_text() == pins:
        return folder
    progress("fetching wheels with this machine's pip")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    debian.run(
        sys.executable, "-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--dest", str(folder), "--only-binary=:all:", "--python-version", PYTHON, *pinned,
        remedy="see that pip reaches PyPI from here, and try again",
    )  # fmt: skip
    stamp.write_text(pins)
    return folder


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """Serves the wheels over HTTP on loopback. Yields the settings that make pip use this server and no other source.

    So no layer of the image contains a mirror, a password or a certificate of this machine. The port is the same each time if
    it is free, because Docker's build cache depends on the build arguments.
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


def build(docker: Docker, tag: str, network: Sequence[str], settings: Mapping[str, str]) -> None:
    """Builds the image under that name; `settings` are build arguments. Raises CannotTrace with Docker's own message."""
    arguments = [word for name, value in settings.items() for word in ("--build-arg", f"{name}={value}")]
    docker.ask("build", *network, *arguments, "--tag", tag, str(ROOT), timeout=None)


@contextlib.contextmanager
def built(docker: Docker, progress: Progress) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Builds IMAGE. Yields docker's network options and pip's settings, which containers need to install packages here."""
    pulled = base(docker, progress)
    with contextlib.ExitStack() as stack:
        settings = {} if pulled else stack.enter_context(served(wheels(progress)))
        network = ["--network=host"] if docker.own or not pulled else []
        progress(f"building {IMAGE}")
        revision = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        build(docker, IMAGE, network, {"REVISION": revision or "unknown", **settings})
        docker.run("image", "prune", "--force", "--filter", "label=iolab.source")  # the images that this build replaced
        yield network, settings
