"""Cash in and out, by an operator (mission row B11: deposits and withdrawals).

Built by `server/switch/accounts.py` and from the log. The world is the other side of all cash, and
it passes through the operator's account, so the books show who handled it. Nobody pays cash into or
out of an account of the house: what is in transit or in suspense is owed to somebody.

    movement      debit       credit
    deposit       world       operator
                  operator    account
    withdrawal    account     operator
                  operator    world
"""

from __future__ import annotations

from dataclasses import dataclass

from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from server.domain.command import Command, CommandKind, Decision, Needs, Place, State
from server.ledger.chart import HOUSE, AccountKind, house_account_id
from server.ledger.transfer import Transfer

_HOUSE = (AccountKind.WORLD, AccountKind.OPERATOR)


@dataclass(slots=True)
class DepositCash(Command):
    """Cash for the payee. Declines: PAYEE_ACCOUNT_UNKNOWN, CURRENCY_MISMATCH, AMOUNT_TOO_LARGE."""

    kind = CommandKind.DEPOSIT_CASH

    def home(self) -> int:
        """Cash in is decided where the payee is."""
        return self.payee

    def needs(self, place: Place) -> Needs:
        """The payee's account and the house's two."""
        return Needs((self.payee, *_house(self.ledger, place)))

    def decide(self, state: State, now_us: int) -> Decision:
        """Let the world pay the operator, and the operator the payee."""
        account = state.account(self.payee)
        if account is None or account.owner == HOUSE:
            return Decision(d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN)
        if account.ledger != self.ledger:
            return Decision(d.DECLINE_REASON_CURRENCY_MISMATCH)
        world, operator = _house(self.ledger, state.place)
        kind = account_pb2.ENTRY_KIND_CASH_DEPOSIT
        return Decision(transfers=_chain(self, kind, world, operator, self.payee))


@dataclass(slots=True)
class WithdrawCash(Command):
    """Cash out of the payer's account.

    Declines: PAYER_ACCOUNT_UNKNOWN, CURRENCY_MISMATCH, INSUFFICIENT_FUNDS, AMOUNT_TOO_LARGE.
    """

    kind = CommandKind.WITHDRAW_CASH

    def home(self) -> int:
        """Cash out is decided where the payer is."""
        return self.payer

    def needs(self, place: Place) -> Needs:
        """The payer's account and the house's two."""
        return Needs((self.payer, *_house(self.ledger, place)))

    def decide(self, state: State, now_us: int) -> Decision:
        """Let the payer pay the operator, and the operator the world."""
        account = state.account(self.payer)
        if account is None or account.owner == HOUSE:
            return Decision(d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN)
        if account.ledger != self.ledger:
            return Decision(d.DECLINE_REASON_CURRENCY_MISMATCH)
        world, operator = _house(self.ledger, state.place)
        kind = account_pb2.ENTRY_KIND_CASH_WITHDRAWAL
        return Decision(transfers=_chain(self, kind, self.payer, operator, world))


def _house(ledger: int, place: Place) -> tuple[int, int]:
    world, operator = (house_account_id(kind, place.shard, ledger) for kind in _HOUSE)
    return world, operator


def _chain(
    command: Command, kind: account_pb2.EntryKind.ValueType, source: int, via: int, target: int
) -> tuple[Transfer, Transfer]:
    first, amount, ledger = command.transfer_id, command.amount, command.ledger
    return (
        Transfer(first, source, via, amount, ledger, kind),
        Transfer(first + 1, via, target, amount, ledger, kind),
    )
