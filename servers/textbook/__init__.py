"""The four servers that many courses hand out, each with its faults as `broken` and repaired as `mended`, in one file.

They are written anew, with the structure of the original programs: plain functions, lists of sockets, recv(1024), and a send
whose result is ignored. `python -m servers textbook.select:broken` starts one of them. The lab textbook runs them all.
"""
