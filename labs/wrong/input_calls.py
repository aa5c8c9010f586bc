"""Wrong for lab input_calls: the data is there before the call, so that no call waits or gets EAGAIN."""

import select
from typing import Any

from labs.input_calls import CALLS
from labs.kit.experiment import Sections, tcp_pair


def experiment() -> dict[str, Any]:
    """Each call twice, with data: blocking and non-blocking."""
    section = Sections()
    for name, call in CALLS.items():
        with tcp_pair() as (here, there):
            for kind in ("blocking", "non-blocking"):
                there.send(b"x" * 64)
                select.select([here], [], [])
                here.setblocking(kind == "blocking")
                section(f"{name}, {kind}")
                call(here)
                section("between")
    return section.outcome()
