"""A student's server, started in isolation: in namespaces of its own, with limits, and without privileges where asked.

The server may be written in any language. It learns its port from the word {port} of its command line or from the variable
PORT; a server that knows neither is found by the socket that it listens on: in its own network namespace only it can listen.

server.py starts the server and ends it; launch.py has the command and its folder, plan.py the user and the limits, isolation.py
what this machine can isolate, listening.py the port, output.py what the server prints, ending.py how it ended.
"""
