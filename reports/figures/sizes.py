"""The sizes of a figure: for a slide, for a column of text, and for a phone."""

from __future__ import annotations

from dataclasses import dataclass

from reports.figures.letters import LINE


@dataclass(frozen=True)
class Size:
    """Where the columns of a model's figure stand, from left to right. `height` 0: as high as the figure needs."""

    width: float
    height: float
    font: float
    blocks: float  # the room for the words at the left braces; 0: none
    names: float  # the room for the names of the calls
    lanes: float  # from the application's lane to the kernel's
    network: float  # from the kernel's lane to the network's
    times: float  # the room for the times before the labels; 0: the times stand above the labels
    labels: float  # the room for the labels
    scaled: float  # the least height of the part that is to scale
    titled: bool = False

    @property
    def margin(self) -> float:
        """On all sides."""
        return self.font

    @property
    def small(self) -> float:
        """The size of the caption's letters."""
        return self.font * 0.92

    @property
    def line(self) -> float:
        """The height of a line."""
        return self.font * LINE

    @property
    def application(self) -> float:
        """Where the application's lane stands."""
        return self.margin + (self.blocks + self.font * 1.4 if self.blocks else 0) + self.names + self.font

    @property
    def kernel(self) -> float:
        """Where the kernel's lane stands."""
        return self.application + self.lanes

    @property
    def net(self) -> float:
        """Where the network's lane stands."""
        return self.kernel + self.network

    @property
    def label(self) -> float:
        """Where the labels begin."""
        return self.net + self.font * 1.4

    @property
    def brace(self) -> float:
        """Where the braces of the phases stand."""
        return self.label + self.times + self.labels + self.font * 0.5

    @property
    def phase(self) -> float:
        """Where the words at these braces begin."""
        return self.brace + self.font * 1.1


COLUMN = Size(
    width=720, height=0, font=12.5, blocks=102, names=110, lanes=112, network=50, times=58, labels=126, scaled=400,
)  # fmt: skip
SLIDE = Size(
    width=1280, height=720, font=17, blocks=140, names=150, lanes=180, network=100, times=84, labels=340, scaled=0, titled=True,
)  # fmt: skip
PHONE = Size(width=380, height=0, font=10.5, blocks=0, names=86, lanes=70, network=24, times=0, labels=94, scaled=420)
SIZES = {"slide": SLIDE, "column": COLUMN}
