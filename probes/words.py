"""What every sentence for people needs: a number with its noun, and text from outside without its control characters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable


def count(number: int, thing: str) -> str:
    """A number with its noun.

    >>> count(1, "thread"), count(1200, "switch"), count(2, "other reply")
    ('1 thread', '1,200 switches', '2 other replies')
    """
    return f"{number:,} {thing if number == 1 else plural(thing)}"


def plural(thing: str) -> str:
    """The plural of an English noun, by its ending.

    >>> [plural(one) for one in ("sleep", "process", "switch", "copy", "day")]
    ['sleeps', 'processes', 'switches', 'copies', 'days']
    """
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{thing[:-1]}ies"
    return thing + ("es" if thing.endswith(("s", "sh", "ch", "x")) else "s")


def times(number: int) -> str:
    """How often something happened.

    >>> times(0), times(1), times(2000)
    ('never', 'once', '2,000 times')
    """
    return "never" if not number else "once" if number == 1 else f"{number:,} times"


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The beginning of a remedy: the most similar of these names; "" if none is similar.

    >>> did_you_mean("epol", ["epoll", "select"]), did_you_mean("kqueue", ["epoll", "select"])
    ('did you mean epoll? ', '')
    """
    import difflib  # few commands need it

    near = difflib.get_close_matches(word, list(names), 1)
    return f"did you mean {near[0]}? " if near else ""


def with_command_name(text: str) -> str:
    """The text with its commands as the user starts them: ./iolab sets IOLAB_CALLED, inside .venv it is invoke."""
    return re.sub(r"\binvoke (?=[a-z-])", os.environ.get("IOLAB_CALLED", "invoke") + " ", text)


def ms(ns: float) -> str:
    """A duration in milliseconds.

    >>> ms(5_230_000), ms(52_300)
    ('5.2 ms', '0.05 ms')
    """
    return f"{ns / 1e6:.1f} ms" if ns >= 1e5 else f"{ns / 1e6:.2f} ms"


def visible(text: str) -> str:
    r"""Text from outside (arguments, thread names, paths, recordings) on one line, each unprintable character as an escape.

    A terminal obeys control characters (ECMA-48), and a thread may put any bytes into its name (prctl PR_SET_NAME).

    >>> print(visible("worker\x1b[2J\n"), visible("caf\u00e9"))
    worker\x1b[2J\n café
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def visible_lines(text: str) -> str:
    r"""The same for text of several lines: newlines stay.

    >>> print(visible_lines("first\nsec\tond"))
    first
    sec\tond
    """
    return "\n".join(map(visible, text.split("\n")))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
