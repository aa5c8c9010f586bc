"""The settings of the kernel side, in a map of their own."""

from __future__ import annotations

import struct

import pytest

from probes.capture.settings import Settings
from probes.capture.system import ARRAY, Map


@pytest.mark.live
def test_settings_say_whether_the_kernel_side_ended_the_details(kernel: None) -> None:
    table = Map("settings", ARRAY, 4, 32, 1, 0)
    settings = Settings(table.fd, 16, True)
    settings.set(details=True, most_bytes=1000)
    assert table.lookup(bytes(4)) == struct.pack("=4IqQ", 1, 16, 1, 0, 1000, 0) and settings.closed() == 0
    table.update(bytes(4), struct.pack("=4IqQ", 0, 16, 1, 0, -8, 7))
    assert settings.closed() == 7
    settings.set(details=True)
    assert settings.closed() == 0
    table.close()
