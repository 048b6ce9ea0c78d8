"""`kessai account deposit` and `withdraw`: cash over the counter. Mounted by `accounts.py`."""

from __future__ import annotations

from kessai.console import Console, styled
from kessai.v1 import account_pb2 as pb
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.commands.amounts import Amount, account_of, amount_of, currency_of_account
from server.commands.operator_line import DEADLINE_S, change, request_id_of
from server.commands.options import AccountNumber, Data, Identity, ProposalId, RequestId
from server.commands.outcome import require_accepted, show_request

_out = Console()


def deposit_cash(
    number: AccountNumber,
    amount: Amount,
    proposal: ProposalId = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Book cash that was paid in.

    Example: kessai account deposit 0001-00000042-20 "50.00 EUR"
    """
    account = account_of(number)
    cash = amount_of(amount, lambda: currency_of_account(data, identity, account))
    request = pb.DepositCashRequest(
        request_id=request_id_of(request_id),
        account_number=account,
        amount=cash.to_proto(),
        proposal_id=proposal,
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).DepositCash(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print(styled("[green]{} paid into {}[/]", cash, number))
    show_request(request.request_id)


def withdraw_cash(
    number: AccountNumber,
    amount: Amount,
    proposal: ProposalId = "",
    request_id: RequestId = "",
    data: Data = None,
    identity: Identity = None,
) -> None:
    """Book cash that was paid out.

    Example: kessai account withdraw 0001-00000042-20 12.50
    """
    account = account_of(number)
    cash = amount_of(amount, lambda: currency_of_account(data, identity, account))
    request = pb.WithdrawCashRequest(
        request_id=request_id_of(request_id),
        account_number=account,
        amount=cash.to_proto(),
        proposal_id=proposal,
    )
    response = change(
        data,
        identity,
        request.request_id,
        lambda ch: AccountServiceStub(ch).WithdrawCash(request, timeout=DEADLINE_S),
    )
    require_accepted(response.decline_reason)
    _out.print(styled("[green]{} paid out of {}[/]", cash, number))
    show_request(request.request_id)
