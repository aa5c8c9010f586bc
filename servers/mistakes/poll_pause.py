"""Non-blocking I/O with a pause between two rounds of asking: the longer the pause, the less CPU, and the later the answer.

Data comes at any time, the look only at the end of a pause: on average it lies ready for half of one (UNP 6.2 on polling).
The server is the one of servers/nonblocking.py.
"""

import functools

from servers.nonblocking import serve

pause_2ms = functools.partial(serve, pause=0.002)
pause_10ms = functools.partial(serve, pause=0.010)
