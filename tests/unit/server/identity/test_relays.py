"""Whose calls a fleet's server may pass, and how old and whose a call must be."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.enrollment.tls_key import signing_request
from kessai.envelope import RELAYED_CALL, raw_public_key, sign, sign_bytes
from kessai.relayed import GET_PAYMENT, MAX_AGE_US
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.relay_pb2 import RelayedCall
from server.identity.authority import LIFETIME_DAYS
from server.identity.enrollment import Application
from server.identity.refusals import CertificateRefused, FieldRefused, NotPermitted, Unknown
from server.identity.relays import MAX_MERCHANTS, CallStale, Relays
from tests.unit.server.identity.test_enrollment import p256
from tests.unit.server.ports import DAY_US, Switch

TILL, RELAY = "agent/shop/till", "relay/nordic"


@pytest.fixture
def relays(switch: Switch) -> Relays:
    """Fleets, of which one serves the merchant."""
    made = Relays(switch.directory, switch.clock)
    made.put_merchants("nordic", ["shop"])
    return made


def enrolled(switch: Switch, device: str) -> Ed25519PrivateKey:
    """Pair a device; the key that it signs with."""
    key, request = Ed25519PrivateKey.generate(), signing_request(p256())
    code, _ = switch.desk.hand_out(switch.request_id(), device)
    proof = sign_bytes(b"kessai/enroll/v1\0" + request, key)
    switch.enrollment.enroll(
        Application(code, request, raw_public_key(key.public_key()), proof, "1.0")
    )
    return key


def call_by(switch: Switch, key: Ed25519PrivateKey, age_us: int = 0) -> Signed:
    """A call that was signed so long ago."""
    call = RelayedCall(fleet_id="nordic", method=GET_PAYMENT, request=b"x")
    call.create_time.FromMicroseconds(switch.clock() - age_us)
    return sign(RELAYED_CALL, call, key)


def test_a_call_is_its_signer_s(switch: Switch, relays: Relays) -> None:
    """By the certificate that the terminal has now."""
    call = call_by(switch, enrolled(switch, TILL))
    caller, opened = relays.open_call(call, switch.caller(RELAY))
    assert (caller.device, opened.request) == (TILL, b"x")
    with switch.directory.while_good(caller.serial):
        pass
    newest = switch.directory.file.rows("SELECT serial FROM certificate WHERE device = ?", TILL)
    assert [int.from_bytes(row[0], "big") for row in newest] == [caller.serial]


def test_a_call_lasts_two_minutes_either_way(switch: Switch, relays: Relays) -> None:
    key, caller = enrolled(switch, TILL), switch.caller(RELAY)
    for age_us in (MAX_AGE_US - 5_000_000, 5_000_000 - MAX_AGE_US):
        relays.open_call(call_by(switch, key, age_us), caller)
    for age_us, rule in ((MAX_AGE_US + 1, "too_old"), (-MAX_AGE_US - 5_000_000, "in_future")):
        with pytest.raises(CallStale, match="look at the clocks") as refused:
            relays.open_call(call_by(switch, key, age_us), caller)
        assert refused.value.rule == rule


def test_a_terminal_whose_certificate_ended_is_not_served(switch: Switch, relays: Relays) -> None:
    """As on a line of its own."""
    key = enrolled(switch, TILL)
    switch.clock.ahead_us = (LIFETIME_DAYS["agent"] + 1) * DAY_US
    with pytest.raises(CertificateRefused, match="has ended"):
        relays.open_call(call_by(switch, key), switch.caller(RELAY))


def test_only_the_key_that_a_terminal_has_now(switch: Switch, relays: Relays) -> None:
    """Not the one of before it was paired anew; not a fleet's server's own; none once revoked."""
    former, caller = enrolled(switch, TILL), switch.caller(RELAY)
    key, own = enrolled(switch, TILL), enrolled(switch, RELAY)
    with pytest.raises(FieldRefused, match="another key"):
        relays.open_call(call_by(switch, former), caller)
    with pytest.raises(FieldRefused, match="not signed by a terminal"):
        relays.open_call(call_by(switch, own), caller)
    relays.open_call(call_by(switch, key), caller)
    switch.fleet.revoke(TILL)
    with pytest.raises(CertificateRefused, match="was revoked"):
        relays.open_call(call_by(switch, key), caller)


def test_a_fleet_has_merchants_that_there_are(switch: Switch, relays: Relays) -> None:
    """One at least; what is wrong changes nothing."""
    for wrong in ([], ["shop"] * (MAX_MERCHANTS + 1)):
        with pytest.raises(FieldRefused):
            relays.put_merchants("nordic", wrong)
    with pytest.raises(Unknown, match="no merchant"):
        relays.put_merchants("nordic", ["shop", "nobody"])
    relays.put_merchants("nordic", ["shop", "shop"])
    assert relays.merchants("nordic") == ["shop"]
    enrolled(switch, RELAY)
    assert list(switch.fleet.known_state(RELAY).served_merchants) == ["shop"]
    call = call_by(switch, enrolled(switch, TILL))
    with pytest.raises(NotPermitted):
        relays.open_call(call, switch.caller("relay/other"))
