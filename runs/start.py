"""Starts one of our modules as the main program: `python -I start.py MODULE ARGS...`, as `python -m MODULE` would.

-m would put the current folder first on the path, and -I alone finds no module of ours. So this script puts the checkout there,
and nothing else: no file of the current folder, of PYTHONPATH or of the user's own packages is imported.
"""

import os
import runpy
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 (pathlib is slow)
    module = sys.argv[1]
    del sys.argv[1]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
