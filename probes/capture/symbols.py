"""Names of kernel addresses."""

from __future__ import annotations


def readable(symbol: str) -> str:
    """A kernel symbol without the compiler's endings: `do_epoll_wait.constprop.0` is do_epoll_wait."""
    return symbol.split(".", 1)[0] if symbol else "?"
