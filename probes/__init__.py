"""The instrument: what the kernel tells (instrument.c), folded per call (fold.h), and its Python twin up to a Result."""

VERSION = "0.1.0"
