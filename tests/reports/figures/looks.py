"""What the tests of figures share: texts that stand on each other or leave the paper."""

from __future__ import annotations

from reports.figures.paper import Paper

SVG = "{http://www.w3.org/2000/svg}"


def complaints(sheet: Paper) -> list[str]:
    """Texts outside the paper, and texts on each other."""
    boxes = sheet.boxes
    outside = [
        f"outside: {box.text}"
        for box in boxes
        if min(box.left, box.top) < 0 or box.right > sheet.width or box.bottom > sheet.height
    ]
    return outside + [
        f"{box.text} on {other.text}" for i, box in enumerate(boxes) for other in boxes[:i] if box.overlaps(other)
    ]
