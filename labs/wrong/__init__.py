"""Counterexamples: for each lab NAME, labs/wrong/NAME.py holds programs that lack what the lab's checks look for.

An experiment has one counterexample, the function `experiment`: it makes the same sections, and does the other thing in each of
them. A server has one function for each fault, which `python -m servers labs.wrong.NAME:FAULT` starts like any other server.
In a lab with cases it stands in the place of the first case, or of the case that `CASES` names.
Every check must come out `failed` on one of them (tests/labs/test_checks.py).
"""
