"""Wrong for lab terms: each section does the other thing. It returns at once, waits, sleeps while it computes, and blocks."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from labs.kit.experiment import PAUSE, Sections, later


def experiment() -> dict[str, Any]:
    """Gets no result where the lab waits for one, and waits where the lab does not."""
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
    worker = threading.Thread(target=compute, args=(section,))
    worker.start()
    worker.join()
    return section.outcome(done_early=early, told=[])


def compute(section: Sections) -> None:
    """Sleeps instead of computing."""
    section("computing")
    time.sleep(2 * PAUSE)
    section("computed")
