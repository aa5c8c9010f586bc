"""No code, header or setting is taken from the current folder, the home folder or the environment (docs/security.md)."""

from __future__ import annotations

import ast
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from tests.conftest import COMMAND, DATA, ROOT, cannot, tool

STANDARD = ("json", "zipfile", "socket", "signal", "selectors", "sitecustomize", "usercustomize", "select", "asyncio")
OTHERS = ("invoke", "psutil", "bcc", "rich", "pyroute2", "tasks", "commands", "probes", "labs", "servers")
ROOMS = ("commands", "findings", "labs", "probes", "reports", "runs", "servers")
PURE = [["labs"], ["claims"], ["show", str(DATA / "epoll.iolab")], ["lab", "epoll", "--questions"]]
LIVE = [["lab", "epoll", "--messages", "2"], ["lab", "terms"], ["doctor"], ["trace", "--", "/bin/true"]]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose modules and settings leave a mark when a process reads them."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in (*STANDARD, *OTHERS):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'a').write('{name} ')\n")
    for name in ("invoke.yaml", ".invoke.yaml", "invoke.json", ".invoke.json"):
        (folder / name).write_text("{")  # neither YAML nor JSON: a reader fails
    packages = folder / ".local" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"  # of the user (PEP 370)
    packages.mkdir(parents=True)
    for name in ("usercustomize", "sitecustomize", "invoke", "psutil"):
        shutil.copy(folder / f"{name}.py", packages)
    (packages / "hostile.pth").write_text(f"import os; open({str(tmp_path / 'mark')!r}, 'a').write('pth ')\n")
    for header in ("linux/types.h", "uapi/linux/bpf.h", "fold.h", "linux/kconfig.h"):
        path = folder / header
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#error a header of the current folder\n")
    return folder


def started(line: list[str], hostile: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *line], cwd=hostile, capture_output=True, text=True, timeout=120, env=os.environ | environment
    )
    mark = hostile.parent / "mark"
    assert not mark.exists(), f"taken from the folder: {mark.read_text()}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("line", PURE, ids=" ".join)
def test_no_code_comes_from_a_hostile_folder(hostile: Path, line: list[str]) -> None:
    assert started(line, hostile).returncode == 0


@pytest.mark.live
@pytest.mark.parametrize("line", LIVE, ids=" ".join)
def test_no_code_comes_from_a_hostile_folder_while_tracing(kernel: None, hostile: Path, line: list[str]) -> None:
    done = started(line, hostile)
    assert done.returncode == 0, done.stderr


def hostile_environment(hostile: Path) -> dict[str, str]:
    """What `sudo -E`, or a shell that another user prepared, may bring."""
    return {
        "PYTHONPATH": str(hostile), "PYTHONSTARTUP": str(hostile / "json.py"), "PYTHONUSERBASE": str(hostile / ".local"),
        "PYTHONHOME": str(hostile), "PYTHONINSPECT": "1", "PYTHONPLATLIBDIR": str(hostile), "PYTHONBREAKPOINT": "tasks.x",
        "PYTHONPYCACHEPREFIX": str(hostile), "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1",
        "INVOKE_RUNTIME_CONFIG": str(hostile / "invoke.yaml"), "INVOKE_TASKS_COLLECTION_NAME": "json",
        "INVOKE_TASKS_EXECUTOR_CLASS": "tasks.Executor", "INVOKE_RUN_SHELL": str(hostile / "json.py"),
        "HOME": str(hostile), "XDG_CONFIG_HOME": str(hostile),
    }  # fmt: skip


def test_the_environment_brings_no_code(hostile: Path) -> None:
    assert started(["labs"], hostile, **hostile_environment(hostile)).returncode == 0


@pytest.mark.live
def test_the_environment_brings_no_code_to_servers_and_clients(kernel: None, hostile: Path) -> None:
    done = started(["lab", "epoll", "--messages", "2"], hostile, **hostile_environment(hostile))
    assert done.returncode == 0, done.stderr


def test_the_script_takes_no_code_of_the_folder_and_the_environment(hostile: Path) -> None:
    if not (ROOT / ".venv" / "pins").exists():
        cannot("there is no .venv of ./iolab here", "./iolab test")
    environment = os.environ | hostile_environment(hostile) | {"ENV": str(hostile / "json.py"), "BASH_ENV": "json.py"}
    done = subprocess.run([str(ROOT / "iolab"), "labs"], cwd=hostile, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not (hostile.parent / "mark").exists(), (hostile.parent / "mark").read_text()


def test_the_tests_are_started_without_the_environment_too(hostile: Path) -> None:
    done = started(["test", "--collect-only", "-q", "tests/test_security.py"], hostile, **hostile_environment(hostile))
    assert done.returncode == 0, done.stdout


def test_every_python_that_we_start_is_isolated() -> None:
    """-I: Python does not import from the current folder, PYTHONPATH and the user's packages."""
    for path in (path for room in (*ROOMS, "machines") for path in sorted((ROOT / room).rglob("*.py"))):
        if "sys.executable" not in (text := path.read_text()):
            continue
        for node in ast.walk(ast.parse(text)):
            words = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List) else []
            for word, option in itertools.pairwise([*words, ast.Constant("")]):
                if isinstance(word, ast.Attribute) and ast.unparse(word) == "sys.executable":
                    isolated = isinstance(option, ast.Constant) and option.value == "-I"
                    assert isolated, f"{path.relative_to(ROOT)}:{word.lineno}: sys.executable without -I"


def test_the_environment_names_no_program_to_execute(tmp_path: Path) -> None:
    """A command that lacks a privilege goes back to ./iolab: to the file beside tasks.py, not to what a variable names."""
    for name in ("sh", "id", "cmp", "uname", "cat", "dirname"):  # ./iolab needs these; docker is left out
        (tmp_path / name).symlink_to(tool(name, "coreutils diffutils"))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho taken >{tmp_path / 'mark'}\n")
    program.chmod(0o755)
    line = [tool("setpriv", "util-linux"), "--bounding-set", "-all", "--inh-caps", "-all", *COMMAND, "lab", "epoll"]
    for name in ("IOLAB_SCRIPT", "IOLAB_STARTED"):
        environment = os.environ | {"IOLAB_PREPARED": "", name: str(program), "PATH": str(tmp_path)}
        done = subprocess.run(line, capture_output=True, text=True, env=environment)
        assert done.returncode == 4 and not (tmp_path / "mark").exists(), done.stderr


@pytest.mark.live
def test_the_environment_brings_no_headers(kernel: None, hostile: Path) -> None:
    """clang takes folders from the environment, too. A cache that others can write is not used: clang really runs."""
    for header in ("bcc/compat/linux/bpf.h", "stddef.h", "uapi/linux/ptrace.h"):
        path = hostile / header
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#error a header of the environment\n")
    hostile.chmod(0o777)
    folders = dict.fromkeys(("CPATH", "C_INCLUDE_PATH", "BCC_KERNEL_SOURCE"), str(hostile))
    done = started(["trace", "--", "/bin/true"], hostile, IOLAB_CACHE=str(hostile), **folders)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout, without bytecode."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tasks.py", tmp_path)
    return tmp_path


def run_in(checkout: Path, *line: str) -> None:
    start = [sys.executable, "-I", str(checkout / "runs" / "start.py"), "tasks", *line]
    done = subprocess.run(start, capture_output=True, text=True, timeout=120 * PATIENCE)
    assert done.returncode == 0, done.stderr


@pytest.mark.live
def test_root_leaves_no_bytecode_in_another_users_checkout(kernel: None, checkout: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user; run the tests as root")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 65534, 65534)
    before = set(checkout.rglob("*"))
    run_in(checkout, "labs")
    run_in(checkout, "lab", "epoll", "--messages", "2")
    run_in(checkout, "lab", "terms")
    run_in(checkout, "trace", "--", "/bin/true")
    assert set(checkout.rglob("*")) == before


def test_the_owner_of_a_checkout_keeps_bytecode_for_the_next_start(checkout: Path) -> None:
    run_in(checkout, "show", str(DATA / "epoll.iolab"))
    for module in ("tasks", "commands/show", "probes/recording", "reports/words"):
        assert list((checkout / module).parent.glob(f"__pycache__/{Path(module).name}.*.pyc")), module


def test_a_home_that_can_not_be_read_is_no_obstacle() -> None:
    environment = {"HOME": "/root", "PATH": os.environ["PATH"]}
    done = subprocess.run([*COMMAND, "labs"], capture_output=True, text=True, user=65534, cwd="/", env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.live
def test_headers_of_the_current_folder_are_not_taken(kernel: None) -> None:
    done = subprocess.run([*COMMAND, "trace", "--", "true"], cwd="/usr/include", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.live
def test_a_traced_program_has_its_own_environment_and_folder(kernel: None, tmp_path: Path) -> None:
    mine = {"PYTHONPATH": "/mine", "HOME": "/nowhere", "IOLAB_SLOW": "1", "PATH": os.environ["PATH"]}
    line = [*COMMAND, "trace", "--out", "/dev/null", "--", "/bin/sh", "-c", "pwd; env"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, env=mine | {"IOLAB_CALLED": "./iolab"})
    folder, *variables = done.stdout.splitlines()
    assert folder == str(tmp_path)
    seen = dict(variable.split("=", 1) for variable in variables)
    assert {name: seen.get(name) for name in mine} == mine and "IOLAB_CALLED" not in seen


def test_an_invoke_of_the_users_own_lists_the_commands() -> None:
    invoke = "from invoke.main import program; program.run(['invoke', '--search-root', '.', '--list'])"
    done = subprocess.run([COMMAND[0], "-c", invoke], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "trace" in done.stdout
