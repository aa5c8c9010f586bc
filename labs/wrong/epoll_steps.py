"""Wrong for lab epoll_steps: select waits, and every call of epoll_wait has time-out 0 and nothing to report."""

import contextlib
import select
from typing import Any

from labs.epoll_steps import datagram_socket, wait
from labs.kit.experiment import PAUSE, Sections


def experiment() -> dict[str, Any]:
    """Waits for an idle socket, in select and without a sleep in epoll_wait."""
    section = Sections()
    with contextlib.ExitStack() as stack:
        idle = datagram_socket(stack)
        epoll = stack.enter_context(select.epoll())
        section("registering")
        epoll.register(idle, select.EPOLLIN)
        for name in ("waiting", "asleep elsewhere", "time-out", "data before the wait", "another event", "two of three"):
            section(name)
            select.select([idle], [], [], PAUSE / 10)
            wait(epoll, 0)
            section("between")
    return section.outcome(written=[], untouched=36, room=36)
