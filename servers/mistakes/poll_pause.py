"""Non-blocking I/O with a pause between two rounds of polling: two servers whose pauses differ.

Data arrives at any time, but the server polls only at the end of a pause (UNP 6.2 on polling). The server is `serve` of
servers/nonblocking.py.
"""

import functools

from servers.nonblocking import serve

pause_2ms = functools.partial(serve, pause=0.002)
pause_10ms = functools.partial(serve, pause=0.010)
