"""Wrong for lab connection_pool: the pool is no pool, since it opens a connection for each request and never waits."""

import socket
from typing import Any

from labs.connection_pool import REQUESTS, SIZE, request, server
from labs.kit.experiment import Sections


def experiment() -> dict[str, Any]:
    """Opens a connection for each request, in every section."""
    section = Sections()
    with server() as address:
        for name, requests in (
            ("without a pool", REQUESTS), ("filling the pool", SIZE), ("with a pool", REQUESTS), ("pool is empty", 1),
            ("one more connection", 1),
        ):  # fmt: skip
            section(name)
            for _ in range(requests):
                with socket.create_connection(address) as connection:
                    request(connection)
        section("between")
    return section.outcome()
