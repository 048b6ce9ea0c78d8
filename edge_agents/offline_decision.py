"""Deciding without the switch: whether an authorised payment may be accepted now, settled later.

Asked by `settlements` when the switch does not answer in time, and by gates that may not wait. One
ladder: the first rung that does not hold is the reason. The phone's authorisation is sealed, so the
terminal believes the phone's holder proof over the same request instead (`kessai.holder`): of a
customer whom the switch certified, of whose phone the deny list says nothing, who owes nothing
here, for an amount that the switch, the operator and the merchant's class allow. Limits of one
customer count by wallet, so that neither a second phone nor a new credential begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edge_agents.accepted import LOST_FOR_US, HolderMark
from edge_agents.deny_list import CREDENTIAL, DenyList
from edge_agents.journal import Journal
from edge_agents.payment_request import PendingPayment, Terminal
from edge_agents.remote_settings import RemoteSettings
from kessai.envelope import read_verified
from kessai.holder import Asked, Holder, HolderRefused, open_holder_answer
from kessai.seal import sealed_hash
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Sealed
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.payment_pb2 import MerchantCertificate

ACCEPTED = d.DECLINE_REASON_UNSPECIFIED

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


@dataclass(frozen=True, slots=True)
class OfflineRules:
    """What may be accepted without the switch. Amounts in minor units, times in seconds."""

    payment_limit_minor: int
    waiting_limit_minor: int
    waiting_count: int
    holder_count: int
    deny_list_age_s: int
    credential_age_s: int


# Fares are small and people many; a machine's goods are small; elsewhere the switch is asked, until
# an operator says otherwise (`kessai device config`). ISO 18245 category codes.
_TRANSIT = OfflineRules(2_000, 500_000, 2_000, 4, _DAY_S, 7 * _DAY_S)
_MACHINES = OfflineRules(1_000, 50_000, 100, 2, 4 * _HOUR_S, 2 * _DAY_S)
_NOTHING = OfflineRules(0, 50_000, 100, 2, 4 * _HOUR_S, 2 * _DAY_S)
RULES_BY_CATEGORY: Mapping[str, OfflineRules] = {
    **dict.fromkeys(("4111", "4112", "4131", "4784", "7523"), _TRANSIT),
    **dict.fromkeys(("5441", "5499", "5814"), _MACHINES),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """ACCEPTED, or why not; and which holder it stands on."""

    reason: DeclineReason.ValueType
    holder: HolderMark | None = None


class OfflineDecision:
    """The rules of one terminal, and what they are applied to."""

    def __init__(
        self,
        terminal: Terminal,
        deny_list: DenyList,
        settings: RemoteSettings,
        journal: Journal,
        now_us: Callable[[], int],
    ) -> None:
        self._terminal, self._deny_list, self._settings = terminal, deny_list, settings
        self._journal, self._now_us = journal, now_us
        self._certificate = _certificate_of(terminal)

    @property
    def rules(self) -> OfflineRules:
        """The rules now: those of the merchant's class, as the operator changed them."""
        usual = RULES_BY_CATEGORY.get(self._certificate.category_code, _NOTHING)
        return replace(
            usual,
            **{key.removeprefix("offline_"): value for key, value in self._settings.values.items()},
        )

    def use_certificate(self, terminal: Terminal) -> None:
        """Take a renewed merchant certificate; nothing is accepted with one that has ended."""
        self._terminal, self._certificate = terminal, _certificate_of(terminal)

    def accept(
        self, pending: PendingPayment, sealed: Sealed, answer: HolderAnswer | None
    ) -> DeclineReason.ValueType:
        """Accept an authorised payment with the holder's answer beside it, or say why not.

        What was accepted is noted in the journal, and counts against the limits, before ACCEPTED
        comes back. Else OFFLINE_NOT_ALLOWED, CREDENTIAL_INVALID, CREDENTIAL_EXPIRED,
        CREDENTIAL_DENIED, HOLDER_NOT_PROVEN or OFFLINE_LIMIT_EXCEEDED.
        """
        decision = self.decide(pending, sealed, answer)
        if decision.holder is not None and answer is not None:
            now_us = self._now_us()
            self._journal.accept(pending.request_id, decision.holder, answer, now_us)
        return decision.reason

    def trust(self, holder: Holder) -> DeclineReason.ValueType:
        """Tell whether a holder who has proved himself may be let in without the switch.

        ACCEPTED, or OFFLINE_NOT_ALLOWED, CREDENTIAL_EXPIRED, CREDENTIAL_DENIED or
        OFFLINE_LIMIT_EXCEEDED.
        """
        rules, now_us = self.rules, self._now_us()
        if rules.payment_limit_minor == 0 or self._journal.marks.alarm:
            return d.DECLINE_REASON_OFFLINE_NOT_ALLOWED
        if now_us >= self._certificate.expire_time.ToMicroseconds():
            return d.DECLINE_REASON_OFFLINE_NOT_ALLOWED
        if self._deny_list.is_stale(rules.deny_list_age_s * 1_000_000, now_us):
            return d.DECLINE_REASON_OFFLINE_NOT_ALLOWED
        if now_us - holder.issue_us > rules.credential_age_s * 1_000_000:
            return d.DECLINE_REASON_CREDENTIAL_EXPIRED
        if self._deny_list.is_denied(CREDENTIAL, holder.credential_id):
            return d.DECLINE_REASON_CREDENTIAL_DENIED
        if self._journal.accepted.lost(_mark_of(holder), now_us - LOST_FOR_US).with_credential:
            return d.DECLINE_REASON_CREDENTIAL_DENIED
        if holder.offline_limit is None:
            return d.DECLINE_REASON_OFFLINE_LIMIT_EXCEEDED
        return ACCEPTED

    def decide(
        self, pending: PendingPayment, sealed: Sealed, answer: HolderAnswer | None
    ) -> Decision:
        """Decide without noting anything; reasons as `accept`."""
        may_be_deferred = pending.request.HasField("deferred_expire_time")
        if not may_be_deferred or self.rules.payment_limit_minor == 0:
            return Decision(d.DECLINE_REASON_OFFLINE_NOT_ALLOWED)
        if answer is None:
            return Decision(d.DECLINE_REASON_CREDENTIAL_INVALID)
        by = (self._terminal.merchant_id, self._terminal.terminal_id)
        asked = Asked(pending.request_hash, *by, sealed_hash(sealed))
        try:
            holder = open_holder_answer(answer, self._terminal.switch_key, asked, self._now_us())
        except HolderRefused as refused:
            return Decision(refused.reason)
        reason = self.trust(holder)
        if reason != ACCEPTED:
            return Decision(reason)
        limit, total = holder.offline_limit, pending.total
        if limit is None or limit.currency != total.currency or total.minor > limit.minor:
            return Decision(d.DECLINE_REASON_OFFLINE_LIMIT_EXCEEDED)
        mark = _mark_of(holder)
        if self._is_too_much(self.rules, mark, total.minor):
            return Decision(d.DECLINE_REASON_OFFLINE_LIMIT_EXCEEDED)
        return Decision(ACCEPTED, mark)

    def _is_too_much(self, rules: OfflineRules, mark: HolderMark, minor: int) -> bool:
        waiting = self._journal.accepted.waiting(mark)
        lost = self._journal.accepted.lost(mark, self._now_us() - LOST_FOR_US)
        return (
            minor > rules.payment_limit_minor
            or waiting.count >= rules.waiting_count
            or waiting.of_wallet + lost.of_wallet >= rules.holder_count
            or waiting.total_minor + minor > rules.waiting_limit_minor
        )


def _mark_of(holder: Holder) -> HolderMark:
    return HolderMark(holder.credential_id, holder.wallet_handle, holder.former_wallet_handle)


def _certificate_of(terminal: Terminal) -> MerchantCertificate:
    return read_verified(terminal.merchant_certificate, MerchantCertificate)
