"""The price list: what it reads, and a Complaint with the line number for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

import edge_agents.register
from edge_agents.register.price_list import load_price_list
from kessai.complaint import Complaint
from kessai.money import Money

HEADER = "gtin,description,price EUR\n"
BREAD = "9506000134352,Rye bread 1 kg,3.49\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "prices.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_goods_are_found_by_gtin_14(tmp_path: Path) -> None:
    prices = load_price_list(write(tmp_path, HEADER + BREAD + '96385074,"Gum, mint",1\n'))
    assert prices.currency == "EUR"
    assert prices.goods["09506000134352"].price == Money(349, "EUR")
    assert prices.goods["00000096385074"].description == "Gum, mint"


def test_a_price_may_be_by_weight(tmp_path: Path) -> None:
    """With a fourth column; a line without it is a piece's."""
    text = "gtin,description,price EUR,per\n" + BREAD + "99506000134355,Apples,2.99,kg\n"
    prices = load_price_list(write(tmp_path, text + "99506000134362,Cheese,10.99,lb\n"))
    assert [goods.per for goods in prices.goods.values()] == ["", "kg", "lb"]


def test_letters_are_taken_as_they_are_composed(tmp_path: Path) -> None:
    """An e and its accent are one letter: a request with them apart would be declined."""
    prices = load_price_list(write(tmp_path, HEADER + "96385074,Cafe\u0301,1\n"))
    assert prices.goods["00000096385074"].description == "Café"


def test_the_demo_list_is_good() -> None:
    path = Path(edge_agents.register.__file__).parent / "prices" / "corner_shop.csv"
    assert len(load_price_list(path).goods) >= 10


def test_comments_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path: Path) -> None:
    text = "\ufeff" + HEADER + "\n# bakery\n" + BREAD
    assert len(load_price_list(write(tmp_path, text)).goods) == 1


def test_the_config_may_name_the_currency(tmp_path: Path) -> None:
    path = write(tmp_path, "gtin,description,price\n96385074,Gum,110\n")
    assert load_price_list(path, "JPY").goods["00000096385074"].price == Money(110, "JPY")


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("", 1, "begin with"),
        ("gtin,price EUR,description\n" + BREAD, 1, "begin with"),
        ("gtin,description,price\n" + BREAD, 1, "name the currency"),
        ("gtin,description,price XXX\n" + BREAD, 1, "ISO 4217"),
        (HEADER + BREAD + "9506000134353,Wrong check digit,1.00\n", 3, "GTIN"),
        (HEADER + "https://id.gs1.org/01/09506000134352,Bread,1.00\n", 2, "GTIN"),
        (HEADER + "9506000134352,,1.00\n", 2, "description"),
        (HEADER + f"9506000134352,{'x' * 61},1.00\n", 2, "description"),
        (HEADER + "9506000134352,B\x07ell,1.00\n", 2, "description"),
        (HEADER + "9506000134352,Bread,1.001\n", 2, "decimals"),
        (HEADER + "9506000134352,Bread,free\n", 2, "amount"),
        (HEADER + "9506000134352,Bread,0.00\n", 2, "more than zero"),
        (HEADER + "9506000134352,Bread,-1.00\n", 2, "more than zero"),
        (HEADER + "9506000134352,Bread, dark,1.00\n", 2, "4 fields"),
        (HEADER + '9506000134352,"Bread,1.00\n', 2, ""),
        (HEADER + '9506000134352,"Bread\n96385074,Gum",1.00\n', 2, "goes on in the next line"),
        (HEADER + '9506000134352,"Rye" bread,1.00\n', 2, ""),
        (HEADER + "\u0669506000134352,Bread,1.00\n", 2, "GTIN"),
        (HEADER + BREAD + "\n" + BREAD, 4, "already"),
        ("gtin,description,price EUR,unit\n" + BREAD, 1, "begin with"),
        (HEADER[:-1] + ",per\n99506000134355,Apples,2.99,g\n", 2, "no unit"),
        (HEADER[:-1] + ",per\n99506000134355,Apples,2.99\n", 2, "by weight"),
        (HEADER + "99506000134355,Apples,2.99\n", 2, "by weight"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, line: int, word: str) -> None:
    with pytest.raises(Complaint, match=rf"wrong in line {line}: .*{word}"):
        load_price_list(write(tmp_path, text))


def test_two_currencies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="prices are in EUR, but the config says USD"):
        load_price_list(write(tmp_path, HEADER + BREAD), "USD")


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="no goods"):
        load_price_list(write(tmp_path, HEADER))


def test_a_missing_or_unreadable_file_is_one_complaint(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="cannot be read"):
        load_price_list(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"9506000134352,Br\xf6tchen,1.00\n")
    with pytest.raises(Complaint, match="cannot be read"):
        load_price_list(tmp_path / "latin.csv")
