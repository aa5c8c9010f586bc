"""Experiments that lack what a lab's checks look for: each check must fail on a recording of one of them.

Each is named after its lab and runs in the same sections. `python -m tests.labs.wrong_experiments` records them anew, on a
kernel that can be traced, into tests/data/wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from labs.delivery import FIRST, SIZE, amount
from labs.input_calls import CALLS as INPUT
from labs.kit.experiment import PAUSE, Sections, later, tcp_pair
from labs.output_calls import CALLS as OUTPUT
from labs.output_calls import DATA

HERE = Path(__file__).parents[1] / "data" / "wrong"


def accept() -> dict[str, Any]:
    """The client is there before the server accepts, both times."""
    section = Sections()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for name in ("blocking", "non-blocking"):
            with socket.create_connection(listener.getsockname()):
                listener.setblocking(name == "blocking")
                section(name)
                listener.accept()[0].close()
                section("between")
    return section.found()


def connect() -> dict[str, Any]:
    """No backlog is full, and nobody is non-blocking."""
    section = Sections()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for name in ("room", "full", "non-blocking", "told"):
            section(name)
            socket.create_connection(listener.getsockname()).close()
            section("between")
    return section.found()


def delivery() -> dict[str, Any]:
    """The reader only looks (MSG_PEEK): nothing leaves its buffer."""
    import termios

    section = Sections()
    unread = []
    with tcp_pair() as (here, there):
        section("send")
        here.send(b"x" * SIZE)
        there.recv(SIZE, socket.MSG_PEEK | socket.MSG_WAITALL)
        section("read")
        for size in (FIRST, SIZE - FIRST):
            there.recv(size, socket.MSG_PEEK)
            unread.append(amount(there.fileno(), termios.FIONREAD))
        section("between")
    return section.found(unread=[SIZE, *unread], unacknowledged=[0, 0, 0])


def files() -> dict[str, Any]:
    """Where the regular file should be is a pipe with a byte in it."""
    section = Sections()
    with contextlib.ExitStack() as stack, select.epoll() as epoll:
        for kind in ("socket", "terminal", "pipe", "file"):
            reader, writer = os.pipe()
            stack.callback(os.close, reader)
            stack.callback(os.close, writer)
            section(f"epoll, {kind}")
            epoll.register(reader, select.EPOLLIN)
            section("between")
        os.write(writer, b"x")
        section("select, file")
        select.select([reader], [], [], 1)
        section("poll, file")
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.poll(1000)
        section("between")
    return section.found(select=1, poll=1)


def input_calls() -> dict[str, Any]:
    """The data is there before the call, both times."""
    section = Sections()
    for name, call in INPUT.items():
        with tcp_pair() as (here, there):
            for kind in ("blocking", "non-blocking"):
                there.send(b"x" * 64)
                select.select([here], [], [])
                here.setblocking(kind == "blocking")
                section(f"{name}, {kind}")
                call(here)
                section("between")
    return section.found()


def output_calls() -> dict[str, Any]:
    """There is room, both times."""
    section = Sections()
    for name, call in OUTPUT.items():
        with tcp_pair() as (here, there):
            for kind in ("blocking", "non-blocking"):
                here.setblocking(kind == "blocking")
                section(f"{name}, {kind}")
                call(here)
                section("between")
                there.recv(len(DATA), socket.MSG_WAITALL)
    return section.found()


def terms() -> dict[str, Any]:
    """Each in its section does the other thing: returns at once, waits, sleeps while it computes, blocks."""
    section = Sections()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(time.sleep, 0).result()
        section("synchronous")
        handle = pool.submit(time.sleep, PAUSE)
        section("between")
        handle.result()
        section("asynchronous")
        handle = pool.submit(time.sleep, PAUSE)
        handle.result()
        section("done by then?")
        early = handle.done()
        section("between")
    here, there = socket.socketpair()
    with here, there, later(lambda: there.send(b"x")):
        section("non-blocking")
        here.recv(1)
        section("between")

    def compute() -> None:
        section("computing")
        time.sleep(2 * PAUSE)
        section("computed")

    worker = threading.Thread(target=compute)
    worker.start()
    worker.join()
    return section.found(done_early=early, told=[])


def record(name: str) -> None:
    """Records one under the instrument, as if it were the lab's own."""
    from probes.capture.instrument import Instrument
    from runs.processes import Child

    with Instrument() as instrument:
        with Child("runs.lab", f"tests.labs.wrong_experiments:{name}", str(instrument.cookie)) as child:
            found = json.loads(child.rest(30))
        instrument.wait_until_gone(2)
        HERE.mkdir(exist_ok=True)
        instrument.stop({"lab": name, "aside": found}).save(str(HERE / f"{name}.iolab"))


if __name__ == "__main__":
    for _name in sys.argv[1:] or ("accept", "connect", "delivery", "files", "input_calls", "output_calls", "terms"):
        record(_name)
