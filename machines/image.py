"""The container image, tried as people start it: every command, with and without privileges, two at once, one killed.

Each trial is a function: its docstring names it, it returns what was seen in a few words, and raises `Unmet` if something
was not as it must be. The last trial is the host itself, which must be as it was.
"""

from __future__ import annotations

import contextlib
import functools
import json as codec
import os
import pty
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from machines import docker as daemons
from machines import host
from machines.debian import Progress
from machines.docker import IMAGE, Docker
from probes.errors import CannotTrace, WrongUsage

SOMEBODY = (12345, daemons.GROUP)  # the owner of the mounted folder
_SOME_LIVE_TESTS = "test_trace or test_instrument or test_ring"  # what a container's own pid namespace could break
# The least privileges, as tried on labs epoll and io_uring and on trace. SETUID and SETGID only give files to an owner.
_CAPABILITIES = ("--cap-drop", "ALL", "--cap-add", "BPF", "--cap-add", "PERFMON", "--cap-add", "SYSLOG")
LEAST = (
    *_CAPABILITIES,
    "--security-opt", "seccomp=unconfined", "--cap-add", "SETUID", "--cap-add", "SETGID",
)  # fmt: skip


class Unmet(Exception):
    """Something was not as it must be."""


@dataclass(frozen=True)
class Tried:
    """One trial: its name, its verdict (pass or fail), how long it took, and what was seen."""

    name: str
    verdict: str
    seconds: float
    seen: str


class Place:
    """Where the trials run: the daemon, the image, a folder to mount; every container of ours carries a label."""

    def __init__(
        self, docker: Docker, network: Sequence[str], settings: Mapping[str, str], folder: Path, whole: bool = False
    ) -> None:
        self.docker, self.network, self.settings, self.folder, self.whole = docker, network, settings, folder, whole
        self._label = f"iolab.trial={os.getpid()}"
        self._mount = f"{folder}:/out"

    def line(self, *arguments: str, mount: bool = False) -> list[str]:
        """The words after docker."""
        return ["run", "--rm", "--label", self._label, *(["--volume", self._mount] if mount else []), *arguments]

    def run(self, *arguments: str, status: int, says: str = "", mount: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs a container to its end. Raises Unmet if it ends otherwise than with `status`, or doesn't say that."""
        return ended(self.docker.run(*self.line(*arguments, mount=mount)), status, says)

    def ids(self) -> list[str]:
        """The containers of ours that there are."""
        return self.docker.ask("ps", "--all", "--quiet", "--filter", f"label={self._label}").split()

    def remove(self) -> None:
        """Ends and removes all of them."""
        if left := self.ids():
            self.docker.run("rm", "--force", *left)

    @contextlib.contextmanager
    def running(self, *arguments: str, until: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        """A container that has come so far as to say `until`, by its name."""
        name = f"iolab-trial-{os.getpid()}"
        process = self.docker.start(*self.line("--name", name, *arguments))
        with process:
            try:
                assert process.stderr
                said = []
                with _ended_after(120, process):
                    for line in process.stderr:
                        said.append(line)
                        if until in line:
                            break
                    else:
                        raise Unmet(f"it never said {until!r}: {_last(''.join(said))}")
                yield name, process
            finally:
                self.docker.run("rm", "--force", name)


@contextlib.contextmanager
def _ended_after(seconds: float, process: subprocess.Popen[Any]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def ended(done: subprocess.CompletedProcess[str], status: int, says: str = "") -> subprocess.CompletedProcess[str]:
    """Raises Unmet if the container ended otherwise than with `status`, or did not say that on stdout or stderr."""
    if done.returncode != status:
        raise Unmet(f"ended with {done.returncode}, not {status}: {_last(done.stderr or done.stdout)}")
    if says and says not in _one_line(done.stdout + done.stderr):
        raise Unmet(f"did not say {says!r}, but: {_last(done.stderr or done.stdout)}")
    return done


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _last(text: str) -> str:
    return _one_line(text)[-300:].strip()


# -- trials -----------------------------------------------------------------------------------------------------------


def is_small(place: Place) -> str:
    """The image is small, and has nothing of this machine in it."""
    size = int(place.docker.ask("image", "inspect", "--format", "{{.Size}}", IMAGE))
    history = place.docker.ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE)
    if "127.0.0.1" in history or "PIP_" in history:
        raise Unmet("how this machine reaches its packages stands in the image's history")
    left = place.run("--entrypoint", "find", IMAGE, "/opt/iolab", "-name", ".git", "-o", "-name", ".ci", status=0).stdout
    if left:
        raise Unmet(f"in the image, but not needed: {_one_line(left)}")
    if size > 400e6:
        raise Unmet(f"{size / 1e6:.0f} MB")
    return f"{size / 1e6:.0f} MB"


def compares(place: Place) -> str:
    """The image without a command: compare."""
    done = place.run("--privileged", IMAGE, status=0, says="What else there is")
    rows = [line for line in done.stdout.splitlines() if re.match(r"(blocking|epoll|io_uring|threads) ", line)]
    if len(rows) < 4:
        raise Unmet(f"the comparison has no row of blocking, epoll, io_uring, threads: {_last(done.stdout)}")
    return "the comparison, then what else there is"


def examines(place: Place) -> str:
    """Command doctor."""
    done = place.run("--privileged", IMAGE, "doctor", "--json", status=0)
    found = {one["name"]: one for one in codec.loads(done.stdout)["capabilities"]}
    if not found["container"]["found"].startswith("yes"):
        raise Unmet(f"it does not know that it is in a container: {found['container']['found']}")
    return f"{sum(one['state'] == 'yes' for one in found.values())} of {len(found)} yes; it knows that it is in a container"


def saves(place: Place) -> str:
    """Command lab epoll --save; show of the file without any privilege."""
    place.run("--privileged", IMAGE, "lab", "epoll", "--save", "run.iolab", status=0, says="confirmed", mount=True)
    made = (place.folder / "run.iolab").stat()
    if (made.st_uid, made.st_gid) != SOMEBODY:
        raise Unmet(f"the file belongs to {made.st_uid}:{made.st_gid}, the folder to {SOMEBODY[0]}:{SOMEBODY[1]}")
    shown = ("--read-only", "--network", "none", IMAGE, "show", "run.iolab")
    place.run(*shown, status=0, says="statements checked", mount=True)
    return f"the file belongs to {made.st_uid}:{made.st_gid}, as the folder does"


def traces(place: Place) -> str:
    """Command trace -- CMD."""
    done = place.run("--privileged", IMAGE, "trace", "--", "sh", "-c", "echo out; exit 7", status=7, says="0 lost, 0 unmatched")
    if done.stdout != "out\n":
        raise Unmet(f"stdout is the program's, but there is: {_last(done.stdout)}")
    return "status 7 and stdout of the command"


def lists(place: Place) -> str:
    """Commands labs, claims, --help, bash without privileges."""
    place.run(IMAGE, "labs", status=0, says="epoll")
    place.run(IMAGE, "claims", status=0, says="C22")
    place.run(IMAGE, "--help", "lab", status=0, says="--clients")
    place.run(IMAGE, "bash", "-c", "iolab --list", status=0, says="doctor")
    place.run(IMAGE, "bash", "-c", "iolab trace", status=2, says="a program to run iolab trace -- CMD")  # not docker run ...
    place.run(IMAGE, "nonsense", status=2, says="nonsense")
    return "as without a container"


def does_with_least(place: Place) -> str:
    """The least privileges: lab epoll --save, lab io_uring, trace."""
    place.run(*LEAST, IMAGE, "lab", "epoll", "--save", "least.iolab", status=0, mount=True)
    if (place.folder / "least.iolab").stat().st_uid != SOMEBODY[0]:
        raise Unmet("the file does not belong to the folder's owner")
    place.run(*LEAST, IMAGE, "lab", "io_uring", status=0)
    place.run(*LEAST, IMAGE, "trace", "--", "ls", status=0, says="0 lost, 0 unmatched")
    return "CAP_BPF, CAP_PERFMON, CAP_SYSLOG, no seccomp filter"


def needs_each(place: Place) -> str:
    """Each of the three capabilities is needed."""
    needed = {"BPF": "tracing needs root", "PERFMON": "tracing needs root", "SYSLOG": "/proc/kallsyms hides addresses"}
    for missing, words in needed.items():
        held = [word for one in needed if one != missing for word in ("--cap-add", one)]
        status = 0 if missing == "SYSLOG" and _addresses_are_public() else 4
        place.run("--cap-drop", "ALL", *held, IMAGE, "lab", "epoll", status=status, says="" if status == 0 else words)
    public = "; but for SYSLOG, since this machine shows addresses to all" if _addresses_are_public() else ""
    return f"without it: status 4 and a sentence{public}"


def _addresses_are_public() -> bool:
    """Whether /proc/kallsyms shows addresses without CAP_SYSLOG (kallsyms_show_value() of the kernel)."""
    return _sysctl("kptr_restrict") < 1 and _sysctl("perf_event_paranoid") < 2


def _sysctl(name: str) -> int:
    return int(Path("/proc/sys/kernel", name).read_text())


def speaks_to_a_terminal(place: Place) -> str:
    """Command lab epoll on a terminal: -it."""
    ours, theirs = pty.openpty()
    line = [place.docker.program, *place.line("-it", "--privileged", IMAGE, "lab", "epoll")]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            line, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | place.docker.environment | {"TERM": "xterm"}
        )
        os.close(theirs)
        with process, _ended_after(120, process):
            said = b""
            with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
                while data := terminal.read(1 << 16):
                    said += data
    text = said.decode(errors="replace")
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    if process.returncode or plain == text or "statements checked" not in plain:
        raise Unmet(f"status {process.returncode}, {'no' if plain == text else 'with'} colours: {_last(plain)}")
    return "the report in colours"


def refuses_without(place: Place) -> str:
    """Without --privileged."""
    place.run(IMAGE, "lab", "epoll", status=4, says="docker run --privileged")
    place.run(IMAGE, "doctor", status=4, says="No lab can run here until this is mended: privileges")
    place.run(IMAGE, status=4, says="docker run --privileged")
    return "status 4, and how to start it"


def refuses_users(place: Place) -> str:
    """With --privileged, but --user somebody."""
    place.run("--privileged", "--user", "65534", IMAGE, "lab", "epoll", status=4, says="no --user")
    return "status 4, and how to start it"


def refuses_rootless(place: Place) -> str:
    """Root of a user namespace, as in rootless Docker and Podman."""
    line = ("unshare", "--user", "--map-root-user", "iolab", "lab", "epoll")
    place.run("--privileged", "--entrypoint", line[0], IMAGE, *line[1:], status=4, says="root of a user namespace only")
    return "status 4, and why"


def refuses_without_btf(place: Place) -> str:
    """A kernel without BTF (an empty folder over it)."""
    place.run("--privileged", "--tmpfs", "/sys/kernel/btf", IMAGE, "lab", "epoll", status=4, says="CONFIG_DEBUG_INFO_BTF")
    return "status 4, and which kernels have it"


def refuses_filtered(place: Place) -> str:
    """A seccomp filter without bpf(), as Podman's own; and Docker's own, without io_uring."""
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["bpf"], "action": "SCMP_ACT_ERRNO"}]}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        codec.dump(profile, file)
        file.flush()
        option = f"seccomp={file.name}"
        place.run(
            *_CAPABILITIES, "--security-opt", option, IMAGE, "lab", "epoll", status=4, says="a seccomp filter refuses bpf()"
        )
    place.run(*_CAPABILITIES, IMAGE, "lab", "epoll", status=0, says="0 lost, 0 unmatched")
    place.run(*_CAPABILITIES, IMAGE, "lab", "io_uring", status=4, says="seccomp")
    return "status 4, and the option that lifts it; Docker's own filter leaves all but io_uring"


def runs_twice(place: Place) -> str:
    """Two containers at the same time."""
    both = [place.docker.start(*place.line("--privileged", IMAGE, "lab", name, "--json")) for name in ("epoll", "blocking")]
    calls = []
    for process in both:
        output, errors = process.communicate(timeout=120)
        ended(subprocess.CompletedProcess(process.args, process.returncode, output, errors), 0)
        calls.append({call["name"] for call in codec.loads(output)["calls"]})
    if "epoll_wait" not in calls[0] or "epoll_wait" in calls[1]:
        raise Unmet(f"one saw the other's calls: {calls}")
    return "each saw its own server only"


def stops(place: Place) -> str:
    """A lab, and docker stop in the middle."""
    lab = ("--privileged", IMAGE, "lab", "epoll", "--messages", "300")
    with place.running(*lab, until="traced:") as (name, process):
        begin = time.monotonic()
        place.docker.ask("stop", name)
        took = time.monotonic() - begin
        status = process.wait(20)
    if status != 143:
        raise Unmet(f"ended with {status}, not 143 (SIGTERM)")
    if took > 3:
        raise Unmet(f"took {took:.1f} s")
    return f"{took:.1f} s, status 143"


def is_interrupted(place: Place) -> str:
    """A lab, and Ctrl-C in the middle."""
    lab = ("--privileged", IMAGE, "lab", "epoll", "--messages", "300")
    with place.running(*lab, until="traced:") as (_, process):
        process.send_signal(2)  # the docker command passes it on to process 1
        _, errors = process.communicate(timeout=20)
    ended(subprocess.CompletedProcess(process.args, process.returncode, "", errors), 130, "interrupted")
    return "status 130, nothing is left running"


def is_killed(place: Place) -> str:
    """A lab, and docker kill in the middle."""
    before = host.look()
    lab = ("--privileged", IMAGE, "lab", "epoll", "--messages", "300")
    with place.running(*lab, until="traced:") as (name, process):
        here = len(host.look().bpf_programs - before.bpf_programs)
        if not here:
            raise Unmet("no BPF program was seen while it ran")
        place.docker.ask("kill", name)
        process.wait(20)
    if left := host.differences(before):
        raise Unmet("; ".join(left[:5]))
    return f"{here} BPF programs before, none after"


def buries_orphans(place: Place) -> str:
    """Process 1 buries orphans."""
    script = (
        "for i in 1 2 3; do (setsid sh -c 'sleep 0.2' &) ; done; sleep 0.6;"  # each ends after its parent: process 1 is asked
        " cat /proc/[0-9]*/stat | grep -c ') Z ' || true"
    )
    done = place.run(IMAGE, "sh", "-c", script, status=0)
    if done.stdout.strip() != "0":
        raise Unmet(f"{done.stdout.strip()} zombies")
    return "none of 3 orphans"


@contextlib.contextmanager
def _somebody(place: Place) -> Iterator[tuple[str, dict[str, Any]]]:
    """A user without root but in Docker's group: ./iolab in a checkout of his own, and how subprocess starts it."""
    docker = place.docker
    with tempfile.TemporaryDirectory(prefix="iolab-user-") as name:
        home = Path(name)
        home.chmod(0o755)
        shutil.copytree(daemons.ROOT, home / "iolab", ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache"))
        shutil.copy(docker.program, home / "docker")
        if folder := docker.environment.get("DOCKER_CONFIG"):
            shutil.copytree(folder, home / ".docker")
        # the user's docker command; a build gets what this machine needs to reach its packages
        options = " ".join([*place.network, *(f"--build-arg {key}={value}" for key, value in place.settings.items())])
        (home / "bin").mkdir()
        wrapper = home / "bin" / "docker"
        wrapper.write_text(
            f'#!/bin/sh\nif [ "$1" = build ]; then shift; set -- build {options} "$@"; fi\nexec {home}/docker "$@"\n'
        )
        wrapper.chmod(0o755)
        for one in (home, *home.rglob("*")):
            os.chown(one, *SOMEBODY, follow_symlinks=False)
        environment = {"PATH": f"{home / 'bin'}:/usr/bin:/bin", "HOME": name, "DOCKER_HOST": f"unix://{docker.socket}"}
        yield str(home / "iolab" / "iolab"), {
            "cwd": place.folder, "text": True, "stdin": subprocess.DEVNULL, "env": environment,
            "user": SOMEBODY[0], "group": SOMEBODY[1], "extra_groups": [docker.socket.stat().st_gid],
        }  # fmt: skip


def starts_by_itself(place: Place) -> str:
    """./iolab lab epoll of a user without root but in Docker's group; ./iolab trace of a server with a client outside."""
    with _somebody(place) as (iolab, given):
        done = subprocess.run([iolab, "lab", "epoll", "--save", "mine.iolab"], capture_output=True, **given)
        ended(done, 0, "in the container image iolab")
        if "./iolab lab blocking" not in done.stdout:
            raise Unmet(f"the commands to try next are not ./iolab's: {_last(done.stdout)}")
        if (place.folder / "mine.iolab").stat().st_uid != SOMEBODY[0]:
            raise Unmet("the file does not belong to the user")
        _serve_outside([iolab, "trace", "--"], given)
    return f"built and used the image; its file belongs to user {SOMEBODY[0]}; the server answered"


def _serve_outside(trace: list[str], given: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = [*trace, "python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **given) as process, _ended_after(120, process):
        answer = b""
        while not answer and process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /mine.iolab HTTP/1.0\r\n\r\n")
                answer = client.recv(12)
            time.sleep(0.05)
        process.send_signal(2)
        _, errors = process.communicate()
    if not answer.endswith(b"200"):
        raise Unmet(f"its server did not answer a client outside: {answer!r}, {_last(errors)}")
    for words in ("packet -> TCP", "0 lost, 0 unmatched"):
        if words not in _one_line(errors):
            raise Unmet(f"the trace of a server does not say {words!r}: {_last(errors)}")


def tests_itself(place: Place) -> str:
    """Command test: live tests, inside."""
    options = [*place.network, *(word for name in place.settings.items() for word in ("--env", "=".join(name)))]
    chosen = [] if place.whole else ["--live", "-k", _SOME_LIVE_TESTS]
    line = place.line("--privileged", *options, IMAGE, "test", *chosen)
    done = place.docker.run(*line, timeout=3600 if place.whole else 900)
    if done.returncode:
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        raise Unmet("; ".join(failed) or f"ended with {done.returncode}: {_last(done.stdout + done.stderr)}")
    return next((line.strip("= ") for line in reversed(done.stdout.splitlines()) if "passed" in line), "passed")


TRIALS: dict[str, Callable[[Place], str]] = {
    trial.__name__: trial
    for trial in (
        is_small, examines, saves, traces, speaks_to_a_terminal, lists, refuses_without, refuses_users, refuses_rootless,
        refuses_without_btf, refuses_filtered, does_with_least, needs_each, runs_twice, stops, is_interrupted, is_killed,
        buries_orphans, compares, starts_by_itself, tests_itself,
    )
}  # fmt: skip


def _attach_candidate(name: str, function: Callable[[], str], progress: Progress) -> Tried:
    begin = time.monotonic()
    try:
        seen, verdict = function(), "pass"
    except Unmet as error:
        seen, verdict = str(error), "fail"
    except Exception as error:  # the next trial, and the look at the host, come all the same
        seen, verdict = f"{type(error).__name__}: {error}", "fail"
    row = Tried(name, verdict, time.monotonic() - begin, seen)
    progress(f"{row.verdict}, {row.seconds:.1f} s: {name}" + (f": {seen}" if verdict == "fail" else ""))
    return row


def tried(progress: Progress, only: str = "", whole: bool = False) -> Iterator[Tried]:
    """Builds the image and makes the trials whose function's name has `only` in it. Raises CannotTrace without a daemon.

    `whole`: with all tests inside, not only the live ones of the instrument.
    """
    chosen = {name: trial for name, trial in TRIALS.items() if only in name}
    if not chosen:
        raise WrongUsage(f"no trial has {only!r} in its name", f"there are {', '.join(TRIALS)}")
    if os.geteuid() != 0 or not Path("/proc/self/ns").exists():
        raise CannotTrace("only root of a Linux machine sees what a container changes on it", "there: sudo ./iolab image")
    before = host.look()
    with tempfile.TemporaryDirectory(prefix="iolab-out-") as out, daemons.daemon(progress) as docker:
        os.chown(out, *SOMEBODY)
        begin = time.monotonic()
        with daemons.built(docker, progress) as (network, settings):
            version = docker.ask("version", "--format", "{{.Server.Version}}")
            yield Tried("docker build -t iolab .", "pass", time.monotonic() - begin, f"Docker {version}")
            place = Place(docker, network, settings, Path(out), whole)
            if not docker.own:  # with its first container a daemon makes cgroups of its own, which stay as long as it does
                place.run(IMAGE, "labs", status=0)
                before = host.look()
            try:
                for trial in chosen.values():
                    yield _attach_candidate((trial.__doc__ or "").removesuffix("."), functools.partial(trial, place), progress)
            finally:
                place.remove()
    yield _attach_candidate("The host afterwards", lambda: _same(before), progress)


def _same(before: host.Host) -> str:
    if changed := host.differences(before):
        raise Unmet("; ".join(changed[:8]))
    return f"as before: {len(before.sysctls)} sysctls, {len(before.bpf_programs)} programs, {len(before.namespaces)} namespaces"


def write(rows: Sequence[Tried], file: IO[str], json: bool) -> None:
    """The table of what was tried."""
    if json:
        trials = [{"name": r.name, "verdict": r.verdict, "seconds": round(r.seconds, 2), "seen": r.seen} for r in rows]
        codec.dump({"schema_version": 1, "trials": trials}, file, indent=1)
        file.write("\n")
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        file.write(f"{row.verdict:4}  {row.seconds:6.1f} s  {row.name:{width}}  {row.seen}\n")
    failed = sum(row.verdict != "pass" for row in rows)
    file.write(f"{len(rows) - failed} passed, {failed} failed, {sum(row.seconds for row in rows):.0f} s\n")
