"""Who the threads and processes of a run are: roles, groups, names, event loops, beginnings and ends."""
