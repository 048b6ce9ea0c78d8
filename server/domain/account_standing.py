"""Freezing, releasing and closing an account: what may go out of it, and into it, from then on.

Built by `server/switch/account_standing.py` and from the log.

    standing    out                                                in
    open        yes                                                yes
    frozen      no: ACCOUNT_FROZEN; holds placed before are        yes
                captured and voided as they were promised
    closed      no: ACCOUNT_CLOSED                                 no: ACCOUNT_CLOSED; what was on
                                                                   its way goes to suspense

A closed account stays closed; its number is never given again, and its statement stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from kessai.account_number import parse_account
from kessai.v1 import decline_pb2 as d
from kessai.v1.account_pb2 import (
    CloseAccountRequest,
    FreezeAccountRequest,
    OperatorEvidence,
    UnfreezeAccountRequest,
)
from server.domain.command import Command, CommandKind, Decision, Marked, Needs, Place, State
from server.ledger.account import Account, AccountFlag
from server.ledger.chart import HOUSE

StandingRequest: TypeAlias = FreezeAccountRequest | UnfreezeAccountRequest | CloseAccountRequest


@dataclass(slots=True)
class _ChangeStanding(Command):
    def home(self) -> int:
        """It is decided where the account is."""
        return self.payee

    def needs(self, place: Place) -> Needs:
        """The account."""
        return Needs((self.payee,))

    def decide(self, state: State, now_us: int) -> Decision:
        """Change the account's flags; where they are so already, nothing."""
        account = state.account(self.payee)
        if account is None or account.owner == HOUSE:
            return Decision(d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN)
        return self.mark(account)

    def mark(self, account: Account) -> Decision:
        """The account's new flags, or why it keeps the old ones."""
        raise NotImplementedError


@dataclass(slots=True)
class FreezeAccount(_ChangeStanding):
    """Nothing goes out of `payee` from now on. Declines: PAYEE_ACCOUNT_UNKNOWN, ACCOUNT_CLOSED."""

    kind = CommandKind.FREEZE_ACCOUNT

    def mark(self, account: Account) -> Decision:
        """Freeze it."""
        if account.is_closed:
            return Decision(d.DECLINE_REASON_ACCOUNT_CLOSED)
        return Decision(marks=(Marked(account.id, account.flags | AccountFlag.FROZEN),))


@dataclass(slots=True)
class UnfreezeAccount(_ChangeStanding):
    """The end of a freeze. Declines: PAYEE_ACCOUNT_UNKNOWN, ACCOUNT_CLOSED."""

    kind = CommandKind.UNFREEZE_ACCOUNT

    def mark(self, account: Account) -> Decision:
        """Let money out again."""
        if account.is_closed:
            return Decision(d.DECLINE_REASON_ACCOUNT_CLOSED)
        return Decision(marks=(Marked(account.id, account.flags & ~AccountFlag.FROZEN),))


@dataclass(slots=True)
class CloseAccount(_ChangeStanding):
    """The end of `payee`. Declines: PAYEE_ACCOUNT_UNKNOWN, ACCOUNT_NOT_EMPTY."""

    kind = CommandKind.CLOSE_ACCOUNT

    def mark(self, account: Account) -> Decision:
        """Close it, if it holds nothing and nothing is held."""
        if account.balance or account.debits_pending or account.credits_pending:
            return Decision(d.DECLINE_REASON_ACCOUNT_NOT_EMPTY)
        return Decision(marks=(Marked(account.id, account.flags | AccountFlag.CLOSED),))


Make = TypeVar("Make", bound=_ChangeStanding)


def change_standing(
    make: Callable[..., Make], message: StandingRequest, request_id: bytes, operator: str
) -> Make:
    """Make the command of an operator's request, whose fields were checked."""
    request = message.SerializeToString(deterministic=True)
    body = OperatorEvidence(operator=operator, request=request).SerializeToString()
    account = parse_account(message.account_number)
    return make(request_id, hashlib.sha256(request).digest(), 0, account, 0, 0, body)
