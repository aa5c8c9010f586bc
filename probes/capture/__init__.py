"""Loads, attaches and drains the probes, and follows processes: a run becomes a Recording. Only this folder imports BCC."""
