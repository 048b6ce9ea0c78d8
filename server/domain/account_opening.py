"""Opening an account. Built by `server/switch/accounts.py` and from the log."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from kessai.v1 import decline_pb2 as d
from server.domain.command import Command, CommandKind, Decision, Needs, Place, State
from server.ledger.chart import (
    AccountKind,
    house_account_id,
    house_accounts,
    kind_of_owner,
    open_account,
)


@dataclass(slots=True)
class OpenAccount(Command):
    """A new account `payee` for `owner`, kept in `ledger`. Declines: ACCOUNT_EXISTS."""

    kind = CommandKind.OPEN_ACCOUNT

    owner: str

    def home(self) -> int:
        """An account is opened where it is kept."""
        return self.payee

    def needs(self, place: Place) -> Needs:
        """The account itself, and whether the shard keeps the currency yet."""
        return Needs((self.payee, house_account_id(AccountKind.WORLD, place.shard, self.ledger)))

    def decide(self, state: State, now_us: int) -> Decision:
        """Open it, and the house's accounts if it is the shard's first in its currency."""
        if state.account(self.payee) is not None:
            return Decision(d.DECLINE_REASON_ACCOUNT_EXISTS)
        kind = kind_of_owner(self.owner)
        opens = [open_account(self.payee, self.ledger, kind, self.owner, now_us)]
        if state.account(state.house(AccountKind.WORLD, self.ledger)) is None:
            opens += house_accounts(state.place.shard, self.ledger, now_us)
        return Decision(opens=tuple(opens))


def number_for(request_id: bytes, attempt: int) -> int:
    """Give the number (1 to 99,999,999) that a request's attempt, from 0, is to try.

    Computed from the request id, so that a repeated request finds the account it opened, and no
    counter has to be kept over the shards.
    """
    digest = hashlib.sha256(b"kessai/account-number" + request_id + bytes((attempt,))).digest()
    return int.from_bytes(digest[:8], "big") % 99_999_999 + 1


def id_of_attempt(request_id: bytes, attempt: int) -> bytes:
    """Give the id under which a request's attempt stands in the log; attempt 0 has its own."""
    return request_id[:15] + bytes((request_id[15] ^ attempt,))


def attempt_of(request_id: bytes, own_id: bytes) -> int:
    """Tell which attempt of a request has an id in the log."""
    return request_id[15] ^ own_id[15]
