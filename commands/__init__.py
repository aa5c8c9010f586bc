"""One command of the command line a file; tasks.py gathers them."""
