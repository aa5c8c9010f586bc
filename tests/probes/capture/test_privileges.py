"""The errors where tracing is not allowed, in real processes with fewer capabilities or as root of a user namespace."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from probes.capture.privileges import State, capabilities, container, status
from probes.kernel.syscalls import numbers
from tests.conftest import ROOT, tool

ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from probes.capture import privileges
from probes.errors import CannotTrace
found = {one.name: [one.state, one.found, one.remedy] for one in
         (privileges.capabilities(), privileges.bpf_call(), privileges.symbols(), privileges.container())}
try:
    privileges.need_privileges()
    refused = None
except CannotTrace as error:
    refused = [error.code, error.problem, error.remedy]
print(json.dumps({"found": found, "refused": refused}))
"""


def asked(*wrapper: str) -> dict[str, Any]:
    """The findings of a process with fewer capabilities, and the error that it gets."""
    if os.geteuid() != 0 or capabilities().state is not State.YES:
        pytest.skip("only who has all privileges can start a process with fewer; run the tests as root")
    done = subprocess.run([*wrapper, sys.executable, "-c", ASK, str(ROOT)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{wrapper[0]} can't do that here: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def without(*names: str) -> dict[str, Any]:
    lost = ",".join(f"-{name}" for name in names)
    return asked(tool("setpriv", "util-linux"), f"--bounding-set={lost}", f"--inh-caps={lost}")


def test_all_privileges_are_enough() -> None:
    found = asked()
    assert found["refused"] is None
    state, words, remedy = found["found"]["privileges"]
    assert (state, remedy) == ("yes", "") and words.startswith("root has all needed capabilities")


@pytest.mark.parametrize(
    ("lost", "state"),
    [
        (("sys_resource",), "yes"),  # it only raises limits
        (("sys_admin",), "limited"),
        (("bpf", "perfmon"), "limited"),  # CAP_SYS_ADMIN holds them both
        (("sys_admin", "sys_resource"), "limited"),
    ],
)
def test_less_is_enough_and_what_lacks_is_named(lost: tuple[str, ...], state: str) -> None:
    found = without(*lost)
    assert found["refused"] is None
    assert found["found"]["privileges"][0] == state
    assert all(f"CAP_{name.upper()}" in found["found"]["privileges"][1] for name in lost)


@pytest.mark.parametrize("other", ["bpf", "perfmon"])
def test_too_little_is_refused_with_what_to_do(other: str) -> None:
    found = without("sys_admin", other)
    code, problem, remedy = found["refused"]
    assert code == 4 and "CAP_BPF and CAP_PERFMON" in problem
    assert ("sudo ./iolab" in remedy) != ("--privileged" in remedy), "one of them, by where we are"
    assert f"CAP_{other.upper()}" in found["found"]["privileges"][1]


def test_a_filter_that_refuses_bpf_is_named() -> None:
    """Podman's own filter refuses it, even to a process with CAP_BPF."""
    call = numbers(platform.machine())["bpf"]
    found = asked(sys.executable, "-m", "tests.refusing", str(call), str(errno.EPERM))
    code, problem, remedy = found["refused"]
    assert code == 4 and "a seccomp filter refuses bpf()" in problem and "seccomp=unconfined" in remedy
    assert found["found"]["privileges"][0] == "yes"


def test_without_privileges_a_refused_bpf_says_nothing_more() -> None:
    state, words, _ = without("sys_admin", "bpf")["found"]["bpf()"]
    assert state == "info" and "privileges are missing" in words


def test_hidden_symbols_are_refused() -> None:
    """kallsyms_show_value(): without CAP_SYSLOG addresses are shown only if both sysctls are at their most open."""
    found = without("syslog")
    restrict, paranoid = (int(Path("/proc/sys/kernel", name).read_text()) for name in ("kptr_restrict", "perf_event_paranoid"))
    if restrict == 0 and paranoid <= 1:
        assert found["refused"] is None
        return
    code, problem, remedy = found["refused"]
    assert code == 4 and "/proc/kallsyms" in problem and "CAP_SYSLOG" in remedy


def test_root_of_a_user_namespace_is_refused() -> None:
    found = asked(tool("unshare", "util-linux"), "--user", "--map-root-user")
    code, problem, remedy = found["refused"]
    assert code == 4 and "user namespace" in problem and "rootless" in problem
    assert "sudo docker run --privileged" in remedy
    assert found["found"]["privileges"][0] == "yes", "its capabilities look complete: they hold in its namespace only"


def test_a_pid_namespace_is_a_container_and_no_obstacle() -> None:
    found = asked(tool("unshare", "util-linux"), "--pid", "--fork", "--mount-proc")
    assert found["refused"] is None
    state, words, _ = found["found"]["container"]
    assert state == "info" and words.startswith("yes (")


def test_a_field_of_ones_own_status() -> None:
    assert int(status("Pid")) == os.getpid()
    assert status("NoSuchField") == ""
    assert container().name == "container"
