"""Drives a server with seeded traffic, one trial at a time, and says what its clients saw.

task.py has the task and the outcome of a trial, peer.py the dialogue of one client, trial.py what the trials share, trials/ the
trials, and run.py a table of the trials. `python -m runs.driving` runs __main__.py.
"""
