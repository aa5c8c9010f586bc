"""Non-blocking I/O with a pause between two rounds of polling: a longer pause takes less CPU, and answers later.

Data arrives at any time, but the server polls only at the end of a pause. On average the data stays unread in the socket for
half a pause (UNP 6.2 on polling). The server is `serve` of servers/nonblocking.py.
"""

import functools

from servers.nonblocking import serve

pause_2ms = functools.partial(serve, pause=0.002)
pause_10ms = functools.partial(serve, pause=0.010)
