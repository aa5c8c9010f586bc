"""Wrong for lab files: an empty pipe stands in place of every descriptor, and of the regular file as well."""

import contextlib
import os
import select
from typing import Any

from labs.files import FILE_PIPE, KINDS
from labs.kit.experiment import PAUSE, Sections


def experiment() -> dict[str, Any]:
    """Registers pipes with epoll, and waits with select and poll for a pipe."""
    section = Sections()
    with contextlib.ExitStack() as stack, select.epoll() as epoll:
        for kind in KINDS:
            reader, writer = os.pipe()
            stack.callback(os.close, reader)
            stack.callback(os.close, writer)
            section(f"epoll, {kind}")
            epoll.register(reader, select.EPOLLIN)
            section("between")
        for kind in FILE_PIPE:
            section(f"select, {kind}")
            select.select([reader], [], [], PAUSE)
            section(f"poll, {kind}")
            poll = select.poll()
            poll.register(reader, select.POLLIN)
            poll.poll(1000 * PAUSE)
            section("between")
    return section.outcome(select=0, poll=0)
