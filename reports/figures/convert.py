"""A figure as PNG or PDF, by CairoSVG, which is loaded only here. commands/extras.py installs it."""

from __future__ import annotations

from probes.errors import WrongUsage

FORMATS = ("svg", "png", "pdf")
_SCALE = 2  # pixels of a PNG for each unit of the figure: sharp on paper and on a large screen


def converted(svg: str, format_: str) -> bytes:
    """The figure in that format. Raises WrongUsage where the cairo library is missing on this machine."""
    if format_ == "svg":
        return svg.encode()
    try:
        import cairosvg
    except OSError as error:  # cairocffi loads the library when it is imported
        raise WrongUsage(
            "PNG and PDF need the cairo library, which is missing on this machine",
            "Debian, Ubuntu: apt-get install libcairo2; or write the figure as .svg",
        ) from error
    data: bytes = (
        cairosvg.svg2png(bytestring=svg.encode(), scale=_SCALE)
        if format_ == "png"
        else cairosvg.svg2pdf(bytestring=svg.encode())
    )
    return data
