"""A Recording becomes a Result: calls with their phases, messages, threads, and whether everything adds up. Pure Python."""
