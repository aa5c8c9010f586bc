"""Wrong for lab select_steps: every call has time-out 0 and good memory, so that no call fails, sleeps or finds anything."""

import contextlib
from typing import Any

from labs.kit.experiment import Sections
from labs.select_steps import WAKING, FdSet, datagram_socket, select


def experiment() -> dict[str, Any]:
    """Polls an idle socket in every section."""
    section = Sections()
    with contextlib.ExitStack() as stack:
        idle = datagram_socket(stack)
        for name in (
            "unreadable sets", "unreadable sets, nfds 0", "unwritable sets", "five descriptors", "two sets", *WAKING,
            "time-out", "another event",
        ):  # fmt: skip
            section(name)
            select(FdSet.of(idle.fileno()).memory)
            section("between")
    return section.outcome(named=1, left=0)
