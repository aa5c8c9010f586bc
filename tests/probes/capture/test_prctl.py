"""The calls of prctl, checked from outside the process and by the kernel."""

from __future__ import annotations

import os
import select
import subprocess
import sys

from probes.capture.prctl import MARKER, new_cookie
from tests.conftest import ROOT


def python(script: str, *arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}", *arguments]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_cookies_differ_and_fit_into_a_register() -> None:
    cookies = {new_cookie() for _ in range(1000)}
    assert len(cookies) == 1000
    assert all(0 < cookie < 1 << 63 for cookie in cookies), "a long, and never 0, which prctl's other users say"


def test_the_marker_means_nothing_to_the_kernel() -> None:
    script = (
        "import ctypes\nfrom probes.capture.prctl import MARKER\n"
        "library = ctypes.CDLL(None, use_errno=True)\n"
        "print(library.prctl(MARKER, ctypes.c_long(7), 0, 0, 0), ctypes.get_errno())"
    )
    output, _ = python(script).communicate(timeout=60)
    assert output.split() == ["-1", "22"], "EINVAL"
    assert int.from_bytes(b"IOLA", "big") == MARKER


def test_a_name_of_ones_own_is_cut_at_15_bytes() -> None:
    output, _ = python(
        "from probes.capture.prctl import name_me; name_me('a-name-of-20-letters'); print(open('/proc/self/comm').read())"
    ).communicate(timeout=60)
    assert output.strip() == "a-name-of-20-le"


def test_a_child_ends_with_its_parent_however_that_ends() -> None:
    script = (
        "import os, subprocess\n"
        "code = 'import os, sys; sys.path.insert(0, sys.argv[1]); from probes.capture.prctl import end_with_parent; '\n"
        "code += 'end_with_parent(int(sys.argv[2])); print(os.getpid(), flush=True); sys.stdin.read()'\n"
        f"subprocess.run([sys.executable, '-c', code, {str(ROOT)!r}, str(os.getpid())])\n"
    )
    with python(script) as parent:
        assert parent.stdout and parent.stdin
        child = int(parent.stdout.readline())
        descriptor = os.pidfd_open(child)
        parent.kill()

        assert select.select([descriptor], [], [], 30)[0], "the child outlived its parent"
        os.close(descriptor)


def test_a_child_whose_parent_has_gone_already_ends_at_once() -> None:
    done = python("from probes.capture.prctl import end_with_parent; end_with_parent(1 << 30); print('lives on')")
    output, _ = done.communicate(timeout=60)
    assert (output, done.returncode) == ("", 1)
