"""CSV as every list here is read: strictly, and a line is a row.

A quotation mark that is not closed would take the lines below into one text; a price or an item
would be gone without a word. So a text that goes on in the next line is refused, as is whatever
stands beside its quotation marks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

_GOES_ON = "a text goes on in the next line: close its quotation mark"


class CsvError(Exception):
    """A line that cannot be; the message is for people, `line` its number, from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def csv_rows(text: str, comment: str = "") -> Iterator[tuple[int, list[str]]]:
    """The cells of each line with its number, stripped; no cells for a blank line or a comment.

    `comment` begins a line that is skipped. CsvError at the first line that is not CSV.
    """
    physical = io.StringIO(text, newline=None)
    lines = ("\n" if comment and line.startswith(comment) else line for line in physical)
    reader, number = csv.reader(lines, strict=True), 0
    try:
        for cells in reader:
            number += 1
            if reader.line_num != number:
                raise CsvError(number, _GOES_ON)
            yield number, [cell.strip() for cell in cells]
    except csv.Error as error:
        begin = number + 1
        raise CsvError(begin, _GOES_ON if reader.line_num > begin else str(error)) from None
