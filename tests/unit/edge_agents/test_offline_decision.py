"""Deciding without the switch: each rung of the ladder, and what counts against the limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.deny_list import CREDENTIAL, DenyList
from edge_agents.journal import Journal
from edge_agents.offline_decision import OfflineDecision
from edge_agents.payment_request import DAY_S, PendingPayment, RequestMaker, Terminal
from edge_agents.remote_settings import RemoteSettings
from kessai.decline import name_of
from kessai.envelope import HOLDER_CREDENTIAL, MERCHANT_CERTIFICATE, raw_public_key, sign
from kessai.holder import CREDENTIAL_LIFETIME_US, Asked, prove
from kessai.money import Money
from kessai.v1.fleet_pb2 import DenyListUpdate, DeviceConfig, DeviceSetting
from kessai.v1.holder_pb2 import HolderAnswer, HolderCredential
from kessai.v1.payment_pb2 import LineItem, MerchantCertificate
from tests.unit.edge_agents.parties import NOW_US, SWITCH_KEY, make_sealed, make_terminal

HOLDER, OTHER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (11, 12))
TRANSIT = "4111"
HOUR_US = 3_600_000_000


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
) -> HolderCredential:
    """Certify the holder, with some things changed."""
    document = HolderCredential(
        credential_id=name,
        holder_public_key=raw_public_key(HOLDER.public_key()),
        rider_category="adult",
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

    def clock(self) -> int:
        """Tell the time."""
        return self.now_us

    def authorized(self, minor: int = 434, deferred_s: int = 3 * DAY_S) -> PendingPayment:
        """Go through a tap up to the authorisation in the journal."""
        self.orders += 1
        maker = RequestMaker(self.terminal, 60, self.clock, os.urandom, deferred_s=deferred_s)
        item = LineItem(description="Ride", quantity=1, unit_price_minor=minor)
        pending = maker.make(f"gate-{self.orders}", [item], Money(minor, "EUR"))
        self.journal.request(pending)
        self.journal.authorize(pending.request_id, make_sealed(pending))
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
        asked = Asked(pending.request_hash, self.terminal.merchant_id, self.terminal.terminal_id)
        return prove(signed, holder, asked)

    def decide(self, pending: PendingPayment, answer: HolderAnswer | None) -> str:
        """Decide, and name the reason."""
        offline = OfflineDecision(
            self.terminal, self.denied, self.settings, self.journal, self.clock
        )
        return name_of(offline.accept(pending, answer))

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
    assert gate.decide(pending, gate.answer(pending)) == "UNSPECIFIED"
    waiting = gate.journal.waiting(b"c" * 16)
    assert (waiting.count, waiting.total_minor, waiting.of_holder) == (1, 434, 1)
    assert gate.journal.waiting(b"d" * 16).of_holder == 0


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
    assert gate.journal.waiting(b"c" * 16).count == 0


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
    other = credential(name=b"d" * 16)
    assert gate.decide(second, gate.answer(second, other)) == "UNSPECIFIED"
