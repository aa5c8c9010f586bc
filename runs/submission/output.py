"""What a server prints: the first and the last bytes, read in a thread."""

from __future__ import annotations

import os
import threading

from probes.words import visible_lines

_READ_AT_MOST = 8 << 20  # bytes of the server's output; a server that prints more waits in its own write call
_KEPT = 16 << 10


class Output:
    """The server's output, read in a thread."""

    def __init__(self) -> None:
        self.flooded = False
        self._kept = bytearray()
        self._closed = threading.Event()

    def read_from(self, reader: int) -> None:
        """Begins to read this end of a pipe."""
        self._reader = threading.Thread(target=self._read, args=(reader,), daemon=True)
        self._reader.start()

    def _read(self, reader: int) -> None:
        """Keeps the first and the last of what the server prints, and stops reading where it prints without end."""
        taken = 0
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            while part := pipe.read(65536):
                taken += len(part)
                self._kept += part
                if len(self._kept) > 2 * _KEPT:
                    del self._kept[_KEPT // 2 : -_KEPT]
                if taken > _READ_AT_MOST:
                    self.flooded = True
                    self._closed.wait()
                    return

    def wait(self, seconds: float) -> None:
        """Waits until the pipe's end, at most for this time."""
        self._reader.join(seconds)

    def close(self) -> None:
        """Ends the thread of a server that prints without end."""
        self._closed.set()

    @property
    def text(self) -> str:
        """What the server printed, without control characters; the middle of a long output is missing."""
        return visible_lines(bytes(self._kept).decode(errors="replace").strip())
