"""Numbers of a newer switch, as the commands show them: the number itself, and no traceback."""

from __future__ import annotations

from kessai.console import Console
from kessai.money import Money
from kessai.v1 import account_pb2 as pb
from kessai.v1.audit_pb2 import AuditRecord
from kessai.v1.payment_pb2 import Receipt
from server.commands.accounts import _statement
from server.commands.audit import _plain
from server.commands.payments import _outcome
from server.commands.standing import standing_of

NEWER = 999


def test_a_newer_number_is_shown_as_itself() -> None:
    """The standing of an account, an entry's kind, an act's outcome, a payment's."""
    assert str(standing_of(pb.Account(standing=NEWER))) == "999"  # type: ignore[arg-type]
    assert _plain(AuditRecord(outcome=NEWER))["outcome"] == "999"  # type: ignore[arg-type]
    assert str(_outcome(Receipt(outcome=NEWER))) == "999"  # type: ignore[arg-type]
    some = Money(5, "EUR").to_proto()
    account = pb.Account(
        account_number="00010000004220", owner="wallet/ann", balance=some, available=some
    )
    entry = pb.Entry(kind=NEWER, amount=some, balance=some, counterparty=account.account_number)  # type: ignore[arg-type]
    page = pb.ListEntriesResponse(entries=[entry], account=account)
    console = Console(width=200, record=True)
    console.print(_statement(page, 0))
    assert "999" in console.export_text()
