"""The options that write a run for other programs, as a user types them."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
from pathlib import Path

import pytest

from commands.exports import Exports
from probes.errors import WrongUsage
from tests.conftest import DATA, iolab

RECORDING = str(DATA / "lock_in_loop.iolab")


def test_one_show_writes_every_format(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("sqlite", "speedscope", "folded")}
    if importlib.util.find_spec("perfetto"):
        paths["perfetto"] = tmp_path / "perfetto"
    options = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    done = iolab("show", RECORDING, "--csv", str(tmp_path / "new" / "tables"), *options, "--calls", "futex,epoll_wait")
    assert done.returncode == 0 and "only call futex or epoll_wait" in " ".join(done.stdout.split()), done.stderr
    assert all(path.stat().st_size for path in paths.values())
    assert len(os.listdir(tmp_path / "new" / "tables")) == 12
    with sqlite3.connect(paths["sqlite"]) as database:
        names = {name for (name,) in database.execute("SELECT DISTINCT name FROM calls")}
    database.close()
    assert names == {"futex", "epoll_wait"}
    assert json.loads(paths["speedscope"].read_text())["exporter"] == "iolab"
    assert paths["folded"].read_text().count("\n")


@pytest.mark.parametrize("option", ["csv", "sqlite", "speedscope", "folded", "perfetto"])
def test_what_can_not_be_written_is_refused_before_the_work(option: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongUsage, match="can't write"):
        Exports(**{option: str(tmp_path / "file" / "below")}).check()
