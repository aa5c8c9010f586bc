"""A browser that shows nothing on a screen: what a script in a page found, and a page on paper."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.patience import PATIENCE
from tests.conftest import cannot

_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
_LONGEST = 240 * PATIENCE  # s: a machine with much other work draws slowly


def chromium() -> str:
    """The browser; the test is skipped where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        cannot("no browser is installed", "apt-get install chromium")
    assert found
    return found


def browse(folder: Path, *options: str) -> None:
    """Runs the browser until it has done what the options say."""
    command = [chromium(), *_OPTIONS, f"--user-data-dir={folder}"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=_LONGEST)
    assert not done.returncode, done.stderr


def report_of(page: str, folder: Path, *options: str) -> Any:
    """What a script in the page sends: fetch("report", {method: "POST", body}). Unlike --dump-dom, it may take its time."""
    with _served(page) as (address, reports):
        command = [chromium(), *_OPTIONS, f"--user-data-dir={folder}", "--remote-debugging-port=0", *options, address]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                return json.loads(reports.get(timeout=_LONGEST))
            except queue.Empty:
                raise AssertionError("the script in the page did not end") from None
            finally:
                process.terminate()


@contextlib.contextmanager
def _served(page: str) -> Iterator[tuple[str, queue.Queue[bytes]]]:
    """The page at an address of this machine, and what is sent to it."""
    reports: queue.Queue[bytes] = queue.Queue()
    with http.server.HTTPServer(("127.0.0.1", 0), functools.partial(_Desk, page.encode(), reports)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", reports
        finally:
            server.shutdown()
            thread.join()


class _Desk(http.server.BaseHTTPRequestHandler):
    def __init__(self, page: bytes, reports: queue.Queue[bytes], *values: Any) -> None:
        self._page, self._reports = page, reports
        super().__init__(*values)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self._page)))
        self.end_headers()
        self.wfile.write(self._page)

    def do_POST(self) -> None:
        self._reports.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Prints nothing."""
