"""Commands that raise, wherever one can: what no command of ours does, and a fault of ours would.

They stand in a module, so that a process that writes shards can read them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from server.domain.arrival import Arrive
from server.domain.command import Command, CommandKind, Decision, Needs, Place, State
from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.transfer import Transfer
from tests.unit.server.domain.commands import EUR, PAYMENT

# Where each raises, or what it decides that cannot be carried out or written.
DECLINED = ("needs", "decide", "ledger", "half done", "drop", "commit", "decline", "home less")


class Unportable(Exception):
    """An exception that cannot be brought to another process."""

    def __init__(self, what: str, lock: object) -> None:
        super().__init__(what)
        self.lock = lock


@dataclass(slots=True)
class Spoilt(Command):
    """Raises at some point; `payer` and `payee` are accounts of honest people."""

    kind = CommandKind.DEPOSIT_CASH

    how: str

    def home(self) -> int:
        return self.payee

    def needs(self, place: Place) -> Needs:
        if self.how == "needs":
            raise Unportable(self.how, threading.Lock())
        accounts: tuple[int, ...] = (self.payer, self.payee)
        if self.how == "home less":
            accounts = (None,)  # type: ignore[assignment]
        return Needs(accounts, (), (b"a ticket",))

    def decide(self, state: State, now_us: int) -> Decision:
        takes = Transfer(self.transfer_id, self.payer, self.payee, 1, EUR, PAYMENT)
        opened = Account(77, EUR, 20, 0, "wallet/spoilt", now_us)
        match self.how:
            case "decide":
                raise Unportable(self.how, threading.Lock())
            case "ledger":
                return Decision(transfers=(takes._replace(code=0),))
            case "half done":
                return Decision(transfers=(takes,), opens=(opened,), expires=(5,))
            case "drop":
                return Decision(transfers=(takes,), drops=(b"a ticket",))
            case "commit":
                wrong = Document(b"x" * 16, 2**70, 2**70, b"")
                return Decision(transfers=(takes,), opens=(opened,), documents=(wrong,))
            case "decline":
                return Decision(2**20)  # type: ignore[arg-type]
            case _:
                return Decision(transfers=(takes,))


@dataclass(slots=True)
class Drop(Spoilt):
    """Keeps a document, drops one, or drops one that it kept: `how` tells."""

    def decide(self, state: State, now_us: int) -> Decision:
        kept = Document(b"a ticket", 1, self.payer, self.body)
        if self.how == "keep":
            return Decision(documents=(kept,))
        return Decision(drops=(kept.id,))


@dataclass(slots=True)
class SpoiltArrival(Arrive):
    """An arrival at which the switch fails."""

    def decide(self, state: State, now_us: int) -> Decision:
        raise ZeroDivisionError
