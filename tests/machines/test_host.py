"""A change of the host is seen."""

from __future__ import annotations

import os
import subprocess

import pytest

from machines import host


def test_a_change_of_the_host_is_seen() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root sees every process of the host; run the tests as root")
    before = host.look()
    line = ["unshare", "--mount", "--net", "sh", "-c", "echo here; exec sleep 60"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "here\n"
            changes = host.differences(before, seconds=0)
        finally:
            process.kill()
    assert any(change.startswith("namespaces: +net:") for change in changes)
    assert any(change.startswith("processes: +") and "sleep 60" in change for change in changes)
