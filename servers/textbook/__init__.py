"""The four servers that many courses hand out, each with its faults as `broken` and repaired as `mended`, in one file.

They are written anew, with the structure of the original programs: plain functions, lists of sockets, recv(1024), send without
a look at its result. `python -m servers textbook.select:broken` starts one of them. The lab textbook runs them all.
"""
