"""Drives a server with seeded traffic, one trial at a time, and says what its clients saw.

task.py has what is asked and what is written down, peer.py the dialogue of one client, trial.py what the trials share, trials/
the trials, and run.py the table of them. `python -m runs.driving` runs __main__.py.
"""
