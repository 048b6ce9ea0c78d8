"""Amounts as operators write them: "12.34 EUR", or "12.34" in the currency of an account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from kessai.account_number import AccountNumberError, format_account, parse_account
from kessai.complaint import Complaint
from kessai.money import Money, MoneyError
from kessai.v1.account_pb2 import GetAccountRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.commands.operator_line import DEADLINE_S, call

Amount = Annotated[
    str, typer.Argument(help='"12.34 EUR", or "12.34" in the currency of the account.')
]


def amount_of(
    text: str, currency: Callable[[], str] | None = None, may_be_zero: bool = False
) -> Money:
    """Read an amount of more than zero; Complaint.

    `currency` is asked where the text names none.
    """
    try:
        named = " " in text.strip() or currency is None
        amount = Money.read(text, "" if named or currency is None else currency())
    except MoneyError as error:
        raise Complaint(f"{error}. Nothing was done.") from None
    if amount.minor < 0 or (amount.minor == 0 and not may_be_zero):
        raise Complaint(f'"{text}": an amount is more than zero, without a sign. Nothing was done.')
    return amount


def account_of(text: str) -> str:
    """Read an account number; its fourteen digits, or Complaint."""
    try:
        return format_account(parse_account(text))
    except AccountNumberError as error:
        raise Complaint(f'"{text}": {error}. Nothing was done.') from None


def currency_of_account(data: Path | None, identity: Path | None, number: str) -> str:
    """The currency that an account is kept in, as the switch says; Complaint."""
    request = GetAccountRequest(account_number=number)
    answer = call(
        data, identity, lambda ch: AccountServiceStub(ch).GetAccount(request, timeout=DEADLINE_S)
    )
    return answer.account.balance.currency_code
