"""Outcomes: which log rows are payments that somebody waits for, and their receipts.

A payment belongs to who asked for it: a terminal ("agent/<merchant>/<terminal>"), or a wallet that
made a bill ("wallet/<id>"). It is told to him and to the wallet that agreed to it, and to nobody
else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kessai.envelope import read_verified
from kessai.identity_path import AGENT
from kessai.v1.bill_pb2 import BillEvidence
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentEvidence, PaymentRequest
from server.domain.command import ACCEPTED, CommandKind
from server.identity.refusals import Unknown
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.store import Reader
from server.switch.receipts import Receipts
from server.switch.refused import refusing_store_trouble
from server.switch.turns import Turns

LOOKED_UP_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for a payment, the payload of what he signed, and the wallet that agreed."""

    owner: str
    payload: bytes
    payer_wallet: str

    @property
    def parties(self) -> frozenset[str]:
        """Who is told what became of it: who asked, and the wallet that agreed."""
        return frozenset((self.owner, wallet(self.payer_wallet)))


@dataclass(frozen=True, slots=True)
class Found:
    """A payment in the log of a shard."""

    shard: int
    row: LogRow
    asked: Asked


class Outcomes:
    """Finds what became of payments, for those who asked for them."""

    def __init__(self, shards: Shards, receipts: Receipts) -> None:
        self._shards = shards
        self._receipts = receipts
        self._turns = Turns(LOOKED_UP_AT_ONCE)

    async def find(self, request_id: bytes, owner: str) -> Found | None:
        """Find a payment of an owner's; None if there is none, or it is another's.

        Raises Unavailable, Overloaded.
        """
        found = await self._find(request_id, owner)
        return found if found is not None and found.asked.owner == owner else None

    async def receipt(self, request_id: bytes, party: str) -> Signed:
        """Give the receipt of a payment to a party of it, or raise Unknown, and what `find` does.

        That of a held payment is of what became of the hold, if it is not pending any more.
        """
        found = await self._find(request_id, party)
        if found is None or party not in found.asked.parties:
            raise Unknown("this caller has no payment under that request_id")
        return await self.now(found)

    async def asked(self, row: LogRow) -> Asked | None:
        """Who asked for what a row decided, or for the payment whose hold it ended; None if nobody.

        Raises what the shards do.
        """
        if row.kind not in HOLD_ENDS:
            return asked_in(row)
        if row.decline != ACCEPTED:
            return None
        placed = await self._shards.first_row(row.payer, row.body)
        return asked_in(placed[1]) if placed is not None else None

    async def _find(self, request_id: bytes, caller: str) -> Found | None:
        with refusing_store_trouble():
            async with self._turns.turn(caller):
                found = await self._shards.find(request_id)
        asked = asked_in(found[1]) if found else None
        return Found(*found, asked) if found is not None and asked is not None else None

    async def now(self, found: Found) -> Signed:
        """Write the receipt of a payment as it stands now; raises Unavailable, Overloaded."""
        shard, row = found.shard, found.row
        if row.kind == CommandKind.PLACE_HOLD and row.decline == ACCEPTED:
            with refusing_store_trouble():
                shard, row = await self._finished(row) or (shard, row)
        return self._receipts.for_row(shard, row, found.asked.payload)

    async def _finished(self, placed: LogRow) -> tuple[int, LogRow] | None:
        # A pending hold moves with its payer's slot; it stays where it was finished.
        for number in self._shards.routes.homes_of(placed.payer):
            shard = self._shards.shard(number)
            row = await shard.read(lambda reader: _finish(reader, placed.request_id))
            if row is not None:
                return number, row
        return None

    def write(self, found: Found) -> Signed:
        """Write the receipt of a payment that was found, as it was decided first."""
        return self._receipts.for_row(found.shard, found.row, found.asked.payload)


def terminal(merchant_id: str, terminal_id: str) -> str:
    """Name the owner of a terminal's payments."""
    return f"{AGENT}/{merchant_id}/{terminal_id}"


def wallet(wallet_id: str) -> str:
    """Name a wallet as the owner of its bills and a party of what it pays."""
    return f"wallet/{wallet_id}"


def asked_in(row: LogRow) -> Asked | None:
    """Tell who asked for what a log row settled or declined; None if it is no payment."""
    read = _READERS.get(row.kind)
    return read(row.body) if read else None


def _finish(reader: Reader, hold_id: bytes) -> LogRow | None:
    """Find what posted, voided or released a hold."""
    hold = reader.hold(int.from_bytes(hold_id, "big"))
    if hold is None or not hold.finish_id:
        return None
    return reader.row(hold.finish_id.to_bytes(16, "big"))


def _read_payment(body: bytes) -> Asked:
    evidence = PaymentEvidence.FromString(body)
    payload = evidence.payment_request.payload
    request = read_verified(evidence.payment_request, PaymentRequest)
    owner = terminal(request.merchant_id, request.terminal_id)
    return Asked(owner, payload, evidence.wallet_id)


def _read_bill(body: bytes) -> Asked:
    evidence = BillEvidence.FromString(body)
    owner = wallet(evidence.payee_wallet_id)
    return Asked(owner, evidence.bill.payload, evidence.payer_wallet_id)


_READERS: dict[int, Callable[[bytes], Asked]] = {
    CommandKind.SETTLE_PAYMENT: _read_payment,
    CommandKind.PLACE_HOLD: _read_payment,
    CommandKind.SETTLE_BILL: _read_bill,
    CommandKind.SETTLE_FARE: _read_payment,
}

# The kinds of log rows that are payments, and those that end a payment's hold.
PAYMENTS = frozenset(_READERS)
HOLD_ENDS = frozenset((CommandKind.CAPTURE_HOLD, CommandKind.VOID_HOLD, CommandKind.EXPIRE_HOLD))
