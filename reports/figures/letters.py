"""How wide a text is, and where it breaks: a figure must know this before a browser draws it.

The widths are those of DejaVu Sans, in thousandths of the font's size. Arial, Helvetica, Liberation Sans and Verdana are not
wider, so a text that has room here has room with any of the fonts that the figures name.
"""

from __future__ import annotations

FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
LINE = 1.28  # the height of a line, in sizes of the font
_BOLD = 1.105  # DejaVu Sans Bold, relative to the regular letters: the widest ratio of the letters used
_USUAL = 840
# From the space to the tilde.
_WIDTHS = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636, 636,
    636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635,
    634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip


def width(text: str, size: float, bold: bool = False) -> float:
    """The width of a line, never less than a browser needs."""
    thousandths = sum(_WIDTHS[ord(letter) - 32] if 32 <= ord(letter) < 127 else _USUAL for letter in text)
    return thousandths / 1000 * size * (_BOLD if bold else 1)


def wrapped(text: str, size: float, room: float, bold: bool = False) -> list[str]:
    """The text in lines that are no wider than the room; a word that is wider is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if not line or width(longer, size, bold) <= room:
            line = longer
        else:
            lines.append(line)
            line = word
    return [cut(line, size, room, bold) for line in [*lines, line] if line]


def cut(text: str, size: float, room: float, bold: bool = False) -> str:
    """The text, its end replaced by "..." where it is wider than the room.

    >>> cut("epoll_wait", 10, 100), cut("epoll_wait", 10, 40)
    ('epoll_wait', 'epoll_...')
    """
    if width(text, size, bold) <= room:
        return text
    while text and width(text + "...", size, bold) > room:
        text = text[:-1]
    return text + "..."
