"""A phone that does not do as it should: every way that row B1 has to refuse or survive.

`Misbehaviour` says what it does, the rest does it: at the radio (`MisbehavingCard`), in its answers
(`MisbehavingWallet`) and in what it signs (`Misbehaviour.amend`). Set up by `phone`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from kessai.v1 import payment_pb2, tap_pb2
from kessai.v1.envelope_pb2 import Sealed
from kessai.v1.payment_pb2 import PaymentAuthorization
from kessai.v1.tap_pb2 import TapResponse
from simulators.phone.iso_dep import Card, LeftTheField
from simulators.phone.store import Store


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What a phone does wrong; zero and empty are honest."""

    leave_after_frames: int = 0
    """Leave the field at the frame after so many, counted anew in each tap."""
    leave_after_exchanges: int = 0
    """Work so many messages of a tap, and leave before the last of them is answered."""
    lose_every: int = 0
    """Lose every n-th frame on the air."""
    answer_late_s: float = 0.0
    """Think for so many seconds before each answer."""
    alter_sealed: bool = False
    """Turn one bit of the sealed authorisation around."""
    replay: bool = False
    """Answer with the oldest authorisation that was ever given."""
    submit_late_s: float = 0.0
    """Wait for so many seconds before it submits by its own line."""
    amount_minor: int = 0
    """Authorise this amount, well signed."""
    merchant_id: str = ""
    """Authorise for this merchant, well signed."""
    terminal_id: str = ""
    """Authorise for this terminal, well signed."""
    claim_unverified: bool = False
    """Say that nobody verified the customer, whatever the amount."""

    def amend(self, authorization: PaymentAuthorization) -> None:
        """Change what is about to be signed."""
        if self.amount_minor:
            authorization.amount.amount_minor = self.amount_minor
        if self.merchant_id:
            authorization.merchant_id = self.merchant_id
        if self.terminal_id:
            authorization.terminal_id = self.terminal_id
        if self.claim_unverified:
            authorization.customer_verification = payment_pb2.CUSTOMER_VERIFICATION_NONE


HONEST = Misbehaviour()


class MisbehavingCard:
    """A card that is taken away or loses frames; see `iso_dep.Card`."""

    def __init__(
        self, card: Card, misbehaviour: Misbehaviour, on_leave: Callable[[], None]
    ) -> None:
        self._card, self._does, self._on_leave = card, misbehaviour, on_leave
        self._frames = 0

    def feed(self, frame: bytes) -> bytes | None:
        """Answer a frame, or lose it, or be gone."""
        self._frames += 1
        if 0 < self._does.leave_after_frames < self._frames:
            self._on_leave()
            raise LeftTheField
        if self._does.lose_every and self._frames % self._does.lose_every == 0:
            return None
        return self._card.feed(frame)

    def deactivate(self) -> None:
        """Forget the dialogue; frames count anew."""
        self._frames = 0
        self._card.deactivate()


class MisbehavingWallet:
    """A wallet that answers late, or wrongly, or leaves before it answers."""

    def __init__(
        self, answer: Callable[[bytes], bytes], store: Store, misbehaviour: Misbehaviour
    ) -> None:
        self._answer, self._store, self._does = answer, store, misbehaviour
        self._exchanges = 0
        self._never = threading.Event()

    def answer(self, message: bytes) -> bytes:
        """Answer a message; LeftTheField if the phone is taken away meanwhile."""
        answer = self._answer(message)
        self._exchanges += 1
        if self._exchanges == self._does.leave_after_exchanges:
            raise LeftTheField
        self._never.wait(self._does.answer_late_s)
        return self._falsify(answer)

    def start_tap(self) -> None:
        """Begin to count the messages of a tap."""
        self._exchanges = 0

    def _falsify(self, answer: bytes) -> bytes:
        response = TapResponse.FromString(answer)
        if response.status != tap_pb2.TAP_STATUS_AUTHORIZED:
            return answer
        if self._does.replay:
            response.sealed_authorization.CopyFrom(self._oldest_authorization())
        if self._does.alter_sealed:
            ciphertext = response.sealed_authorization.ciphertext
            altered = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
            response.sealed_authorization.ciphertext = altered
        return response.SerializeToString()

    def _oldest_authorization(self) -> Sealed:
        given = [decision.sealed for decision in self._store.history(1_000_000) if decision.sealed]
        return Sealed.FromString(given[-1])
