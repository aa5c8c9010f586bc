"""The classic mistakes of I/O servers, each beside its mended form: two functions in one file, the difference in plain sight.

`python -m servers mistakes.slow_handler:broken`, then `mistakes.slow_handler:mended`. The labs of the same names run both.
"""
