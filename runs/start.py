"""Starts one of our modules as the main program: `python -I start.py MODULE ARGS...`, as `python -m MODULE` would.

-m would put the current folder first on the path, and with -I alone Python finds no module of iolab. So this script adds the
checkout, and nothing else: Python imports no file of the current folder, of PYTHONPATH or of the user's own packages.
"""

import os
import runpy
import sys

if __name__ == "__main__":
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (pathlib is slow)
    sys.path.insert(0, checkout)
    if os.stat(checkout).st_uid != os.geteuid():  # noqa: PTH116
        sys.dont_write_bytecode = True  # root's files would be in the way of the checkout's owner
    module = sys.argv[1]
    del sys.argv[1]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
