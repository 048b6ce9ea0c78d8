"""The items of a vending machine: a CSV file with a line for each selection.

    number,description
    7,Sparkling water

Price and stock are the machine's business; this only says what the customer's phone shows, and
which numbers there are. Read once, at start, by `main`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

from edge_agents.csv_rows import CsvError, csv_rows
from kessai.complaint import Complaint
from kessai.plain_text import is_plain

MAX_DESCRIPTION = 54

Items = Mapping[int, str]


def load_items(path: Path) -> Items:
    """Read an item list; Complaint with the line number for anything that is not right."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise Complaint(f"The item list {path} cannot be read ({error}).") from None
    items: dict[int, str] = {}
    try:
        rows = csv_rows(text)
        if next(rows, (1, []))[1] != ["number", "description"]:
            raise CsvError(1, 'it must begin with "number,description"')
        for line, cells in rows:
            problem = _add(items, cells) if cells else None
            if problem:
                raise CsvError(line, problem)
    except CsvError as error:
        raise Complaint(f"The item list {path} is wrong in line {error.line}: {error}.") from None
    if not items:
        raise Complaint(f"The item list {path} has no items. Add lines below its header.")
    return items


def _add(items: dict[int, str], cells: list[str]) -> str | None:
    if len(cells) != 2:
        return f"it has {len(cells)} fields instead of 2"
    number, description = cells[0], unicodedata.normalize("NFC", cells[1])
    if not (number.isascii() and number.isdigit() and len(number) <= 5):
        return f'"{number}" is no item number of at most 5 digits'
    if not is_plain(description, MAX_DESCRIPTION):
        return f"a description has 1 to {MAX_DESCRIPTION} printable characters"
    if int(number) in items:
        return f"item {number} stands in the list already"
    items[int(number)] = description
    return None
