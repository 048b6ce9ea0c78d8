"""The price list: a CSV file with a line for each article.

    gtin,description,price EUR,per
    4006381333931,Pencil HB,0.85
    99506000134355,Apples,2.99,kg

The header may name the currency after "price"; else the config does. With a fourth column a price
may be one per kg or lb, for goods whose label says their weight; an empty one is a piece's. A
register reads it once, at start; a wrong line is a Complaint with its number, because a wrong price
must not reach a customer.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agents.csv_rows import CsvError, csv_rows
from edge_agents.register.bar_code import read_gtin
from edge_agents.register.measure import UNITS, VARIABLE
from kessai.complaint import Complaint
from kessai.money import Money, MoneyError, currency_of
from kessai.plain_text import is_plain

MAX_DESCRIPTION = 60

_COLUMNS = "gtin,description,price EUR"


@dataclass(frozen=True, slots=True)
class Goods:
    """An article: GTIN-14, what people read (1 to 60 characters), and the price of one.

    `per`: of one kg or lb, for goods of variable measure; empty: of one piece.
    """

    gtin: str
    description: str
    price: Money
    per: str = ""


@dataclass(frozen=True, slots=True)
class PriceList:
    """What can be sold, by GTIN-14, all in one currency (ISO 4217)."""

    currency: str
    goods: Mapping[str, Goods]


class _LineError(Exception):
    """A line that cannot be; the message is for people."""


def load_price_list(path: Path, currency: str | None = None) -> PriceList:
    """Read a price list; Complaint with the line number for anything that is not right.

    `currency` is the config's: needed if the header names none, and then the same if it does.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise Complaint(
            f"The price list {path} cannot be read ({error}). Set `price_list` to a CSV file in "
            f'UTF-8 that begins with "{_COLUMNS}".'
        ) from None
    try:
        prices = _read(text, currency)
    except CsvError as error:
        raise Complaint(
            f"The price list {path} is wrong in line {error.line}: {error}. "
            "Correct it and start again."
        ) from None
    if not prices.goods:
        raise Complaint(f"The price list {path} has no goods. Add lines below its header.")
    return prices


def _read(text: str, currency: str | None) -> PriceList:
    code, fields = "", 0
    goods: dict[str, Goods] = {}
    for number, cells in csv_rows(text or "\n", comment="#"):
        try:
            if number == 1:
                code, fields = _read_header(cells, currency), len(cells)
            elif cells:
                _add(goods, _read_line(cells, code, fields))
        except (_LineError, MoneyError) as error:
            raise CsvError(number, str(error)) from None
    return PriceList(code, goods)


def _add(goods: dict[str, Goods], article: Goods) -> None:
    if article.gtin in goods:
        raise _LineError(f"{article.gtin} stands in the list already")
    goods[article.gtin] = article


def _read_header(names: list[str], currency: str | None) -> str:
    price = names[2].split() if len(names) in (3, 4) else []
    is_good = names[:2] == ["gtin", "description"] and price[:1] == ["price"] and len(price) <= 2
    if not is_good or names[3:] not in ([], ["per"]):
        raise _LineError(f'it must begin with "{_COLUMNS}"')
    named = price[1] if len(price) == 2 else currency
    if named is None:
        raise _LineError('name the currency, as in "price EUR", or set `currency` in the config')
    if currency not in (None, named):
        raise _LineError(f"prices are in {named}, but the config says {currency}")
    return currency_of(named).code


def _read_line(cells: list[str], currency: str, fields: int) -> Goods:
    if len(cells) not in (3, fields):
        raise _LineError(
            f"it has {len(cells)} fields instead of {fields} (quote a comma in a text)"
        )
    code, written, price, per = (*cells, "")[:4]
    gtin, description = read_gtin(code), unicodedata.normalize("NFC", written)
    if gtin is None:
        raise _LineError(f'"{code}" is no GTIN: 8, 12, 13 or 14 digits with a right check digit')
    if per not in ("", *UNITS):
        raise _LineError(f'"{per}" is no unit: {", ".join(UNITS)}, or nothing for a piece')
    if gtin.startswith(VARIABLE) and not per:
        raise _LineError(
            f"{code} is sold by weight (it begins with 9): name kg or lb after its price"
        )
    if not is_plain(description, MAX_DESCRIPTION):
        raise _LineError(f"a description has 1 to {MAX_DESCRIPTION} printable characters")
    money = Money.parse(price, currency)
    if money.minor <= 0:
        raise _LineError(f"the price {price} is not more than zero")
    return Goods(gtin, description, money, per)
