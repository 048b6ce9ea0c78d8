"""The paper roll: a drawn QR code can be read, as people will do with their phones."""

from __future__ import annotations

import io

import pytest
import zxingcpp
from PIL import Image
from rich.console import Console

from simulators.devices.paper_roll import PaperRoll, PrintedLine, PrintedQr, draw_slip, text_of

# Else a pattern within it may be taken for a bar code of another kind.
QR_CODE = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


def draw(content: str) -> str:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(draw_slip([PrintedLine("Corner Shop", centred=True), PrintedQr(content)]))
    return console.export_text()


def test_a_slip_is_cut_off() -> None:
    roll = PaperRoll()
    roll.cut()
    roll.hanging.append(PrintedLine("PAID"))
    roll.cut()
    assert [text_of(slip) for slip in roll.slips] == ["PAID"]
    assert not roll.hanging


@pytest.mark.parametrize("length", [10, 320])
def test_a_drawn_code_can_be_read(length: int) -> None:
    """Ink is dark on light paper, each half block one module, so a reader finds it."""
    content = "kessai:receipt:" + "Ab1_" * (length // 4)
    drawn = draw(content)
    assert "Corner Shop" in drawn
    rows = [line for line in drawn.splitlines() if "Corner" not in line]
    image = Image.new("L", (120 * 4, len(rows) * 8 + 16), 255)
    for y, row in enumerate(rows):
        for x, character in enumerate(row):
            for half, dark in enumerate((character in "█▀", character in "█▄")):
                if dark:
                    image.paste(0, (x * 4, y * 8 + half * 4, x * 4 + 4, y * 8 + half * 4 + 4))
    found = zxingcpp.read_barcodes(image, formats=QR_CODE)
    assert [code.text for code in found] == [content]
