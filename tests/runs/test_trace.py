"""Any program under the probes: its input, output, signals and status stay its own, and its figures are right."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import pty
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from probes.kernel import syscalls
from probes.patience import PATIENCE
from tests.conftest import COMMAND, iolab, started_anew, tool

pytestmark = pytest.mark.live
INVOKE = COMMAND


def test_output_is_the_programs_and_the_answer_goes_to_stderr(kernel: None) -> None:
    done = iolab("trace", "--", "cat", "-", stdin="a b\n")
    assert done.stdout == "a b\n"
    assert "trace cat -" in done.stderr and "system calls" in done.stderr


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_the_status_is_the_programs(kernel: None, script: str, status: int) -> None:
    assert iolab("trace", "--", "sh", "-c", script).returncode == status


def test_the_heading_names_the_signal_that_ended_the_program(kernel: None) -> None:
    killed = iolab("trace", "--brief", "--", "sh", "-c", "kill -SEGV $$")
    assert re.search(r"exit status 139 \(SIGSEGV(, core dumped)?\)", " ".join(killed.stderr.split()))
    exited = iolab("trace", "--brief", "--", "sh", "-c", "exit 139")
    assert "exit status 139 1 process" in " ".join(exited.stderr.split())


def test_arguments_arrive_as_they_were(kernel: None) -> None:
    done = iolab("trace", "--", "printf", "%s|", "a b", "", "--json", "$HOME", "*")
    assert done.stdout == "a b||--json|$HOME|*|"


def test_the_program_gets_the_signals_that_it_would_have_had(kernel: None) -> None:
    """SIGPIPE would kill it, for one, though Python ignores that signal: masks and dispositions are as without us."""
    look = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]
    plain = subprocess.run(look, capture_output=True, text=True).stdout
    assert plain.count("Sig") == 3
    assert started_anew("trace", "--", *look).stdout == plain
    nohup = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh"]
    ignoring = subprocess.run([*nohup, *look], capture_output=True, text=True).stdout
    assert subprocess.run([*nohup, *INVOKE, "trace", "--", *look], capture_output=True, text=True).stdout == ignoring != plain


def test_open_descriptors_reach_the_program(kernel: None) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    line = [*INVOKE, "trace", "--", "bash", "-c", f"echo through >&{writer}"]
    subprocess.run(line, close_fds=False, check=True, stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "through\n"


def test_the_environment_is_the_programs(kernel: None) -> None:
    traced = started_anew("trace", "--", "env", IOLAB_CALLED="./iolab").stdout
    assert "BCC_KERNEL_SOURCE" not in traced and "IOLAB_CALLED" not in traced and "PATH=" in traced


def test_a_key_that_interrupts_is_delivered_once(kernel: None) -> None:
    """Ctrl-\\ on a terminal reaches the whole foreground group: passing it on would deliver it twice."""
    script = "import signal, sys; print('ready', flush=True); got = signal.sigtimedwait([3], 10) and 1; got += bool("
    script = "import signal; signal.pthread_sigmask(0, [3]); " + script + "signal.sigtimedwait([3], 0.5)); print(got)"
    line = [tool("setsid", "util-linux"), "--ctty", "--wait", *INVOKE, "trace", "--", "/usr/bin/python3", "-c", script]
    ours, theirs = pty.openpty()
    with subprocess.Popen(line, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as runner:
        os.close(theirs)
        assert runner.stdout
        assert runner.stdout.readline() == "ready\n"
        os.write(ours, b"\x1c")
        assert runner.stdout.readline() == "1\n"
    os.close(ours)


def test_any_bytes_in_a_command_can_be_shown(kernel: None) -> None:
    done = subprocess.run([*INVOKE, "trace", "--", "true", b"\xff\xc3"], capture_output=True)
    assert done.returncode == 0 and b"trace true" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_us_is_passed_on(kernel: None, how: signal.Signals) -> None:
    """SIGINT, too, where no terminal sends it to the program itself: in a container without -t, for one."""
    script = "trap 'echo got; exit 5' TERM HUP INT; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [*INVOKE, "trace", "--", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as runner:  # fmt: skip
        assert runner.stdout
        assert runner.stdout.readline() == "ready\n"
        runner.send_signal(how)
        assert runner.stdout.readline() == "got\n"
        assert runner.wait(20 * PATIENCE) == 5


def test_a_signal_reaches_the_program_also_from_the_background_of_a_script(kernel: None) -> None:
    """A shell without job control starts background commands with SIGINT ignored (POSIX, 2.11); the program handles SIGINT."""
    script = "import signal; signal.pthread_sigmask(0, [2]); print('ready', flush=True); print(signal.sigtimedwait([2], 10))"
    ours, theirs = pty.openpty()  # a terminal does not change that: its driver did not send the signal
    setsid = [tool("setsid", "util-linux"), "--ctty", "--wait", "sh", "-c", '"$@" & echo $!; wait; wait', "sh"]
    with subprocess.Popen(
        [*setsid, *INVOKE, "trace", "--", "/usr/bin/python3", "-c", script],
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as shell:  # fmt: skip
        os.close(theirs)
        assert shell.stdout
        pid = int(shell.stdout.readline())
        assert shell.stdout.readline() == "ready\n"
        os.kill(pid, signal.SIGINT)
        assert "si_signo=2" in shell.stdout.readline()
    os.close(ours)


def test_a_forwarded_signal_does_not_cut_the_recording_of_children(kernel: None, tmp_path: Path) -> None:
    answer = tmp_path / "a"
    reader, writer = os.pipe()
    child = "echo child; read line; echo late"
    script = f"exec 4<&0; trap 'exit 5' TERM; sh -c '{child}' <&4 2>/dev/null & while :; do sleep 0.05; done"
    with subprocess.Popen(
        [*INVOKE, "trace", "--json", "--out", str(answer), "--", "sh", "-c", script],
        stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as runner:  # fmt: skip
        os.close(reader)
        assert runner.stdout and runner.stderr
        assert runner.stdout.readline() == "child\n"
        runner.terminate()
        while "still run" not in (line := runner.stderr.readline()):
            assert line, "the recording ended with the program"
        os.write(writer, b"\n")
        assert runner.stdout.readline() == "late\n"
        assert runner.wait(20 * PATIENCE) == 5
    os.close(writer)
    assert all(thread["ended"] for thread in json.loads(answer.read_text())["threads"])


def test_ctrl_c_after_the_program_gives_up_the_report_and_keeps_the_recording(kernel: None, tmp_path: Path) -> None:
    saved = tmp_path / "b.iolab"
    loop = "import os\nfor number in range(200000): os.getppid()"
    line = [*INVOKE, "trace", "--save", str(saved), "--", "/usr/bin/python3", "-c", loop]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as runner:
        assert runner.stderr
        while "reading the recorded events" not in (said := runner.stderr.readline()):
            assert said
        runner.send_signal(signal.SIGINT)
        rest = runner.stderr.read()
        assert runner.wait(60 * PATIENCE) == 130 and "system calls" not in rest and "Traceback" not in rest
    found = json.loads(iolab("show", str(saved), "--json").stdout)
    assert sum(call["count"] for call in found["calls"] if call["name"] == "getppid") == 200000


def test_json_and_a_recording_of_any_program(kernel: None, tmp_path: Path) -> None:
    saved, answer = tmp_path / "ls.iolab", tmp_path / "ls.json"
    done = iolab("trace", "--json", "--save", str(saved), "--out", str(answer), "--", "ls", "/")
    assert done.returncode == 0 and "bin" in done.stdout
    found = json.loads(answer.read_text())
    assert (found["schema_version"], found["command"], found["status"], found["lab"]) == (2, ["ls", "/"], 0, None)
    again = iolab("show", str(saved), "--json")
    assert json.loads(again.stdout) == found


@pytest.mark.parametrize(
    ("command", "words"), [([], "needs a program"), (["no-such-program"], "there is no program 'no-such-program'")]
)
def test_wrong_usage_is_2(command: list[str], words: str) -> None:
    done = iolab("trace", "--", *command)
    assert done.returncode == 2 and words in done.stderr


def test_children_that_outlive_the_program_are_waited_for(kernel: None, tmp_path: Path) -> None:
    done = iolab("trace", "--json", "--out", str(tmp_path / "a"), "--", "sh", "-c", "(sleep 0.5; echo late >&2) & exit 0")
    found = json.loads((tmp_path / "a").read_text())
    assert "late" in done.stderr
    assert any(thread["name"] == "sleep" and thread["ended"] for thread in found["threads"])


def test_what_is_killed_with_us_is_the_program(kernel: None) -> None:
    line = [*INVOKE, "trace", "--", "sh", "-c", "echo $$; exec sleep 60"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as runner:
        assert runner.stdout
        pid = int(runner.stdout.readline())
        runner.kill()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has gone
        for _ in range(200):
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return
            time.sleep(0.05)
        pytest.fail("the traced program outlived the tracer")


# -- servers of other projects -----------------------------------------------------------------------------------------

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hi\\n"; }} }} }}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def serving(command: list[str], port: int, requests: list[bytes], answer: bytes, answer_file: Path) -> dict[str, Any]:
    """Traces a server, sends a request, ends the server, and returns the result."""
    line = [*INVOKE, "trace", "--json", "--out", str(answer_file), "--", *command]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as runner:
        deadline = time.monotonic() + 30 * PATIENCE
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                if runner.poll() is not None or time.monotonic() > deadline:
                    runner.kill()
                    pytest.fail(f"it does not answer; {runner.communicate()[1]}")
                time.sleep(0.02)
        with connection:
            connection.settimeout(20 * PATIENCE)
            while not waits_for_events(psutil.Process(runner.pid)):  # or each wait may find the next request already there
                assert time.monotonic() < deadline, "the server never waits in epoll_wait"
                time.sleep(0.01)
            for request in requests:
                connection.sendall(request)
                seen = b""
                while answer not in seen:
                    seen += connection.recv(4096)
        runner.terminate()
        runner.communicate(timeout=60 * PATIENCE)
    found: dict[str, Any] = json.loads(answer_file.read_text())
    assert found["events"]["lost"] == found["events"]["unmatched"] == 0
    return found


def waits_for_events(runner: psutil.Process) -> bool:
    """Does a process that the runner started sleep in epoll_wait or epoll_pwait? (man 5 proc_pid_syscall)"""
    numbers = syscalls.numbers(platform.machine())
    waits = {str(numbers[name]) for name in ("epoll_wait", "epoll_pwait") if name in numbers}
    with contextlib.suppress(psutil.NoSuchProcess, OSError):
        return any(
            Path(f"/proc/{child.pid}/syscall").read_text().split()[0] in waits for child in runner.children(recursive=True)
        )
    return False


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; with it this test runs")
    return found


def row(found: dict[str, Any], *names: str) -> dict[str, Any]:
    (row,) = [row for row in found["calls"] if row["name"] in names]
    return dict(row)


def test_nginx(kernel: None, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "conf").write_text(NGINX.format(folder=tmp_path, port=port))
    command = [program("nginx"), "-p", str(tmp_path), "-e", str(tmp_path / "errors"), "-c", str(tmp_path / "conf")]
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    found = serving(command, port, [request] * 101, b"hi\n", tmp_path / "answer")
    reads = row(found, "recvfrom")
    assert reads["bytes"] == 101 * len(request)
    command_to_worker = 32  # ngx_channel_t, over a pair of unix sockets: the worker is to end
    assert found["messages"]["bytes"] - 101 * len(request) in (0, command_to_worker)
    waits = row(found, "epoll_wait", "epoll_pwait")
    assert {slept["queue"] for slept in waits["slept_on"]} == {"epoll"}
    assert any("ep_poll_callback" in chain for slept in waits["slept_on"] for chain in slept["woken_by"])


def test_redis(kernel: None, tmp_path: Path) -> None:
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    found = serving(command, port, [b"PING\r\n"] * 101, b"PONG\r\n", tmp_path / "answer")
    assert found["messages"]["count"] == 101 and found["messages"]["bytes"] == 101 * 6
    assert len(found["threads"]) > 1, "redis has background threads"


def test_node(kernel: None, tmp_path: Path) -> None:
    port = free_port()
    script = f"require('net').createServer(s => s.pipe(s)).listen({port}, '127.0.0.1')"
    found = serving([program("node"), "-e", script], port, [b"hello"] * 101, b"hello", tmp_path / "answer")
    assert found["messages"]["count"] == 101 and found["messages"]["bytes"] == 505
