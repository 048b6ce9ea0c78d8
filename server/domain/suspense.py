"""Money in suspense, paid out to whom it belongs.

What arrived and could not be taken lies in its shard's suspense account, an entry for each arrival.
An operator names the entry and an account, and the entry is paid out whole, once.

    movement                                debit        credit
    to an account of this shard             suspense     account
    to one of another shard, which is owed  suspense     its auxiliary here, or in transit
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from kessai.account_number import parse_account
from kessai.request_id import parse_request_id
from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.account_pb2 import OperatorEvidence
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.suspense_pb2 import ReleaseSuspenseRequest
from server.domain.arrival import arrival_id
from server.domain.command import ACCEPTED, Command, CommandKind, Decision, Needs, Place, State
from server.domain.document import Document, DocumentKind
from server.domain.payment import landings, paid_out
from server.ledger.account import Account
from server.ledger.chart import HOUSE

_RELEASE = b"kessai/release/v1\0"


@dataclass(slots=True)
class ReleaseSuspense(Command):
    """An entry of the suspense account `payer` goes to `payee`; `arrival` brought it.

    `refusal` is a decline already known, since `payee` may be on another shard. Declines:
    ALREADY_RELEASED, PAYEE_ACCOUNT_UNKNOWN, ACCOUNT_CLOSED, CURRENCY_MISMATCH, AMOUNT_TOO_LARGE,
    INSUFFICIENT_FUNDS.
    """

    kind = CommandKind.RELEASE_SUSPENSE

    arrival: bytes
    refusal: DeclineReason.ValueType

    def home(self) -> int:
        """It is decided where the money lies."""
        return self.payer

    def needs(self, place: Place) -> Needs:
        """The suspense account, where the money may land, and whether it was released before."""
        accounts = (self.payer, *landings(self.payee, self.ledger, place))
        return Needs(accounts, documents=(release_id(self.arrival),))

    def decide(self, state: State, now_us: int) -> Decision:
        """Pay the entry out, unless that was done before."""
        decline = self._decline(state)
        if decline != ACCEPTED:
            return Decision(decline)
        transfer, owes = paid_out(self, account_pb2.ENTRY_KIND_RELEASE, state)
        own = Document(release_id(self.arrival), DocumentKind.RELEASE, self.payer, self.request_id)
        return Decision(transfers=(transfer,), owes=owes, documents=(own,))

    def _decline(self, state: State) -> DeclineReason.ValueType:
        if release_id(self.arrival) in state.documents:
            return d.DECLINE_REASON_ALREADY_RELEASED
        if self.refusal != ACCEPTED:
            return self.refusal
        if state.place.is_here(self.payee):
            return receiver_decline(state.account(self.payee), self.ledger)
        return ACCEPTED


def receiver_decline(account: Account | None, ledger: int) -> DeclineReason.ValueType:
    """Why an account cannot be paid in a currency (ISO 4217 number), or ACCEPTED."""
    if account is None or account.owner == HOUSE:
        return d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
    if account.is_closed:
        return d.DECLINE_REASON_ACCOUNT_CLOSED
    if account.ledger != ledger:
        return d.DECLINE_REASON_CURRENCY_MISMATCH
    return ACCEPTED


def release_id(arrival: bytes) -> bytes:
    """The id of the document that says that an arrival's entry was paid out: 32 bytes."""
    return hashlib.sha256(_RELEASE + arrival).digest()


def release(
    message: ReleaseSuspenseRequest,
    operator: str,
    suspense: int,
    ledger: int,
    refusal: DeclineReason.ValueType,
) -> ReleaseSuspense:
    """Make the command of an operator's request, whose fields were checked.

    `suspense` is the account in which the entry lies, `ledger` its currency.
    """
    request = message.SerializeToString(deterministic=True)
    evidence = OperatorEvidence(operator=operator, request=request, refusal=refusal)
    return ReleaseSuspense(
        parse_request_id(message.request_id),
        hashlib.sha256(request).digest(),
        suspense,
        parse_account(message.account_number),
        message.amount.amount_minor,
        ledger,
        evidence.SerializeToString(),
        arrival=arrival_id(parse_request_id(message.entry_request_id)),
        refusal=refusal,
    )
