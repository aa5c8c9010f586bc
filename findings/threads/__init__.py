"""The threads and processes of a run: roles, groups, names, event loops, beginnings and ends."""
