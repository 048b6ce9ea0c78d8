"""`kessai payment`: one payment by its id or receipt, or those of an order."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from kessai.account_number import parse_account, pretty_account
from kessai.complaint import Complaint
from kessai.console import Console, styled
from kessai.decline import name_of
from kessai.enum_name import enum_name
from kessai.envelope import EnvelopeError, read_unverified, read_verified
from kessai.json_lines import as_json as as_dict
from kessai.json_lines import print_json
from kessai.money import Money
from kessai.receipt_text import QR_PREFIX, read_receipt_text
from kessai.request_id import format_request_id
from kessai.v1 import ledger_pb2 as pb
from kessai.v1.ledger_pb2_grpc import LedgerServiceStub
from kessai.v1.payment_pb2 import PaymentOutcome, Receipt
from server.commands.fleet import moment
from server.commands.operator_line import call
from server.commands.options import AsJson, Data, Identity

# All logs are looked through for an order.
_LIMIT_S = 60.0

payment = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    help="Look payments up.",
)

_out = Console(soft_wrap=True)


@payment.callback()
def _payment() -> None:
    """Look payments up."""


@payment.command("show")
def show_payment(
    which: Annotated[
        str, typer.Argument(help="The payment's id, or the text of its receipt's QR code.")
    ] = "",
    merchant: Annotated[str, typer.Option(help="The merchant whose order it is.")] = "",
    order: Annotated[str, typer.Option(help="The merchant's own number of the order.")] = "",
    as_json: AsJson = False,
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Show a payment by its id or receipt, or all of an order, also those that were declined.

    Example: kessai payment show --merchant shop --order till-1-42
    """
    if bool(which) == bool(merchant and order):
        raise Complaint("say which: an id, the text of a receipt, or --merchant and --order")
    request = pb.ListPaymentsRequest(payment_id=_id_of(which), merchant_id=merchant, order_id=order)
    answer = call(
        data, identity, lambda ch: LedgerServiceStub(ch).ListPayments(request, timeout=_LIMIT_S)
    )
    if as_json:
        print_json({**as_dict(one), "receipt": as_dict(_receipt(one))} for one in answer.payments)
        return
    if not answer.payments:
        raise Complaint("there is no such payment in the books: nothing was moved under it")
    for one in answer.payments:
        _show(one)


def _show(one: pb.FoundPayment) -> None:
    receipt = _receipt(one)
    _out.print(styled("[bold]{}[/]  {}  ", one.payment_id, _amount(receipt)) + _outcome(receipt))
    accounts = (_account(one.payer_account), _account(one.payee_account))
    _out.print(styled("    {}, from {} to {}", moment(receipt.settle_time), *accounts))
    order = f", order {one.order_id}" if one.order_id else ""
    who = (one.asked_by, one.payer_wallet_id, order)
    _out.print(styled("    asked by {}, agreed by wallet/{}{}", *who))


def _id_of(which: str) -> str:
    """The id of a payment, or that in a receipt's text; who signed it the switch's books tell."""
    if not which.startswith(QR_PREFIX):
        return which
    try:
        receipt = read_unverified(read_receipt_text(which), Receipt)
        return format_request_id(receipt.request_id)
    except (ValueError, EnvelopeError) as error:
        raise Complaint(f"that is no receipt: {error}") from None


def _receipt(one: pb.FoundPayment) -> Receipt:
    return read_verified(one.receipt, Receipt)


def _amount(receipt: Receipt) -> Money:
    return Money.from_proto(receipt.amount)


def _outcome(receipt: Receipt) -> Text:
    name = enum_name(PaymentOutcome.DESCRIPTOR, receipt.outcome, "PAYMENT_OUTCOME_").lower()
    if receipt.decline_reason:
        return Text(f"{name}: {name_of(receipt.decline_reason)}", "red")
    return Text(name, "green" if name == "settled" else "yellow")


def _account(number: str) -> str:
    return pretty_account(parse_account(number)) if number else ""
