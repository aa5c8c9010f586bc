"""What a program is: its I/O model and its architecture, from its system calls alone. `classify` is the whole of it."""

from findings.models.classify import classify
from findings.models.model import Architecture, Classification, Confidence, Mechanism, Model, ThreadModel

__all__ = ["Architecture", "Classification", "Confidence", "Mechanism", "Model", "ThreadModel", "classify"]
