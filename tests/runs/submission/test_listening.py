"""Where a server listens, and what it did instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runs.submission import listening
from runs.submission.listening import Address, NotListening
from runs.submission.server import Submission
from tests.runs.submission.programs import FOREVER, gone


@pytest.mark.live
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("time.sleep(60)", "listened on no TCP port"),
        ("sys.exit('no module')", "ended with status 1 before it listened; its last line of output: no module"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV before it listened"),
        ("socket.create_server(('10.1.2.3', 80))", "Cannot assign requested address"),
    ],
    ids=["never listens", "ends", "crashes", "listens on another address"],
)  # fmt: skip
def test_a_server_that_does_not_listen_is_named(start: Callable[..., Submission], program: str, words: str) -> None:
    with start(program) as server, pytest.raises(NotListening, match=words):
        server.listening(seconds=1.5)
    assert gone(server)


@pytest.mark.live
def test_a_fixed_port_and_any_address_are_found(start: Callable[..., Submission]) -> None:
    with start("listener = socket.create_server(('::', 8080), family=socket.AF_INET6)\n" + FOREVER) as server:
        assert server.listening() == Address("::1", 8080, expected=False)


def test_an_address_of_the_kernel_is_read() -> None:
    assert listening._address("0100007F", "1F90") == ("127.0.0.1", 8080)
    assert listening._address("00000000", "0050") == ("127.0.0.1", 80)
    assert listening._address("00000000000000000000000001000000", "0050") == ("::1", 80)
    assert listening._address("0" * 32, "0050") == ("::1", 80)
