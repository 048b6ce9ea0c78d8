"""Travel: whether a holder may enter, and what he paid on the way today (mission row B4).

The gate sends the phone's own proof, made for that gate, so nobody asks about holders who are not
standing there; and it learns a yes or no, and what was paid to its own merchant. Called by
`server/rpc/fare_servicer.py`. The fare itself is a payment: `register_purchase.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kessai.envelope import PublicKey
from kessai.holder import Asked, HolderRefused, challenge_of, open_holder_answer
from kessai.money import Money, currency_of
from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.holder_pb2 import HolderAnswer
from server.domain.command import ACCEPTED
from server.domain.directory import HolderEntry, Merchant
from server.domain.document import DocumentKind
from server.identity.directory_call import in_thread
from server.identity.holders import Holders
from server.identity.refusals import NotPermitted
from server.ledger.account import Account
from server.ledger.chart import main_account
from server.shards.directory import Directory
from server.shards.router import Shards
from server.switch.faults import declined_fault
from server.switch.refused import refusing_store_trouble

# ISO 18245: commuter transport, passenger railways, bus lines, cruise lines, airlines, tolls.
TRANSPORT = frozenset({"4111", "4112", "4131", "4411", "4511", "4784"})

_PAGE = 100
_MAX_PAGES = 10


@dataclass(frozen=True, slots=True)
class TravelAsked:
    """What a gate asks. `day_start_us` 0 and `open_admission` empty: not asked."""

    answer: HolderAnswer
    nonce: bytes
    minimum: Money
    day_start_us: int
    open_admission: bytes


@dataclass(frozen=True, slots=True)
class TravelTold:
    """What a gate is told; amounts in minor units of the currency that it asked in."""

    decline: DeclineReason.ValueType = ACCEPTED
    spent_minor: int = 0
    open_admission_paid: bool = False


class Travel:
    """Confirms to gates that holders may travel."""

    def __init__(
        self,
        shards: Shards,
        directory: Directory,
        holders: Holders,
        switch_key: PublicKey,
        now_us: Callable[[], int],
    ) -> None:
        self._shards, self._directory, self._holders = shards, directory, holders
        self._switch_key, self._now_us = switch_key, now_us

    async def confirm(self, asked: TravelAsked, merchant_id: str, terminal_id: str) -> TravelTold:
        """Tell a gate whether a holder may enter; the merchant is that of the caller's certificate.

        Declines: CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_DENIED, HOLDER_NOT_PROVEN,
        PAYER_ACCOUNT_UNKNOWN, CURRENCY_MISMATCH, BALANCE_BELOW_MINIMUM. Raises NotPermitted (not a
        merchant of transport), Unavailable, Overloaded.
        """
        merchant = self._directory.merchant(merchant_id)
        if merchant is None or merchant.category_code not in TRANSPORT:
            raise NotPermitted("only gates of merchants whose trade is transport may ask this")
        proof = Asked(challenge_of(asked.nonce), merchant_id, terminal_id)
        try:
            holder = open_holder_answer(asked.answer, self._switch_key, proof, self._now_us())
        except HolderRefused as refused:
            return TravelTold(refused.reason)
        except Exception as error:
            return TravelTold(declined_fault(error, asked.nonce))
        entry = await in_thread(self._holders.find, holder.credential_id)
        if entry is None:
            return TravelTold(d.DECLINE_REASON_CREDENTIAL_DENIED)
        with refusing_store_trouble():
            return await self._look(asked, entry, merchant)

    async def _look(self, asked: TravelAsked, entry: HolderEntry, merchant: Merchant) -> TravelTold:
        account = await self._shards.account(entry.account)
        wallet_id = entry.device.split("/")[1]
        if account is None or account.owner != f"wallet/{wallet_id}":
            return TravelTold(d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN)
        if account.ledger != currency_of(asked.minimum.currency).number:
            return TravelTold(d.DECLINE_REASON_CURRENCY_MISMATCH)
        if account.available < asked.minimum.minor:
            return TravelTold(d.DECLINE_REASON_BALANCE_BELOW_MINIMUM)
        return TravelTold(
            spent_minor=await self._spent(account, merchant, asked.day_start_us),
            open_admission_paid=await self._is_paid(account, asked.open_admission),
        )

    async def _spent(self, account: Account, merchant: Merchant, since_us: int) -> int:
        """Add up the fares that an account paid to a merchant since a moment."""
        spent, before = 0, 0
        for _ in range(_MAX_PAGES if since_us else 0):
            _, entries = await self._shards.statement(account.id, before, _PAGE)
            for entry in entries:
                if entry.book_us < since_us:
                    return spent
                is_fare = entry.code == account_pb2.ENTRY_KIND_FARE and entry.amount < 0
                if is_fare and main_account(entry.counterparty) == merchant.account:
                    spent -= entry.amount
            if len(entries) < _PAGE:
                break
            before = entries[-1].sequence
        return spent

    async def _is_paid(self, account: Account, admission: bytes) -> bool:
        if not admission:
            return False
        document = await self._shards.look(
            account.id, lambda reader: reader.document(admission), bool
        )
        return document is not None and (document.kind, document.account) == (
            DocumentKind.ADMISSION,
            account.id,
        )
