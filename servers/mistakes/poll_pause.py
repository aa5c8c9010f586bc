"""Non-blocking I/O with a pause between two rounds of asking: the longer the pause, the less CPU, and the later the answer.

Data comes at any time, the look only at the end of a pause: on average it lies ready for half of one (UNP 16.1 on polling).
"""

import functools
import socket
import time

from servers.kit.echo import accept, echo


def serve(listener: socket.socket, pause: float = 0.0) -> None:
    """Asks the listener and every connection in turn, sleeps `pause` seconds, and asks again."""
    listener.setblocking(False)
    unsent: dict[socket.socket, bytes] = {}
    while True:
        if connection := accept(listener):
            unsent[connection] = b""
        for connection in list(unsent):
            rest = echo(connection, unsent[connection])
            if rest is None:
                del unsent[connection]
                connection.close()
            else:
                unsent[connection] = rest
        if pause:
            time.sleep(pause)


pause_2ms = functools.partial(serve, pause=0.002)
pause_10ms = functools.partial(serve, pause=0.010)
