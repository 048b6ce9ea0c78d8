"""The account store as a few dictionaries: what `test_engines.py` holds every engine against.

It has no transfers, no entries and no accounts of the house: only what people have, what is
reserved, and what is owed to the other shards. Written from the tables in the docstrings of
`server/domain`, not from its code.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.account_opening import OpenAccount
from server.domain.cash import DepositCash, WithdrawCash
from server.domain.command import ACCEPTED, Command
from server.domain.hold import CaptureHold, ExpireHold, PlaceHold, VoidHold
from server.domain.payment import SettlePayment
from server.shards.placement import SlotMap
from tests.placing import shard_of

_SECOND_US = 1_000_000


@dataclass
class Reserved:
    """A hold: until when (0: for ever), and whether it is still there."""

    payer: int
    payee: int
    amount: int
    until_us: int
    pending: bool = True


@dataclass
class Model:
    """What there is, by account; `owed` is what each shard owes to accounts of others."""

    slots: SlotMap
    balances: dict[int, int] = field(default_factory=dict)
    holds: dict[bytes, Reserved] = field(default_factory=dict)
    owed: dict[int, deque[tuple[int, int]]] = field(default_factory=dict)
    arrived: set[bytes] = field(default_factory=set)
    suspense: int = 0

    def held(self, account: int) -> int:
        """Add up what is reserved of an account."""
        return sum(h.amount for h in self.holds.values() if h.pending and h.payer == account)

    def do(self, command: Command, now_us: int) -> DeclineReason.ValueType:
        """Do a command, or say why not."""
        if isinstance(command, OpenAccount):
            return self._open(command)
        if isinstance(command, DepositCash):
            return self._deposit(command)
        if isinstance(command, WithdrawCash):
            return self._withdraw(command)
        if isinstance(command, SettlePayment):
            return self._pay(command)
        if isinstance(command, PlaceHold):
            return self._reserve(command, now_us)
        return self._finish(command, now_us)

    def arrive(self, shard: int) -> None:
        """Bring what a shard owes longest."""
        payee, amount = self.owed[shard].popleft()
        if payee in self.balances:
            self.balances[payee] += amount
        else:
            self.suspense += amount

    def _open(self, command: Command) -> DeclineReason.ValueType:
        if command.payee in self.balances:
            return d.DECLINE_REASON_ACCOUNT_EXISTS
        self.balances[command.payee] = 0
        return ACCEPTED

    def _deposit(self, command: Command) -> DeclineReason.ValueType:
        if command.payee not in self.balances:
            return d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        if command.amount == 0:
            return d.DECLINE_REASON_AMOUNT_NOT_POSITIVE
        self.balances[command.payee] += command.amount
        return ACCEPTED

    def _withdraw(self, command: Command) -> DeclineReason.ValueType:
        if command.payer not in self.balances:
            return d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN
        if command.amount == 0:
            return d.DECLINE_REASON_AMOUNT_NOT_POSITIVE
        if not self._can_spend(command):
            return d.DECLINE_REASON_INSUFFICIENT_FUNDS
        self.balances[command.payer] -= command.amount
        return ACCEPTED

    def _pay(self, command: Command) -> DeclineReason.ValueType:
        if command.payer not in self.balances:
            return d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN
        refusal = self._transfer_refused(command)
        if refusal == ACCEPTED:
            self._move(command.payer, command.payee, command.amount)
        return refusal

    def _reserve(self, command: PlaceHold, now_us: int) -> DeclineReason.ValueType:
        if command.payer not in self.balances:
            return d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN
        refusal = self._transfer_refused(command)
        if refusal == ACCEPTED:
            timeout_s = command.hold_seconds
            until_us = now_us + timeout_s * _SECOND_US if timeout_s else 0
            self.holds[command.request_id] = Reserved(
                command.payer, command.payee, command.amount, until_us
            )
        return refusal

    def _finish(self, command: Command, now_us: int) -> DeclineReason.ValueType:
        hold = self.holds.get(command.body)
        over = hold is not None and 0 < hold.until_us <= now_us
        if hold is None:
            return d.DECLINE_REASON_HOLD_NOT_PENDING
        if isinstance(command, CaptureHold):
            if command.amount == 0:
                return d.DECLINE_REASON_AMOUNT_NOT_POSITIVE
            if command.amount > hold.amount:
                return d.DECLINE_REASON_AMOUNT_TOO_LARGE
        assert isinstance(command, CaptureHold | VoidHold | ExpireHold)
        if not hold.pending or over != isinstance(command, ExpireHold):
            return d.DECLINE_REASON_HOLD_NOT_PENDING
        hold.pending = False
        if isinstance(command, CaptureHold):
            self._move(hold.payer, hold.payee, command.amount)
        return ACCEPTED

    def _transfer_refused(self, command: Command) -> DeclineReason.ValueType:
        here = shard_of(self.slots, command.payee) == shard_of(self.slots, command.payer)
        if command.payer == command.payee:
            return d.DECLINE_REASON_PAYER_IS_PAYEE
        if command.amount == 0:
            return d.DECLINE_REASON_AMOUNT_NOT_POSITIVE
        if command.payer not in self.balances:
            return d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN
        if here and command.payee not in self.balances:
            return d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        return ACCEPTED if self._can_spend(command) else d.DECLINE_REASON_INSUFFICIENT_FUNDS

    def _can_spend(self, command: Command) -> bool:
        return command.amount <= self.balances[command.payer] - self.held(command.payer)

    def _move(self, payer: int, payee: int, amount: int) -> None:
        self.balances[payer] -= amount
        source = shard_of(self.slots, payer)
        if shard_of(self.slots, payee) == source:
            self.balances[payee] += amount
        else:
            self.owed.setdefault(source, deque()).append((payee, amount))
