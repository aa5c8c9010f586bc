"""The place of the counterexamples, labs/wrong: each belongs to a lab, and a wrong server starts like any other server."""

from __future__ import annotations

import importlib
import pkgutil
import socket
from pathlib import Path

import pytest

import labs
import labs.wrong
from servers.__main__ import find, variants
from tests.conftest import DATA
from tests.servers.running import started

MODULES = sorted(module.name for module in pkgutil.iter_modules(labs.wrong.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_a_counterexample_belongs_to_a_lab(name: str) -> None:
    module = importlib.import_module(f"labs.wrong.{name}")
    assert name in labs.names(), f"labs/wrong/{name}.py belongs to no lab"
    assert (module.__doc__ or "").startswith(f"Wrong for lab {name}: "), f"labs/wrong/{name}.py: say what is wrong"
    if labs.find(name).experiment:
        assert callable(module.experiment), f"labs/wrong/{name}.py has no experiment()"
        assert (DATA / "wrong" / f"{name}.iolab").exists(), f"record it: python -m tests.labs.record_wrong {name}"
    else:
        model = f"labs.wrong.{name}"
        assert variants(model) or variants(model, udp=True), f"labs/wrong/{name}.py has no server(listener)"


def test_every_experiment_has_a_counterexample() -> None:
    assert {name for name in labs.names() if labs.find(name).experiment} <= set(MODULES)


def test_a_wrong_server_starts_by_its_full_name_and_serves() -> None:
    with (
        started("labs.wrong.epoll:always_writable") as (_process, port),
        socket.create_connection(("127.0.0.1", port), timeout=5) as client,
    ):
        client.sendall(b"echo")
        assert client.recv(4, socket.MSG_WAITALL) == b"echo"


@pytest.mark.parametrize("name", ["labs.wrong.epoll:serve", "labs.wrong.nothing:serve", "os.path:join", "no.such.place:serve"])
def test_a_full_name_of_no_server_finds_none(name: str) -> None:
    assert find(name) is None


def test_a_module_that_cannot_be_imported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "broken.py").write_text("import a_library_that_is_missing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_missing"):
        find("elsewhere.broken:serve")
