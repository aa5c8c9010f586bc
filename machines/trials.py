"""The trials of the container image: every command, with and without privileges, two containers at once, one killed.

Each trial is a function. Its docstring is its name in the report. It returns a short description of what happened, and raises
`Unmet` if something is not as it must be.
"""

from __future__ import annotations

import contextlib
import json as codec
import os
import pty
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from machines import docker as daemons
from machines import host
from machines.containers import Place, Unmet, ended, killed_after, last_part, one_line
from machines.docker import IMAGE

OWNER = (12345, daemons.GROUP)  # user and group id of the mounted folder, neither of them root's
_LARGEST = 390e6  # bytes: 380 MB, and some for Debian's updates
_SOME_LIVE_TESTS = "test_trace or test_instrument or test_ring"  # the tests that depend on the pid namespace
# The least privileges for the labs epoll and io_uring and for trace. SETUID and SETGID are for the owner of files in /out.
_CAPABILITIES = ("--cap-drop", "ALL", "--cap-add", "BPF", "--cap-add", "PERFMON", "--cap-add", "SYSLOG")
LEAST = (
    *_CAPABILITIES,
    "--security-opt", "seccomp=unconfined", "--cap-add", "SETUID", "--cap-add", "SETGID",
)  # fmt: skip


def is_small(place: Place) -> str:
    """The image is small and contains nothing of this machine."""
    size = int(place.docker.ask("image", "inspect", "--format", "{{.Size}}", IMAGE))
    history = place.docker.ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE)
    if "127.0.0.1" in history or "PIP_" in history:
        raise Unmet("the image's history shows how this machine reaches its packages")
    left = place.run("--entrypoint", "find", IMAGE, "/opt/iolab", "-name", ".git", "-o", "-name", ".ci", status=0).stdout
    if left:
        raise Unmet(f"the image contains files that it does not need: {one_line(left)}")
    if size > _LARGEST:
        raise Unmet(f"{size / 1e6:.0f} MB")
    return f"{size / 1e6:.0f} MB"


def compares(place: Place) -> str:
    """Without a command, the image runs compare."""
    done = place.run("--privileged", IMAGE, status=0, says="What else there is")
    rows = [line for line in done.stdout.splitlines() if re.match(r"(blocking|epoll|io_uring|threads) ", line)]
    if len(rows) < 4:
        raise Unmet(f"the comparison has no row of blocking, epoll, io_uring, threads: {last_part(done.stdout)}")
    return "the comparison, then what else there is"


def examines(place: Place) -> str:
    """Command doctor."""
    done = place.run("--privileged", IMAGE, "doctor", "--json", status=0)
    findings = {finding["name"]: finding for finding in codec.loads(done.stdout)["capabilities"]}
    container = findings["container"]["found"]
    if not container.startswith("yes"):
        raise Unmet(f"doctor does not see that it is in a container: {container}")
    good = sum(finding["state"] == "yes" for finding in findings.values())
    return f"{good} of {len(findings)} findings are yes; doctor sees that it is in a container"


def saves(place: Place) -> str:
    """Command lab epoll --save; then show without any privilege."""
    place.run("--privileged", IMAGE, "lab", "epoll", "--save", "run.iolab", status=0, says="confirmed", mount=True)
    made = (place.folder / "run.iolab").stat()
    if (made.st_uid, made.st_gid) != OWNER:
        raise Unmet(f"the file belongs to {made.st_uid}:{made.st_gid}, the folder to {OWNER[0]}:{OWNER[1]}")
    shown = ("--read-only", "--network", "none", IMAGE, "show", "run.iolab")
    place.run(*shown, status=0, says="statements checked", mount=True)
    return f"the file belongs to {made.st_uid}:{made.st_gid}, as the folder does"


def traces(place: Place) -> str:
    """Command trace -- CMD."""
    done = place.run("--privileged", IMAGE, "trace", "--", "sh", "-c", "echo out; exit 7", status=7, says="0 lost, 0 unmatched")
    if done.stdout != "out\n":
        raise Unmet(f"stdout must have the program's output only, but it has: {last_part(done.stdout)}")
    return "status and stdout are those of the command"


SERVER = (
    "import socket, threading\n"
    + """
def serve(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)

listener = socket.create_server(("127.0.0.1", int(__import__("sys").argv[1])), backlog=128)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
)


def marks_a_server(place: Place) -> str:
    """Commands check, grade and grade-all on a server in the mounted folder."""
    folder = place.folder / "class" / "ada"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "server.py").write_text(SERVER)
    for path in (folder.parent, folder, folder / "server.py"):
        os.chown(path, *OWNER)
    server = ("--", "python3", "server.py", "{port}")
    checked = ("--", "python3", "class/ada/server.py", "{port}")
    place.run("--privileged", IMAGE, "check", "threads", *checked, status=0, says="checks are met", mount=True)
    graded = place.run(
        "--privileged", IMAGE, "grade", "threads", "--folder", "class/ada", "--junit", "ada.xml", *server,
        status=0, says="100 of 100 points", mount=True,
    )  # fmt: skip
    if graded.stdout or not (place.folder / "ada.xml").exists():
        raise Unmet(f"grade printed on stdout, or wrote no JUnit XML: {last_part(graded.stdout)}")
    place.run("--privileged", IMAGE, "grade-all", "threads", "class", *server, status=0, says="ada", mount=True)
    place.run("--privileged", IMAGE, "grade", "select", "--folder", "class/ada", *server, status=1, mount=True)
    missing = [line for line in one_line(graded.stderr).split("iolab: ") if line.startswith("not protected")]
    return "100 points for threads, fewer for select" + (f"; {'; '.join(missing)}" if missing else "")


def does_exercises(place: Place) -> str:
    """Command exercise: the list without privileges, a skeleton in the mounted folder, and its check."""
    place.run(IMAGE, "exercise", status=0, says="epoll")
    place.run(IMAGE, "exercise", "blocking", status=0, mount=True)
    files = list(place.folder.rglob("blocking*.py"))
    if not files or files[0].stat().st_uid != OWNER[0]:
        raise Unmet(f"no skeleton of the folder's owner: {files}")
    place.run("--privileged", IMAGE, "exercise", "blocking", "--check", status=1, mount=True)
    return f"{files[0].name}, whose check names the gaps"


def draws_with_extras(place: Place) -> str:
    """Figures as PDF and PNG, and traces for Perfetto: a sentence without the extras, files with them."""
    figure = ("figure", "blocking", "--recording", "/opt/iolab/tests/data/blocking.iolab", "--out")
    words = "docker build --build-arg EXTRAS=pictures -t iolab ."
    place.run(IMAGE, *figure, "figure.pdf", status=2, says=words, mount=True)
    place.run(IMAGE, *figure, "figure.svg", status=0, mount=True)
    tag = f"{IMAGE}:extras"
    daemons.build(place.docker, tag, place.network, {"EXTRAS": "pictures perfetto", **place.settings})
    try:
        for name, begin in (("figure.pdf", b"%PDF"), ("figure.png", b"\x89PNG")):
            place.run(tag, *figure, name, status=0, mount=True)
            if not (place.folder / name).read_bytes().startswith(begin):
                raise Unmet(f"{name} is not what its name says")
        shown = ("show", "/opt/iolab/tests/data/blocking.iolab", "--perfetto", "run.pftrace")
        place.run(tag, *shown, status=0, mount=True)
        size = int(place.docker.ask("image", "inspect", "--format", "{{.Size}}", tag))
    finally:
        place.docker.run("image", "rm", tag)
    return f"PDF, PNG and a trace for Perfetto; with the extras the image has {size / 1e6:.0f} MB"


def lists(place: Place) -> str:
    """Commands labs, claims, --help and bash, without privileges."""
    place.run(IMAGE, "labs", status=0, says="epoll")
    place.run(IMAGE, "claims", status=0, says="C22")
    place.run(IMAGE, "--help", "lab", status=0, says="--clients")
    place.run(IMAGE, "bash", "-c", "iolab --list", status=0, says="doctor")
    place.run(IMAGE, "bash", "-c", "iolab trace", status=2, says="a program to run iolab trace -- CMD")
    place.run(IMAGE, "nonsense", status=2, says="nonsense")
    return "the same output as without a container"


def invokes(place: Place) -> str:
    """In a shell inside, the command invoke, in any folder."""
    place.run(IMAGE, "bash", "-c", "cd /tmp && invoke", status=0, says="Usage: invoke COMMAND")
    place.run(IMAGE, "bash", "-c", "cd / && invoke lab", status=0, says="epoll")
    lab = "mkdir /tmp/a && cd /tmp/a && touch tasks.py && invoke lab epoll --save run.iolab && invoke show run.iolab"
    place.run("--privileged", IMAGE, "bash", "-c", lab, status=0, says="statements checked")
    return "invoke and invoke lab list, invoke lab epoll runs"


def does_with_least(place: Place) -> str:
    """The least privileges: lab epoll --save, lab io_uring, trace."""
    place.run(*LEAST, IMAGE, "lab", "epoll", "--save", "least.iolab", status=0, mount=True)
    if (place.folder / "least.iolab").stat().st_uid != OWNER[0]:
        raise Unmet("the file does not belong to the folder's owner")
    place.run(*LEAST, IMAGE, "lab", "io_uring", status=0)
    place.run(*LEAST, IMAGE, "trace", "--", "ls", status=0, says="0 lost, 0 unmatched")
    return "CAP_BPF, CAP_PERFMON, CAP_SYSLOG, no seccomp filter"


def needs_each(place: Place) -> str:
    """Without CAP_BPF, CAP_PERFMON or CAP_SYSLOG."""
    needed = {"BPF": "tracing needs root", "PERFMON": "tracing needs root", "SYSLOG": "/proc/kallsyms hides addresses"}
    for missing, words in needed.items():
        held = [word for capability in needed if capability != missing for word in ("--cap-add", capability)]
        status = 0 if missing == "SYSLOG" and _addresses_are_public() else 4
        place.run("--cap-drop", "ALL", *held, IMAGE, "lab", "epoll", status=status, says="" if status == 0 else words)
    public = (
        "; CAP_SYSLOG is not needed here, since this machine shows addresses to all users" if _addresses_are_public() else ""
    )
    return f"status 4, and the missing capability{public}"


def _addresses_are_public() -> bool:
    """Whether /proc/kallsyms shows addresses without CAP_SYSLOG (kallsyms_show_value() of the kernel)."""
    return _sysctl("kptr_restrict") < 1 and _sysctl("perf_event_paranoid") < 2


def _sysctl(name: str) -> int:
    return int(Path("/proc/sys/kernel", name).read_text())


def speaks_to_a_terminal(place: Place) -> str:
    """Command lab epoll on a terminal (-it)."""
    ours, theirs = pty.openpty()
    line = [place.docker.program, *place.line("-it", "--privileged", IMAGE, "lab", "epoll")]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            line, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | place.docker.environment | {"TERM": "xterm"}
        )
        os.close(theirs)
        with process, killed_after(120, process):
            said = b""
            with contextlib.suppress(OSError):  # EIO: no process has the other end open any more
                while data := terminal.read(1 << 16):
                    said += data
    text = said.decode(errors="replace")
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    if process.returncode or plain == text or "statements checked" not in plain:
        raise Unmet(f"status {process.returncode}, {'no' if plain == text else 'with'} colours: {last_part(plain)}")
    return "the report in colours"


def refuses_without(place: Place) -> str:
    """Without --privileged."""
    place.run(IMAGE, "lab", "epoll", status=4, says="docker run --privileged")
    place.run(IMAGE, "doctor", status=4, says="No lab can run here until this is repaired: privileges")
    place.run(IMAGE, status=4, says="docker run --privileged")
    return "status 4, and the right command"


def refuses_users(place: Place) -> str:
    """With --privileged, but with a --user other than root."""
    place.run("--privileged", "--user", "65534", IMAGE, "lab", "epoll", status=4, says="no --user")
    return "status 4, and the right command"


def refuses_rootless(place: Place) -> str:
    """Root of a user namespace, as in rootless Docker and Podman."""
    line = ("unshare", "--user", "--map-root-user", "iolab", "lab", "epoll")
    place.run("--privileged", "--entrypoint", line[0], IMAGE, *line[1:], status=4, says="root of a user namespace only")
    return "status 4, and the reason"


def refuses_without_btf(place: Place) -> str:
    """Without BTF (an empty folder hides it)."""
    place.run("--privileged", "--tmpfs", "/sys/kernel/btf", IMAGE, "lab", "epoll", status=4, says="CONFIG_DEBUG_INFO_BTF")
    return "status 4, and which kernels have it"


def refuses_filtered(place: Place) -> str:
    """With a seccomp filter that refuses bpf(), as Podman's does, and with Docker's, which refuses io_uring."""
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
    return "status 4, and the option that removes the filter; Docker's filter allows all labs but io_uring"


def runs_twice(place: Place) -> str:
    """Two containers at the same time."""
    both = [place.docker.start(*place.line("--privileged", IMAGE, "lab", name, "--json")) for name in ("epoll", "blocking")]
    calls = []
    for process in both:
        output, errors = process.communicate(timeout=120)
        ended(subprocess.CompletedProcess(process.args, process.returncode, output, errors), 0)
        calls.append({call["name"] for call in codec.loads(output)["calls"]})
    if "epoll_wait" not in calls[0] or "epoll_wait" in calls[1]:
        raise Unmet(f"one container saw the calls of the other: {calls}")
    return "each container saw its own server only"


def stops(place: Place) -> str:
    """Docker stop in the middle of a lab."""
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
    """Ctrl-C in the middle of a lab."""
    lab = ("--privileged", IMAGE, "lab", "epoll", "--messages", "300")
    with place.running(*lab, until="traced:") as (_, process):
        process.send_signal(2)  # the docker command passes it on to process 1
        _, errors = process.communicate(timeout=20)
    ended(subprocess.CompletedProcess(process.args, process.returncode, "", errors), 130, "interrupted")
    return "status 130, and no process is left"


def is_killed(place: Place) -> str:
    """Docker kill in the middle of a lab."""
    before = host.look()
    lab = ("--privileged", IMAGE, "lab", "epoll", "--messages", "300")
    with place.running(*lab, until="traced:") as (name, process):
        loaded = len(host.look().bpf_programs - before.bpf_programs)
        if not loaded:
            raise Unmet("the running lab had no BPF program")
        place.docker.ask("kill", name)
        process.wait(20)
    if changed := host.differences(before):
        raise Unmet("; ".join(changed[:5]))
    return f"{loaded} BPF programs before, none after"


def reaps_orphans(place: Place) -> str:
    """Process 1 reaps orphans."""
    script = (
        # each child ends after its parent, so process 1 must reap it
        "for i in 1 2 3; do (setsid sh -c 'sleep 0.2' &) ; done; sleep 0.6; cat /proc/[0-9]*/stat | grep -c ') Z ' || true"
    )
    done = place.run(IMAGE, "sh", "-c", script, status=0)
    if done.stdout.strip() != "0":
        raise Unmet(f"{done.stdout.strip()} zombies")
    return "no zombie of 3 orphans"


@contextlib.contextmanager
def _user_without_root(place: Place) -> Iterator[tuple[str, dict[str, Any]]]:
    """A user in Docker's group, not root: the path of ./iolab in the user's checkout, and the options for subprocess."""
    docker = place.docker
    with tempfile.TemporaryDirectory(prefix="iolab-user-") as name:
        home = Path(name)
        home.chmod(0o755)
        shutil.copytree(daemons.ROOT, home / "iolab", ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache"))
        if folder := docker.environment.get("DOCKER_CONFIG"):
            shutil.copytree(folder, home / ".docker")
        _write_docker_command(place, home)
        for path in (home, *home.rglob("*")):
            os.chown(path, *OWNER, follow_symlinks=False)
        environment = {"PATH": f"{home / 'bin'}:/usr/bin:/bin", "HOME": name, "DOCKER_HOST": f"unix://{docker.socket}"}
        yield str(home / "iolab" / "iolab"), {
            "cwd": place.folder, "text": True, "stdin": subprocess.DEVNULL, "env": environment,
            "user": OWNER[0], "group": OWNER[1], "extra_groups": [docker.socket.stat().st_gid],
        }  # fmt: skip


def _write_docker_command(place: Place, home: Path) -> None:
    """The user's docker command: a build also gets the options that this machine needs to reach its packages."""
    shutil.copy(place.docker.program, home / "docker")
    options = " ".join([*place.network, *(f"--build-arg {key}={value}" for key, value in place.settings.items())])
    (home / "bin").mkdir()
    wrapper = home / "bin" / "docker"
    wrapper.write_text(
        f'#!/bin/sh\nif [ "$1" = build ]; then shift; set -- build {options} "$@"; fi\nexec {home}/docker "$@"\n'
    )
    wrapper.chmod(0o755)


def starts_by_itself(place: Place) -> str:
    """./iolab lab epoll by a user in Docker's group, not root; ./iolab trace of a server with a client outside."""
    with _user_without_root(place) as (iolab, options):
        done = subprocess.run([iolab, "lab", "epoll", "--save", "mine.iolab"], capture_output=True, **options)
        ended(done, 0, "in the container image iolab")
        if "./iolab lab blocking" not in done.stdout:
            raise Unmet(f"the report does not name ./iolab in the next commands: {last_part(done.stdout)}")
        if (place.folder / "mine.iolab").stat().st_uid != OWNER[0]:
            raise Unmet("the file does not belong to the user")
        _serve_outside([iolab, "trace", "--"], options)
    return f"./iolab built and used the image; the file belongs to user {OWNER[0]}; the server answered"


def _serve_outside(trace: list[str], options: dict[str, Any]) -> None:
    """Traces a web server in a container, and sends a request from outside."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = [*trace, "python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with (
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process,
        killed_after(120, process),
    ):
        answer = b""
        while not answer and process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /mine.iolab HTTP/1.0\r\n\r\n")
                answer = client.recv(12)
            time.sleep(0.05)
        process.send_signal(2)
        _, errors = process.communicate()
    if not answer.endswith(b"200"):
        raise Unmet(f"the server did not answer a client outside: {answer!r}, {last_part(errors)}")
    for words in ("packet -> TCP", "0 lost, 0 unmatched"):
        if words not in one_line(errors):
            raise Unmet(f"the trace of a server does not have {words!r}: {last_part(errors)}")


def tests_itself(place: Place) -> str:
    """Command test: live tests in the container."""
    options = [*place.network, *(word for name in place.settings.items() for word in ("--env", "=".join(name)))]
    chosen = [] if place.whole else ["--live", "tests/runs", "tests/probes", "-k", _SOME_LIVE_TESTS]
    line = place.line("--privileged", *options, IMAGE, "test", *chosen)
    done = place.docker.run(*line, timeout=3600 if place.whole else 900)
    if done.returncode:
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        raise Unmet("; ".join(failed) or f"ended with {done.returncode}: {last_part(done.stdout + done.stderr)}")
    return next((line.strip("= ") for line in reversed(done.stdout.splitlines()) if "passed" in line), "passed")


TRIALS: dict[str, Callable[[Place], str]] = {
    trial.__name__: trial
    for trial in (
        is_small, examines, saves, traces, marks_a_server, does_exercises, draws_with_extras, speaks_to_a_terminal, lists,
        invokes, refuses_without, refuses_users,
        refuses_rootless, refuses_without_btf, refuses_filtered, does_with_least, needs_each, runs_twice, stops,
        is_interrupted, is_killed, reaps_orphans, compares, starts_by_itself, tests_itself,
    )
}  # fmt: skip
