"""Echo servers, one I/O model a file: the whole model in `serve(listener)`, its system calls in plain sight.

`listener` is a listening TCP socket on loopback, blocking, as accept left the world in 1983. Each server echoes what each
connection sends until that connection ends, and ends itself by the exception that SIGTERM raises (servers/__main__.py).
"""
