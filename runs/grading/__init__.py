"""Checks and marks a student's server: rubric.py has the points, session.py runs the server, marking.py judges it."""
