"""Numbers in the sizes that file formats have. A damaged recording may hold, or add up to, any number."""

from __future__ import annotations


def signed(number: int) -> int | None:
    """A number in 64 bits with a sign: an unsigned one becomes negative, as in C. None where 64 bits can't hold it.

    >>> signed(5), signed(2**64 - 1), signed(2**64), signed(-(2**64))
    (5, -1, None, None)
    """
    if not -(1 << 63) <= number < 1 << 64:
        return None
    return number - (1 << 64) if number >= 1 << 63 else int(number)  # int: True is 1


def moment(ns: int) -> int:
    """A time in 64 bits without a sign: the nearest that they can hold.

    >>> moment(-1), moment(2**64)
    (0, 18446744073709551615)
    """
    return min(max(ns, 0), (1 << 64) - 1)


def is_id(number: int | None) -> bool:
    """Can the number be the id of a task? The kernel's are below 2**22 (include/linux/threads.h); formats hold 31 bits."""
    return number is not None and 0 <= number < 1 << 31
