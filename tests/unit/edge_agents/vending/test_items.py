"""The list of items: what is read, and one clear line for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agents.vending.items import load_items
from kessai.complaint import Complaint


def write(folder: Path, text: str) -> Path:
    path = folder / "items.csv"
    path.write_text(text)
    return path


def test_items_by_their_numbers(tmp_path: Path) -> None:
    text = 'number,description\n7, Water\n\n12,"Nuts, salted"\n13,Cafe\u0301\n'
    assert load_items(write(tmp_path, text)) == {7: "Water", 12: "Nuts, salted", 13: "Café"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must begin with"),
        ("item,name\n", "must begin with"),
        ("number,description\n7\n", "line 2: it has 1 fields"),
        ("number,description\n7,Water\nx,Nuts\n", 'line 3: "x" is no item number'),
        ("number,description\n123456,Water\n", "at most 5 digits"),
        ("number,description\n7,\n", "1 to 54 printable"),
        ("number,description\n7,Water\n7,Juice\n", "stands in the list already"),
        ('number,description\n7,"Sparkling water\n8,Cola 0.5 l\n9,Tea', "line 2: a text goes on"),
        ('number,description\n6,Nuts\n7,"Water\n8,"\n', "line 3: a text goes on"),
        ('number,description\n7,"Sparkling" water\n', "line 2: "),
        ("number,description\n", "no items"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Complaint, match=says):
        load_items(write(tmp_path, text))


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="cannot be read"):
        load_items(tmp_path / "none.csv")
