"""The trials: each returns what its clients saw, or raises Fault."""
