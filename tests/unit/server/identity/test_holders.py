"""How holder keys are certified, what is refused, and how credentials are taken back."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.envelope import PrivateKey, raw_public_key, sign_bytes
from kessai.holder import (
    CREDENTIAL_LIFETIME_US,
    WALLET_HANDLE_PERIOD_US,
    Holder,
    key_proof_input,
    open_credential,
)
from kessai.money import Money
from server.identity.holders import CREDENTIALS_A_DAY, KeyToCertify
from server.identity.refusals import DailyLimitReached, FieldRefused, RequestIdReused
from tests.unit.server.identity.test_enrollment import PIXEL, application
from tests.unit.server.ports import DAY_US, Switch

ACCOUNT = 100_000_042
LIMIT = Money(2000, "EUR")


def asking(switch: Switch, key: PrivateKey) -> KeyToCertify:
    """Ask for a credential as a phone does."""
    request_id = switch.request_id()
    proof = sign_bytes(key_proof_input(request_id), key)
    return KeyToCertify(request_id, raw_public_key(key.public_key()), proof, ACCOUNT)


def certified(switch: Switch, asked: KeyToCertify, device: str = PIXEL) -> Holder:
    """Have a key certified, and read the credential as a terminal does."""
    signed = switch.holders.issue(switch.caller(device), asked, LIMIT)
    return open_credential(signed, switch.keyring.signing_key.public_key())


def denied(switch: Switch) -> list[bytes]:
    """List the credentials that terminals are told to turn away."""
    return [entry.id for entry in switch.deny_list.page_after(0, "shop")[0]]


def test_a_key_is_certified_for_seven_days(switch: Switch) -> None:
    """The credential says nothing of person and account; the switch knows them."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = asking(switch, key)
    holder = certified(switch, asked)
    assert holder.public_key == asked.holder_key
    assert holder.expire_us - holder.issue_us == CREDENTIAL_LIFETIME_US
    assert (holder.offline_limit, holder.rider_category) == (LIMIT, "adult")
    entry = switch.holders.find(holder.credential_id)
    assert entry is not None
    assert (entry.device, entry.account) == (PIXEL, ACCOUNT)
    assert switch.holders.find(b"?" * 16) is None
    nothing = switch.holders.issue(switch.caller(PIXEL), asking(switch, key), None)
    assert open_credential(nothing, switch.keyring.signing_key.public_key()).offline_limit is None


def test_a_wallet_has_one_handle_for_all_its_phones(switch: Switch) -> None:
    """For 30 days; then another one, and the former stays beside it for as long."""

    def handles(device: str) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        holder = certified(switch, asking(switch, key), device)
        return holder.wallet_handle, holder.former_wallet_handle

    now, before = handles(PIXEL)
    assert handles("phone/ann/other") == (now, before)
    assert not set(handles("phone/bob/pixel")) & {now, before}
    switch.clock.ahead_us += WALLET_HANDLE_PERIOD_US
    following, former = handles(PIXEL)
    assert former == now
    assert following not in (now, before)


def test_the_same_request_gets_the_same_credential(switch: Switch) -> None:
    """And other content under its id is refused."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = asking(switch, key)
    assert certified(switch, asked) == certified(switch, asked)
    again = asking(switch, key)
    assert certified(switch, again).credential_id != certified(switch, asked).credential_id
    for other in (
        dataclasses.replace(asked, account=ACCOUNT + 1),
        dataclasses.replace(again, request_id=asked.request_id, holder_key=b"\4" * 65),
    ):
        with pytest.raises(RequestIdReused):
            switch.holders.issue(switch.caller(PIXEL), other, LIMIT)
    with pytest.raises(RequestIdReused):
        switch.holders.issue(switch.caller("phone/ann/other"), asked, LIMIT)


def test_only_a_key_that_the_phone_holds(switch: Switch) -> None:
    """Each wrong key and proof is named; no key is two phones'."""
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    asked, ed25519 = asking(switch, key), asking(switch, Ed25519PrivateKey.generate())
    stolen = dataclasses.replace(asked, proof=asking(switch, other).proof)
    replayed = dataclasses.replace(asked, request_id=switch.request_id())
    garbage = dataclasses.replace(asked, holder_key=b"no key")
    for wrong, field in (
        (stolen, "holder_key_proof"),
        (replayed, "holder_key_proof"),
        (garbage, "holder_public_key"),
        (ed25519, "holder_public_key"),
    ):
        with pytest.raises(FieldRefused) as refused:
            switch.holders.issue(switch.caller(PIXEL), wrong, LIMIT)
        assert refused.value.field == field
    certified(switch, asked)
    with pytest.raises(FieldRefused) as refused:
        switch.holders.issue(switch.caller("phone/bob/nokia"), asking(switch, key), LIMIT)
    assert refused.value.field == "holder_public_key"


def test_a_rider_category_is_certified(switch: Switch) -> None:
    """What the operator said of the wallet stands in what is issued from then on."""
    key = ec.generate_private_key(ec.SECP256R1())
    switch.holders.set_rider_category("ann", "child")
    assert certified(switch, asking(switch, key)).rider_category == "child"
    for wallet, category in (("ANN", "child"), ("ann", ""), ("ann", "Child"), ("ann", "x" * 21)):
        with pytest.raises(FieldRefused):
            switch.holders.set_rider_category(wallet, category)


def test_a_revoked_phone_loses_its_credentials(switch: Switch) -> None:
    """All that are in date go on the deny list; those of others stay."""
    switch.enrollment.enroll(application(switch, PIXEL, ec.generate_private_key(ec.SECP256R1())))
    ann, bob = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    lost = [certified(switch, asking(switch, ann)).credential_id for _ in range(2)]
    kept = certified(switch, asking(switch, bob), "phone/bob/nokia").credential_id
    switch.fleet.revoke(PIXEL)
    switch.fleet.revoke(PIXEL)
    assert sorted(denied(switch)) == sorted(lost)
    assert switch.holders.find(lost[0]) is None
    assert switch.holders.find(kept) is not None


def test_a_phone_that_is_paired_anew_starts_afresh(switch: Switch) -> None:
    """Whoever has the former phone cannot use what was certified for it."""
    former = certified(switch, asking(switch, ec.generate_private_key(ec.SECP256R1())))
    switch.enrollment.enroll(application(switch, PIXEL, ec.generate_private_key(ec.SECP256R1())))
    assert denied(switch) == [former.credential_id]


def test_a_day_has_so_many_credentials(switch: Switch) -> None:
    """A repeat does not count, nor does another phone; tomorrow there is room again."""
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    for _ in range(CREDENTIALS_A_DAY):
        asked = asking(switch, key)
        last = certified(switch, asked).credential_id
    for _ in range(3):
        assert certified(switch, asked).credential_id == last
        with pytest.raises(DailyLimitReached, match="tomorrow"):
            certified(switch, asking(switch, key))
    certified(switch, asking(switch, other), "phone/bob/nokia")
    switch.clock.ahead_us = DAY_US
    certified(switch, asking(switch, key))
