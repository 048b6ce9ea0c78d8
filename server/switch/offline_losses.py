"""Losses off line: what a terminal accepted without the switch, and the switch then declined.

The terminal believed a phone, and the merchant has the loss. If the phone is at fault its
credentials are taken back and the loss counts against its wallet, which gets no off-line limit
again until the loss is forgiven or old. Who is at fault for which reason: the table in
docs/features/offline.md. All of it is on disk before the payment is answered, so a crash in between
forgets nothing: the terminal asks again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, Counter

from kessai.decline import name_of
from kessai.envelope import DocumentMalformed, PublicKey, read_unverified, read_verified
from kessai.holder import Asked, HolderRefused, open_credential, open_holder_answer
from kessai.request_id import format_request_id
from kessai.seal import sealed_hash
from kessai.settlement_terms import settle_until_us
from kessai.v1 import decline_pb2 as d
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    PAYMENT_OUTCOME_DECLINED,
    PaymentAuthorization,
    PaymentEvidence,
    PaymentRequest,
    Receipt,
)
from server.domain.command import ACCEPTED
from server.domain.directory import HolderEntry, OfflineLoss
from server.identity.directory_call import in_thread
from server.identity.holders import Holders
from server.identity.losses import Losses
from server.identity.refusals import Refusal, RequestIdReused
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.switch.documents import Submission
from server.switch.outcomes import Asked as AskedBy
from server.switch.outcomes import asked_in, terminal, wallet
from server.switch.refused import refusing_store_trouble

# The phone sealed, signed or named what does not hold, or had not the money.
_PHONES = frozenset(
    {
        d.DECLINE_REASON_AUTHORIZATION_UNREADABLE,
        d.DECLINE_REASON_AUTHORIZATION_SIGNATURE_INVALID,
        d.DECLINE_REASON_AUTHORIZATION_MALFORMED,
        d.DECLINE_REASON_AUTHORIZATION_MISMATCH,
        d.DECLINE_REASON_CUSTOMER_NOT_VERIFIED,
        d.DECLINE_REASON_WALLET_UNKNOWN,
        d.DECLINE_REASON_WALLET_REVOKED,
        d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN,
        d.DECLINE_REASON_PAYER_NOT_HOLDER,
        d.DECLINE_REASON_INSUFFICIENT_FUNDS,
    }
)

_log = structlog.get_logger("kessai.offline")


class OfflineLosses:
    """Judges what became of payments that terminals accepted."""

    def __init__(
        self,
        losses: Losses,
        holders: Holders,
        shards: Shards,
        switch_key: PublicKey,
        now_us: Callable[[], int],
        registry: CollectorRegistry,
    ) -> None:
        self._losses, self._holders, self._shards = losses, holders, shards
        self._switch_key, self._now_us = switch_key, now_us
        self._lost = Counter(
            "kessai_offline_losses",
            "Payments that terminals accepted off line and the switch then declined.",
            ("reason", "phones"),
            registry=registry,
        )

    async def judge(self, submission: Submission, answer: Signed | Refusal) -> None:
        """Look at the answer to a payment before it goes out; most need nothing.

        Raises DirectoryUnavailable, Unavailable, Overloaded: then the payment is not answered, and
        comes again.
        """
        if not submission.message.HasField("accepted_holder_answer"):
            return
        reason = _reason_in(answer)
        if not reason:
            return
        holder = self._believed(submission)
        entry = await in_thread(self._holders.issued, holder) if holder else None
        if entry is None:
            _log.warning("offline_loss_unproven", **_names(submission), reason=reason)
            return
        is_phones = await self._is_phones(submission, reason, entry)
        await in_thread(self._take_note, submission, reason, entry, is_phones)

    def _believed(self, submission: Submission) -> bytes:
        """The credential whose holder proved this request with this seal at this terminal; b""."""
        message = submission.message
        asked = Asked(
            hashlib.sha256(message.payment_request.payload).digest(),
            submission.merchant.merchant_id,
            submission.terminal_id,
            sealed_hash(message.sealed_authorization),
        )
        answer = message.accepted_holder_answer
        try:
            # The terminal has judged whether it was in date.
            then_us = open_credential(answer.credential, self._switch_key).issue_us
            return open_holder_answer(answer, self._switch_key, asked, then_us).credential_id
        except HolderRefused:
            return b""

    async def _is_phones(self, submission: Submission, reason: str, entry: HolderEntry) -> bool:
        """Whether the phone is at fault, which proved that it gave just these documents."""
        if reason in map(name_of, _PHONES):
            return _claimed(submission).HasField("deferred_expire_time")
        with refusing_store_trouble():
            found = await self._shards.find(submission.request_id)
        asked = asked_in(found[1]) if found else None
        if found is None or asked is None:
            return False
        own = asked.owner == terminal(submission.merchant.merchant_id, submission.terminal_id)
        if reason == _REUSED:
            return not own and _is_party(entry.wallet_id, asked)
        return own and _is_by_choice(found[1], reason)

    def _take_note(
        self, submission: Submission, reason: str, entry: HolderEntry, is_phones: bool
    ) -> None:
        total = _claimed(submission).total
        loss = OfflineLoss(
            submission.request_id,
            terminal(submission.merchant.merchant_id, submission.terminal_id),
            entry.device,
            total.amount_minor,
            total.currency_code,
            reason,
            is_phones,
            self._now_us(),
        )
        is_new = self._losses.note(loss)
        if is_phones:  # after it is noted: a credential that is issued meanwhile then has no limit
            # A terminal that brings it again, as after a crash, takes back no later credential.
            until_us = None if is_new else self._losses.noted_us(loss)
            self._holders.take_back(entry.device, until_us)
        if is_new:
            self._lost.labels(reason, "yes" if is_phones else "no").inc()
            _log.warning(
                "offline_loss",
                **_names(submission),
                phone=entry.device,
                reason=reason,
                is_phones=is_phones,
            )


def _is_by_choice(row: LogRow, reason: str) -> bool:
    """Whether the phone brought a decline about that somebody else can bring about, too."""
    evidence = PaymentEvidence.FromString(row.body)
    if reason == name_of(d.DECLINE_REASON_CURRENCY_MISMATCH):
        return evidence.refusal == ACCEPTED  # else it is the payee's account
    if reason == name_of(d.DECLINE_REASON_EXPIRED):
        request = read_verified(evidence.payment_request, PaymentRequest)
        authorization = read_verified(evidence.authorization, PaymentAuthorization)
        until_us = settle_until_us(request)
        ended_early = authorization.expire_time.ToMicroseconds() < until_us
        return ended_early and row.time.decide_us < until_us
    return False


def _is_party(wallet_id: str, asked: AskedBy) -> bool:
    return wallet_id == asked.payer_wallet or wallet(wallet_id) == asked.owner


def _reason_in(answer: Signed | Refusal) -> str:
    if isinstance(answer, Signed):
        receipt = read_verified(answer, Receipt)
        declined = receipt.outcome == PAYMENT_OUTCOME_DECLINED
        return name_of(receipt.decline_reason) if declined else ""
    return _REUSED if isinstance(answer, RequestIdReused) else ""


def _claimed(submission: Submission) -> PaymentRequest:
    try:
        return read_unverified(submission.message.payment_request, PaymentRequest)
    except DocumentMalformed:
        return PaymentRequest()


def _names(submission: Submission) -> dict[str, str]:
    return {
        "payment": format_request_id(submission.request_id),
        "terminal": terminal(submission.merchant.merchant_id, submission.terminal_id),
    }


_REUSED = "REQUEST_ID_REUSED"
