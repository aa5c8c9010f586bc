"""The classic mistakes of I/O servers: the broken and the mended server are two functions in one file.

`python -m servers mistakes.slow_handler:broken` starts one server, `mistakes.slow_handler:mended` the other. The lab of the
same name runs both.
"""
