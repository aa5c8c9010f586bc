"""The programs of the tests' servers, and what is seen of them."""

from __future__ import annotations

import time

import psutil

from runs.submission.server import Submission

PORT = 23_456
PYTHON = "/usr/bin/python3"
HEAD = "import os, socket, signal, sys, time\n"
SERVE = "listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n"
FOREVER = "while True: signal.pause()\n"
DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('daemon', flush=True)
        while True: signal.pause()
    os._exit(0)
os.wait()
"""


def printed(server: Submission, words: str) -> str:
    """What the server printed, once these words are in it."""
    end = time.monotonic() + 10
    while words not in server.output and time.monotonic() < end:
        time.sleep(0.01)
    return server.output


def runs(pid: int) -> bool:
    """Does the process run? A zombie has ended, and waits for its parent only."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def gone(server: Submission) -> bool:
    """Has the init of the server's pid namespace ended, and with it all processes there?"""
    return not runs(server.namespace)
