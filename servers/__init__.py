"""Echo servers, one I/O model a file: the whole model in `serve(listener)`, its system calls in plain sight.

`listener` is a listening TCP socket on loopback, blocking, as accept left the world in 1983. Each server echoes what each
connection sends until that connection ends, and ends itself by the exception that SIGTERM raises (servers/__main__.py).

Models that work over UDP have `serve_udp(sock)`, too: `sock` is bound and blocking, and each datagram, an empty one as well,
goes back to its sender in the order of arrival. A variant of a model is a function beside `serve`, with its one parameter
`listener` (or `sock`), and a module may have `missing(variant)`, which says in a sentence what this machine lacks for it.
"""
