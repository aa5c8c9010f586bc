"""Wrong for lab files: a pipe with a byte in it stands in place of every descriptor, and of the regular file as well."""

import contextlib
import os
import select
from typing import Any

from labs.files import KINDS
from labs.kit.experiment import Sections


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
        os.write(writer, b"x")
        section("select, file")
        select.select([reader], [], [], 1)
        section("poll, file")
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.poll(1000)
        section("between")
    return section.outcome(select=1, poll=1)
