"""What comes out of a simulated printer: lines and QR codes on a roll, cut into slips; drawable."""

from __future__ import annotations

from dataclasses import dataclass, field

import segno
from rich import box
from rich.align import Align
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

COLUMNS = 42

_INK = "black on #f6f3e8"
_HALF_BLOCKS = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line of text as it stands on paper."""

    text: str
    bold: bool = False
    large: bool = False
    centred: bool = False


@dataclass(frozen=True, slots=True)
class PrintedQr:
    """A QR code on paper, by its content."""

    content: str


Printed = PrintedLine | PrintedQr


@dataclass
class PaperRoll:
    """The slips that were cut off, oldest first, and what hangs out of the printer."""

    slips: list[list[Printed]] = field(default_factory=list)
    hanging: list[Printed] = field(default_factory=list)

    def cut(self) -> None:
        """Cut off what hangs out."""
        if self.hanging:
            self.slips.append(self.hanging)
            self.hanging = []


def text_of(slip: list[Printed]) -> str:
    """Give the text on a slip, a line for each."""
    return "\n".join(item.text for item in slip if isinstance(item, PrintedLine))


def qr_codes_of(slip: list[Printed]) -> list[str]:
    """Give the contents of the QR codes on a slip."""
    return [item.content for item in slip if isinstance(item, PrintedQr)]


def height_of(slip: list[Printed]) -> int:
    """Tell how many rows of a terminal a drawn slip takes."""
    rows = [len(_qr_rows(i.content)) if isinstance(i, PrintedQr) else 1 for i in slip]
    return sum(rows) + 2


def draw_slip(slip: list[Printed]) -> Panel:
    """Draw a slip; a QR code is drawn so that a phone can read it from the screen."""
    codes = [_qr_rows(content) for content in qr_codes_of(slip)]
    width = max([COLUMNS, *(len(rows[0]) for rows in codes)])
    parts = [_draw(item) for item in slip]
    return Panel(
        Group(*parts),
        box=box.SIMPLE,
        style=_INK,
        border_style=_INK,
        width=width + 6,
        padding=(0, 2),
    )


def _draw(item: Printed) -> RenderableType:
    if isinstance(item, PrintedQr):
        return Align.center(Text("\n".join(_qr_rows(item.content)), style=_INK, no_wrap=True))
    text = " ".join(item.text) if item.large else item.text
    line = Text(text[:COLUMNS].rstrip() if item.centred else text.ljust(COLUMNS)[:COLUMNS])
    line.stylize(f"bold {_INK}" if item.bold else _INK)
    line.no_wrap = True
    return Align.center(line)


def _qr_rows(content: str) -> list[str]:
    """Draw a QR code in half blocks, two modules a character, with a margin of two modules."""
    matrix = [[bool(cell) for cell in row] for row in segno.make(content).matrix_iter(border=2)]
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    return [
        "".join(_HALF_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(matrix[::2], matrix[1::2], strict=True)
    ]
