"""Getting the customer's consent: show the purchase, ask, check the PIN, sign, keep (row B1).

Runs in the wallet's customer thread, one purchase at a time, so that what the customer sees is what
the PIN is for. The key is under the PIN: without it nothing is signed, but for amounts that both
the customer (`Vault.allow_small`) and the merchant certificate let pass. Called by `wallet`.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from kessai.v1 import decline_pb2, payment_pb2, tap_pb2
from kessai.v1.payment_pb2 import CustomerVerification, PaymentAuthorization
from kessai.v1.tap_pb2 import TapStatus
from simulators.phone import screen
from simulators.phone.authorization import sign_and_seal, write_authorization
from simulators.phone.customer import Customer
from simulators.phone.purchase import Purchase, time_refusal
from simulators.phone.screen import Screen
from simulators.phone.store import Decision, Store
from simulators.phone.vault import Vault, VaultLocked, WrongPin

Amend = Callable[[PaymentAuthorization], None]

_AUTHORIZED = tap_pb2.TAP_STATUS_AUTHORIZED
_DECLINED = tap_pb2.TAP_STATUS_CUSTOMER_DECLINED
_NONE = payment_pb2.CUSTOMER_VERIFICATION_NONE
_PIN = payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN


class Consent:
    """Asks one phone's customer. `amend` is where a dishonest phone changes what it signs."""

    def __init__(
        self,
        account_number: str,
        sealing_key: X25519PublicKey,
        vault: Vault,
        store: Store,
        customer: Customer,
        show: Callable[[Screen], None],
        now_us: Callable[[], int],
        amend: Amend = lambda authorization: None,
        holder_public_key: bytes = b"",
    ) -> None:
        """Ask for one account; tickets that are bought are bound to `holder_public_key`."""
        self._holder_public_key = holder_public_key
        self._account_number, self._sealing_key = account_number, sealing_key
        self._vault, self._store, self._customer = vault, store, customer
        self._show, self._now_us, self._amend = show, now_us, amend

    def ask(self, purchase: Purchase) -> TapStatus.ValueType:
        """Ask the customer; a decision is durable when this returns.

        Gives AUTHORIZED, CUSTOMER_DECLINED, PHONE_LOCKED, or REQUEST_REFUSED if it took too long or
        its id is another request's; the last two are no decision and may be asked again.
        """
        if self._vault.tries_left == 0:
            return self._locked()
        if self._is_late(purchase) or self._is_id_taken(purchase):
            return tap_pb2.TAP_STATUS_REQUEST_REFUSED
        self._show(screen.ask(purchase))
        if not self._customer.agrees(purchase):
            return self._decline(purchase)
        verification = _NONE
        key = self._vault.open_small(purchase.total) if purchase.needs_no_pin else None
        if key is None:
            verification = _PIN
            try:
                key = self._ask_for_pin(purchase)
            except VaultLocked:
                return self._locked()
        if key is None:
            return self._decline(purchase)
        if self._is_late(purchase):
            return tap_pb2.TAP_STATUS_REQUEST_REFUSED
        return self._authorize(purchase, key, verification)

    def _ask_for_pin(self, purchase: Purchase) -> ec.EllipticCurvePrivateKey | None:
        was_wrong = False
        while True:
            tries_left = self._vault.tries_left
            self._show(screen.ask_for_pin(purchase, tries_left, was_wrong))
            pin = self._customer.enter_pin(tries_left)
            if pin is None:
                return None
            try:
                return self._vault.unlock(pin)
            except WrongPin:
                was_wrong = True

    def _authorize(
        self,
        purchase: Purchase,
        key: ec.EllipticCurvePrivateKey,
        verification: CustomerVerification.ValueType,
    ) -> TapStatus.ValueType:
        authorization = write_authorization(
            purchase, self._account_number, verification, self._holder_public_key
        )
        self._amend(authorization)
        sealed = sign_and_seal(authorization, key, self._sealing_key, purchase.request_hash)
        status = self._decide(purchase, _AUTHORIZED, sealed)
        self._show(screen.authorized(purchase))
        return status

    def _decline(self, purchase: Purchase) -> TapStatus.ValueType:
        status = self._decide(purchase, _DECLINED, b"")
        self._show(screen.cancelled(purchase))
        return status

    def _decide(
        self, purchase: Purchase, status: TapStatus.ValueType, sealed: bytes
    ) -> TapStatus.ValueType:
        decision = Decision(
            purchase.request_hash,
            purchase.signed_request,
            purchase.shop,
            status,
            sealed,
            self._now_us(),
        )
        return self._store.decide(decision).status

    def _is_late(self, purchase: Purchase) -> bool:
        reason = time_refusal(purchase, self._now_us())
        if reason == decline_pb2.DECLINE_REASON_UNSPECIFIED:
            return False
        self._show(screen.refused(purchase.shop, reason))
        return True

    def _is_id_taken(self, purchase: Purchase) -> bool:
        # One of two under one id is never settled; had the terminal accepted it off line, this
        # phone would lose its credential for it.
        if self._store.is_asked_first(purchase.request.request_id, purchase.request_hash):
            return False
        malformed = decline_pb2.DECLINE_REASON_REQUEST_MALFORMED
        self._show(screen.refused(purchase.shop, malformed))
        return True

    def _locked(self) -> TapStatus.ValueType:
        self._show(screen.locked())
        return tap_pb2.TAP_STATUS_PHONE_LOCKED
