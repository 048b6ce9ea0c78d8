"""The items of a vending machine: a CSV file with a line for each selection.

    number,description
    7,Sparkling water

Price and stock are the machine's business; this only says what the customer's phone shows, and
which numbers there are. Read once, at start, by `main`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from kessai.complaint import Complaint

MAX_DESCRIPTION = 54

Items = Mapping[int, str]


def load_items(path: Path) -> Items:
    """Read an item list; Complaint with the line number for anything that is not right."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Complaint(f"The item list {path} cannot be read ({error}).") from None
    if [name.strip() for name in (lines or [""])[0].split(",")] != ["number", "description"]:
        raise Complaint(f'The item list {path} must begin with "number,description".')
    items: dict[int, str] = {}
    for line, cells in enumerate(csv.reader(lines[1:]), start=2):
        problem = _add(items, cells) if cells else None
        if problem:
            raise Complaint(f"The item list {path} is wrong in line {line}: {problem}.")
    return items


def _add(items: dict[int, str], cells: list[str]) -> str | None:
    if len(cells) != 2:
        return f"it has {len(cells)} fields instead of 2"
    number, description = cells[0].strip(), cells[1].strip()
    if not (number.isascii() and number.isdigit() and len(number) <= 5):
        return f'"{number}" is no item number of at most 5 digits'
    if not 1 <= len(description) <= MAX_DESCRIPTION or not description.isprintable():
        return f"a description has 1 to {MAX_DESCRIPTION} printable characters"
    if int(number) in items:
        return f"item {number} stands in the list already"
    items[int(number)] = description
    return None
