"""Deciding without the switch: each rung of the ladder, and what counts against the limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.accepted import LOST_FOR_US, HolderMark
from edge_agents.deny_list import CREDENTIAL, DenyList
from edge_agents.journal import Journal, PaymentState
from edge_agents.offline_decision import OfflineDecision
from edge_agents.payment_request import DAY_S, PendingPayment, RequestMaker, Terminal
from edge_agents.remote_settings import RemoteSettings
from kessai.decline import name_of
from kessai.envelope import HOLDER_CREDENTIAL, MERCHANT_CERTIFICATE, raw_public_key, sign
from kessai.holder import CREDENTIAL_LIFETIME_US, Asked, prove
from kessai.money import Money
from kessai.seal import sealed_hash
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.fare_pb2 import Admission
from kessai.v1.fleet_pb2 import DenyListUpdate, DeviceConfig, DeviceSetting
from kessai.v1.holder_pb2 import HolderAnswer, HolderCredential
from kessai.v1.payment_pb2 import LineItem, MerchantCertificate
from tests.unit.edge_agents.parties import (
    NOW_US,
    SWITCH_KEY,
    make_receipt,
    make_sealed,
    make_terminal,
    sign_receipt,
)

HOLDER, OTHER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (11, 12))
TRANSIT = "4111"
HOUR_US = 3_600_000_000
# Ann's wallet now and in the 30 days before and after, and somebody else's.
NEXT, NOW, BEFORE, ELSE = (letter * 16 for letter in (b"n", b"a", b"b", b"x"))
OTHERS = (ELSE, b"y" * 16)


def terminal_of(category: str) -> Terminal:
    """Make a terminal of a merchant's class (ISO 18245)."""
    terminal = make_terminal()
    certificate = MerchantCertificate.FromString(terminal.merchant_certificate.payload)
    certificate.category_code = category
    signed = sign(MERCHANT_CERTIFICATE, certificate, SWITCH_KEY)
    return replace(terminal, merchant_certificate=signed)


def credential(
    limit_minor: int = 2000,
    currency: str = "EUR",
    issue_us: int = NOW_US,
    key: Ed25519PrivateKey = SWITCH_KEY,
    name: bytes = b"c" * 16,
    handles: tuple[bytes, bytes] = (NOW, BEFORE),
) -> HolderCredential:
    """Certify the holder, with some things changed."""
    document = HolderCredential(
        credential_id=name,
        holder_public_key=raw_public_key(HOLDER.public_key()),
        rider_category="adult",
        wallet_handle=handles[0],
        former_wallet_handle=handles[1],
    )
    if limit_minor:
        document.offline_limit.CopyFrom(Money(limit_minor, currency).to_proto())
    document.issue_time.FromMicroseconds(issue_us)
    document.expire_time.FromMicroseconds(issue_us + CREDENTIAL_LIFETIME_US)
    return document


@dataclass
class CutOff:
    """A terminal without a line, at a time that a test may change."""

    folder: Path
    journal: Journal
    now_us: int = NOW_US
    category: str = TRANSIT

    def __post_init__(self) -> None:
        self.denied, self.settings = DenyList(self.folder), RemoteSettings(self.folder)
        self.denied.take(DenyListUpdate(version=1, complete=True), self.now_us)
        self.terminal = terminal_of(self.category)
        self.orders = 0
        self.sealed: dict[bytes, Sealed] = {}

    def clock(self) -> int:
        """Tell the time."""
        return self.now_us

    def authorized(
        self, minor: int = 434, deferred_s: int = 3 * DAY_S, ride: Admission | None = None
    ) -> PendingPayment:
        """Go through a tap up to the authorisation in the journal."""
        self.orders += 1
        maker = RequestMaker(self.terminal, 60, self.clock, os.urandom, deferred_s=deferred_s)
        item = LineItem(description="Ride", quantity=1, unit_price_minor=minor)
        pending = maker.make(f"gate-{self.orders}", [item], Money(minor, "EUR"), ride)
        self.journal.request(pending)
        self.sealed[pending.request_id] = make_sealed(pending)
        self.journal.authorize(pending.request_id, self.sealed[pending.request_id])
        return pending

    def answer(
        self,
        pending: PendingPayment,
        document: HolderCredential | None = None,
        holder: ec.EllipticCurvePrivateKey = HOLDER,
        switch: Ed25519PrivateKey = SWITCH_KEY,
    ) -> HolderAnswer:
        """Answer as the phone does."""
        signed = sign(HOLDER_CREDENTIAL, document or credential(), switch)
        given = sealed_hash(self.sealed[pending.request_id])
        by = (self.terminal.merchant_id, self.terminal.terminal_id)
        return prove(signed, holder, Asked(pending.request_hash, *by, given))

    def decide(self, pending: PendingPayment, answer: HolderAnswer | None) -> str:
        """Decide, and name the reason."""
        offline = OfflineDecision(
            self.terminal, self.denied, self.settings, self.journal, self.clock
        )
        return name_of(offline.accept(pending, self.sealed[pending.request_id], answer))

    def buy(self, document: HolderCredential | None = None) -> str:
        """Pay a ride, and name the reason."""
        pending = self.authorized()
        return self.decide(pending, self.answer(pending, document))

    def lose(self, reason: str = "INSUFFICIENT_FUNDS", settle_us: int = NOW_US) -> None:
        """Let the switch decline the newest payment, now that it is back."""
        pending = self.journal.in_state(PaymentState.AUTHORIZED)[-1].pending
        receipt = make_receipt(pending, DeclineReason.Value(f"DECLINE_REASON_{reason}"))
        receipt.settle_time.FromMicroseconds(settle_us)
        self.journal.conclude(pending.request_id, sign_receipt(receipt), settled=False)

    def configure(self, **values: int) -> None:
        """Set as the operator does from afar."""
        settings = [DeviceSetting(key=key, value=value) for key, value in values.items()]
        self.settings.take(DeviceConfig(version=self.settings.version + 1, settings=settings))


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[CutOff]:
    """A gate that is cut off."""
    journal = Journal(tmp_path)
    yield CutOff(tmp_path, journal)
    journal.close()


def test_a_known_holder_pays_a_small_amount(gate: CutOff) -> None:
    """It is noted before it is accepted, and waits from then on."""
    pending = gate.authorized()
    answer = gate.answer(pending)
    assert gate.decide(pending, answer) == "UNSPECIFIED"
    waiting = gate.journal.accepted.waiting(HolderMark(b"c" * 16, NOW, BEFORE))
    assert (waiting.count, waiting.total_minor, waiting.of_wallet) == (1, 434, 1)
    assert gate.journal.accepted.waiting(HolderMark(b"c" * 16, *OTHERS)).of_wallet == 0
    assert gate.journal.accepted.answer_of(pending.request_id) == answer


Refusal = Callable[[CutOff, PendingPayment], HolderAnswer | None]
REFUSALS: dict[str, tuple[str, Refusal]] = {
    "no credential": ("CREDENTIAL_INVALID", lambda gate, pending: None),
    "a forged credential": (
        "CREDENTIAL_INVALID",
        lambda gate, pending: gate.answer(pending, switch=Ed25519PrivateKey.generate()),
    ),
    "a copied credential": (
        "HOLDER_NOT_PROVEN",
        lambda gate, pending: gate.answer(pending, holder=OTHER),
    ),
    "an answer to something else": (
        "HOLDER_NOT_PROVEN",
        lambda gate, pending: gate.answer(gate.authorized()),
    ),
    "a credential that has ended": (
        "CREDENTIAL_EXPIRED",
        lambda gate, pending: gate.answer(
            pending, credential(issue_us=NOW_US - CREDENTIAL_LIFETIME_US)
        ),
    ),
    "a credential without a limit": (
        "OFFLINE_LIMIT_EXCEEDED",
        lambda gate, pending: gate.answer(pending, credential(limit_minor=0)),
    ),
    "a lower limit": (
        "OFFLINE_LIMIT_EXCEEDED",
        lambda gate, pending: gate.answer(pending, credential(limit_minor=433)),
    ),
    "a limit in another currency": (
        "OFFLINE_LIMIT_EXCEEDED",
        lambda gate, pending: gate.answer(pending, credential(currency="JPY")),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_who_is_turned_away(gate: CutOff, case: str) -> None:
    """Each with its reason; nothing waits afterwards."""
    reason, answer = REFUSALS[case]
    pending = gate.authorized()
    assert gate.decide(pending, answer(gate, pending)) == reason
    assert gate.journal.accepted.waiting(HolderMark(b"c" * 16, NOW, BEFORE)).count == 0


def test_a_lost_phone_is_turned_away(gate: CutOff) -> None:
    """As soon as the deny list names its credential."""
    update = DenyListUpdate(version=2, complete=True)
    update.entries.add(kind=CREDENTIAL, id=b"c" * 16).expire_time.FromMicroseconds(NOW_US + HOUR_US)
    gate.denied.take(update, NOW_US)
    pending = gate.authorized()
    assert gate.decide(pending, gate.answer(pending)) == "CREDENTIAL_DENIED"


def test_only_a_request_that_says_so_is_deferred(gate: CutOff) -> None:
    """The customer agreed to the others for a minute."""
    pending = gate.authorized(deferred_s=0)
    assert gate.decide(pending, gate.answer(pending)) == "OFFLINE_NOT_ALLOWED"


def test_the_merchants_class_decides(tmp_path: Path) -> None:
    """A shop asks the switch, until its operator says otherwise."""
    journal = Journal(tmp_path)
    shop = CutOff(tmp_path, journal, category="5411")
    pending = shop.authorized()
    assert shop.decide(pending, shop.answer(pending)) == "OFFLINE_NOT_ALLOWED"
    shop.configure(offline_payment_limit_minor=1000)
    assert shop.decide(pending, shop.answer(pending)) == "UNSPECIFIED"
    journal.close()


def test_an_old_deny_list_ends_it(gate: CutOff) -> None:
    """At the very moment that the rules name; a fresh one lets it go on."""
    gate.configure(deny_list_age_s=3600)
    gate.now_us = NOW_US + HOUR_US
    pending = gate.authorized()
    assert gate.decide(pending, gate.answer(pending)) == "UNSPECIFIED"
    gate.now_us += 1
    pending = gate.authorized()
    assert gate.decide(pending, gate.answer(pending)) == "OFFLINE_NOT_ALLOWED"
    gate.denied.take(DenyListUpdate(version=1, complete=True), gate.now_us)
    assert gate.decide(pending, gate.answer(pending)) == "UNSPECIFIED"


def test_a_switch_that_went_back_ends_it(gate: CutOff) -> None:
    """It may have forgotten whom to deny; accepted again once all is in place."""
    gate.journal.marks.set_alarm("row 7 is gone")
    assert gate.buy() == "OFFLINE_NOT_ALLOWED"
    gate.journal.marks.set_alarm("")
    assert gate.buy() == "UNSPECIFIED"


def test_an_old_credential_is_not_fresh_enough(gate: CutOff) -> None:
    """Though it is in date, the operator may want fresher ones."""
    gate.configure(credential_age_s=3600)
    old = credential(issue_us=NOW_US - HOUR_US - 1)
    pending = gate.authorized()
    assert gate.decide(pending, gate.answer(pending, old)) == "CREDENTIAL_EXPIRED"
    fresh = credential(issue_us=NOW_US - HOUR_US)
    assert gate.decide(pending, gate.answer(pending, fresh)) == "UNSPECIFIED"


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ({"offline_payment_limit_minor": 433}, 0),
        ({"offline_payment_limit_minor": 434}, 3),
        ({"offline_waiting_limit_minor": 867}, 1),
        ({"offline_waiting_limit_minor": 868}, 2),
        ({"offline_waiting_count": 2}, 2),
        ({"offline_holder_count": 1}, 1),
    ],
)
def test_what_waits_counts_against_the_limits(
    gate: CutOff, settings: dict[str, int], accepted: int
) -> None:
    """Three rides of 4.34 are tried; the first beyond a limit is refused."""
    gate.configure(**settings)
    reasons = []
    for _ in range(3):
        pending = gate.authorized()
        reasons.append(gate.decide(pending, gate.answer(pending)))
    expected = ["UNSPECIFIED"] * accepted + ["OFFLINE_LIMIT_EXCEEDED"] * (3 - accepted)
    assert reasons == expected


def test_limits_are_of_each_holder(gate: CutOff) -> None:
    """One who has reached his limit does not stop the next."""
    gate.configure(offline_holder_count=1)
    first, second = gate.authorized(), gate.authorized()
    assert gate.decide(first, gate.answer(first)) == "UNSPECIFIED"
    other = credential(name=b"d" * 16, handles=OTHERS)
    assert gate.decide(second, gate.answer(second, other)) == "UNSPECIFIED"


@pytest.mark.parametrize(
    "handles", [(NOW, BEFORE), (NEXT, NOW), (BEFORE, b"o" * 16)], ids=["same", "next", "before"]
)
def test_a_new_credential_begins_nothing_anew(gate: CutOff, handles: tuple[bytes, bytes]) -> None:
    """Nor does a second phone of the wallet, nor the change of its handle every 30 days."""
    gate.configure(offline_holder_count=2)
    assert [gate.buy(), gate.buy()] == ["UNSPECIFIED"] * 2
    again = credential(name=b"d" * 16, handles=handles)
    assert gate.buy(again) == "OFFLINE_LIMIT_EXCEEDED"
    assert gate.buy(credential(name=b"e" * 16, handles=OTHERS)) == "UNSPECIFIED"


def test_credentials_that_name_no_wallet_count_together(gate: CutOff) -> None:
    """They are of before the switch was updated; whoever hoarded some wins nothing by it."""
    gate.configure(offline_holder_count=2)
    old = [credential(name=name * 16, handles=(b"", b"")) for name in (b"d", b"e", b"f")]
    assert [gate.buy(each) for each in old] == [*["UNSPECIFIED"] * 2, "OFFLINE_LIMIT_EXCEEDED"]


def test_half_a_handle_is_no_credential(gate: CutOff) -> None:
    assert gate.buy(credential(handles=(NOW, b""))) == "CREDENTIAL_INVALID"
    assert gate.buy(credential(handles=(b"short", BEFORE))) == "CREDENTIAL_INVALID"


def test_who_was_not_paid_for_is_turned_away_at_once(gate: CutOff) -> None:
    """Before any deny list says so; a new credential of the wallet starts with the loss."""
    gate.configure(offline_holder_count=2)
    assert gate.buy() == "UNSPECIFIED"
    gate.lose()
    assert gate.buy() == "CREDENTIAL_DENIED"
    renewed = credential(name=b"d" * 16)
    assert [gate.buy(renewed), gate.buy(renewed)] == ["UNSPECIFIED", "OFFLINE_LIMIT_EXCEEDED"]
    assert gate.journal.accepted.all_lost(NOW_US) == (1, {"EUR": 434})
    gate.now_us = NOW_US + LOST_FOR_US + 1
    assert gate.journal.accepted.all_lost(gate.now_us - LOST_FOR_US) == (0, {})


@pytest.mark.parametrize(
    ("reason", "late", "then"),
    [
        ("AUTHORIZATION_UNREADABLE", False, "CREDENTIAL_DENIED"),
        ("WALLET_REVOKED", False, "CREDENTIAL_DENIED"),
        ("EXPIRED", False, "CREDENTIAL_DENIED"),
        ("EXPIRED", True, "UNSPECIFIED"),
        ("PAYEE_ACCOUNT_UNKNOWN", False, "UNSPECIFIED"),
        ("ADMISSION_USED", False, "UNSPECIFIED"),
        ("SWITCH_FAULT", False, "UNSPECIFIED"),
    ],
)
def test_a_loss_that_is_not_the_phone_s_costs_it_nothing(
    gate: CutOff, reason: str, late: bool, then: str
) -> None:
    """The operator sees each; whose fault it is, the decline says."""
    assert gate.buy() == "UNSPECIFIED"
    last_us = gate.journal.in_state(PaymentState.AUTHORIZED)[-1].pending.last_us
    gate.lose(reason, last_us if late else NOW_US)
    assert gate.buy() == then
    assert gate.journal.accepted.all_lost(NOW_US)[0] == 1


def test_a_fare_that_was_asked_for_twice_and_paid_once_is_no_loss(gate: CutOff) -> None:
    """The line broke over the first; the switch settled it all the same, and declined the other."""
    first, second = (gate.authorized(ride=Admission(admission_id=b"a" * 16)) for _ in range(2))
    assert gate.decide(second, gate.answer(second)) == "UNSPECIFIED"
    gate.lose()
    assert gate.journal.accepted.all_lost(NOW_US)[0] == 1
    gate.journal.conclude(first.request_id, Signed(payload=b"settled"), settled=True)
    assert gate.journal.accepted.all_lost(NOW_US)[0] == 0
    assert gate.buy() == "UNSPECIFIED"


def test_a_proof_over_other_sealed_bytes_is_none(gate: CutOff) -> None:
    """The terminal cannot read them, so the phone answers for them."""
    pending = gate.authorized()
    answer = gate.answer(pending)
    gate.sealed[pending.request_id] = make_sealed(pending)
    assert gate.decide(pending, answer) == "HOLDER_NOT_PROVEN"


def test_a_terminal_whose_certificate_has_ended_decides_nothing(gate: CutOff) -> None:
    """Until it is renewed: nobody on the way can keep it deciding by holding that back."""
    certificate = MerchantCertificate.FromString(gate.terminal.merchant_certificate.payload)
    end_us = certificate.expire_time.ToMicroseconds()
    gate.now_us = end_us
    gate.denied.take(DenyListUpdate(version=1, complete=True), gate.now_us)
    assert gate.buy(credential(issue_us=end_us)) == "OFFLINE_NOT_ALLOWED"
    certificate.expire_time.FromMicroseconds(end_us + HOUR_US)
    signed = sign(MERCHANT_CERTIFICATE, certificate, SWITCH_KEY)
    gate.terminal = replace(gate.terminal, merchant_certificate=signed)
    assert gate.buy(credential(issue_us=end_us)) == "UNSPECIFIED"
