"""Travel: whether a holder may enter, and what he paid on the way today (mission row B4).

The gate sends the phone's own proof, made for that gate and good for one question (`questions`), so
nobody asks about holders who are not standing there. It learns a yes or no, measured by the
operator's minimum and never by one of its own, and what was paid to its own merchant lately. The
fare itself is a payment: `register_purchase.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kessai.envelope import PublicKey
from kessai.holder import Asked, HolderRefused, challenge_of, open_holder_answer
from kessai.money import Money, currency_of
from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.holder_pb2 import HolderAnswer
from server.domain.command import ACCEPTED
from server.domain.directory import HolderEntry, Merchant
from server.domain.document import Document, DocumentKind
from server.domain.fare import ride_id
from server.identity.directory_call import in_thread
from server.identity.holders import Holders
from server.identity.refusals import FieldRefused, NotPermitted, Unknown
from server.ledger.account import Account
from server.ledger.chart import main_account
from server.shards.directory import Directory
from server.shards.router import Shards
from server.shards.store import Reader
from server.switch.fares import TRANSPORT
from server.switch.faults import declined_fault
from server.switch.questions import AnswerUsed, Questions
from server.switch.refused import refusing_store_trouble

_LONGEST_DAY_US = 48 * 3_600_000_000
# The directory's setting of a merchant, as "100 EUR".
_MINIMUM = "minimum_balance/"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class TravelAsked:
    """What a gate asks. `day_start_us` 0 and `open_admission` empty: not asked.

    `content` is the whole of it as it came, by which a repeated question is known.
    """

    answer: HolderAnswer
    nonce: bytes
    currency: str
    day_start_us: int
    open_admission: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class TravelTold:
    """What a gate is told; amounts in minor units of the currency that it asked in."""

    decline: DeclineReason.ValueType = ACCEPTED
    spent_minor: int = 0
    open_admission_paid: bool = False


# One word for all that is in the account: the gate learns no more than it must do.
_MAY_NOT = TravelTold(d.DECLINE_REASON_MAY_NOT_TRAVEL)


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
        self._questions = Questions[TravelTold](now_us)

    async def confirm(self, asked: TravelAsked, merchant_id: str, terminal_id: str) -> TravelTold:
        """Tell a gate whether a holder may enter; the merchant is that of the caller's certificate.

        Declines: CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_DENIED, HOLDER_NOT_PROVEN,
        MAY_NOT_TRAVEL. Raises NotPermitted (not a merchant of transport), FieldRefused,
        Unavailable, Overloaded.
        """
        merchant = self._directory.merchant(merchant_id)
        if merchant is None or merchant.category_code not in TRANSPORT:
            raise NotPermitted("only gates of merchants whose trade is transport may ask this")
        if asked.day_start_us and asked.day_start_us < self._now_us() - _LONGEST_DAY_US:
            raise FieldRefused("day_start_time", "is more than 48 hours ago")
        proof = Asked(challenge_of(asked.nonce), merchant_id, terminal_id)
        try:
            holder = open_holder_answer(asked.answer, self._switch_key, proof, self._now_us())
        except HolderRefused as refused:
            return TravelTold(refused.reason)
        except Exception as error:
            return TravelTold(declined_fault(error, asked.nonce))
        try:
            return await self._questions.once(
                f"{merchant_id}/{terminal_id}",
                asked.nonce,
                asked.content,
                lambda: self._answer(asked, holder.credential_id, merchant),
            )
        except AnswerUsed:
            return TravelTold(d.DECLINE_REASON_HOLDER_NOT_PROVEN)

    async def set_minimum(self, merchant_id: str, minimum: Money) -> None:
        """Set what an account must hold for its holder to enter at a merchant's gates.

        Raises FieldRefused, Unknown, Unavailable, Overloaded.
        """
        merchant = await in_thread(self._directory.merchant, merchant_id)
        if merchant is None:
            raise Unknown(f'there is no merchant "{merchant_id}"')
        if merchant.category_code not in TRANSPORT:
            raise FieldRefused("merchant_id", "is no merchant whose trade is transport")
        with refusing_store_trouble():
            account = await self._shards.account(merchant.account)
        if account is None or account.ledger != currency_of(minimum.currency).number:
            raise FieldRefused("minimum_balance", "is not in the currency of its account")
        value = f"{minimum.minor} {minimum.currency}"
        await in_thread(self._directory.put_setting, _MINIMUM + merchant_id, value)

    async def _answer(
        self, asked: TravelAsked, credential_id: bytes, merchant: Merchant
    ) -> TravelTold:
        entry, minimum = await in_thread(self._find, credential_id, merchant.merchant_id)
        if entry is None:
            return TravelTold(d.DECLINE_REASON_CREDENTIAL_DENIED)
        with refusing_store_trouble():
            return await self._look(asked, entry, merchant, minimum)

    def _find(
        self, credential_id: bytes, merchant_id: str
    ) -> tuple[HolderEntry | None, Money | None]:
        minor, _, currency = (self._directory.setting(_MINIMUM + merchant_id) or "").partition(" ")
        minimum = Money(int(minor), currency) if minor else None
        return self._holders.find(credential_id), minimum

    async def _look(
        self, asked: TravelAsked, entry: HolderEntry, merchant: Merchant, minimum: Money | None
    ) -> TravelTold:
        account = await self._shards.account(entry.account)
        wallet_id = entry.device.split("/")[1]
        if account is None or account.owner != f"wallet/{wallet_id}":
            return _MAY_NOT
        if account.is_frozen or account.is_closed:
            return _MAY_NOT
        if account.ledger != currency_of(asked.currency).number:
            return _MAY_NOT
        if minimum is not None and account.ledger != currency_of(minimum.currency).number:
            return _MAY_NOT
        if minimum is not None and account.available < minimum.minor:
            return _MAY_NOT
        return TravelTold(
            spent_minor=await self._spent(account, merchant, asked.day_start_us),
            open_admission_paid=await self._is_paid(account, merchant, asked.open_admission),
        )

    async def _spent(self, account: Account, merchant: Merchant, since_us: int) -> int:
        """Add up the fares that an account paid to a merchant since a moment."""
        spent, before = 0, 0
        while since_us:
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

    async def _is_paid(self, account: Account, merchant: Merchant, admission: bytes) -> bool:
        # By the name that a ride had before, too: who entered before an upgrade leaves after it.
        names = (ride_id(merchant.merchant_id, admission), admission) if admission else ()
        for name in names:
            document = await self._shards.look(account.id, partial(_read, name), bool)
            if document is not None and (document.kind, document.account) == (
                DocumentKind.ADMISSION,
                account.id,
            ):
                return True
        return False


def _read(name: bytes, reader: Reader) -> Document | None:
    return reader.document(name)
