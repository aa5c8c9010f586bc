"""Echo servers, one I/O model a file: `serve(listener)` is the whole model, with its system calls in plain sight.

`listener` is a listening TCP socket on loopback, in blocking mode. Each server echoes the data of each connection until the
connection ends. The exception that SIGTERM raises ends the server (servers/__main__.py).

A model that works over UDP also has `serve_udp(sock)`. `sock` is bound and in blocking mode. The server sends each datagram,
even an empty one, back to its sender, in the order of arrival. A variant of a model is a function beside `serve` with the
same parameter `listener` (or `sock`). A module may have `missing(variant)`, which returns a sentence about what this machine
lacks for the variant.
"""
