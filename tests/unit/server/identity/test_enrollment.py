"""What a device must show to be enrolled, and what is refused."""

from __future__ import annotations

import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kessai.enrollment.tls_key import signing_request
from kessai.envelope import PrivateKey, raw_public_key, sign_bytes
from server.identity.authority import LIFETIME_DAYS
from server.identity.enrollment import RENEWALS_A_DAY, Application
from server.identity.refusals import (
    CertificateRefused,
    DailyLimitReached,
    FieldRefused,
    PairingRefused,
    RequestIdReused,
)
from tests.unit.server.ports import DAY_US, DOMAIN, Switch

TILL, PIXEL = "agent/shop/till", "phone/ann/pixel"
PROOF = b"kessai/enroll/v1\0"


def p256() -> ec.EllipticCurvePrivateKey:
    """Make a key of P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def application(
    switch: Switch, device: str, key: PrivateKey, request: bytes | None = None
) -> Application:
    """An application that is in order, unless another signing request is given."""
    request = request or signing_request(p256())
    code, _ = switch.desk.hand_out(switch.request_id(), device)
    proof = sign_bytes(PROOF + request, key)
    return Application(code, request, raw_public_key(key.public_key()), proof, "1.0")


def field_of(switch: Switch, wrong: Application) -> str:
    """Apply in vain, and tell which field was refused; nothing must have been written."""
    with pytest.raises(FieldRefused) as refused:
        switch.enrollment.enroll(wrong)
    assert switch.directory.devices("", 10) == []
    return refused.value.field


def test_only_the_public_key_is_taken_from_a_request(switch: Switch) -> None:
    """Names, extensions and dates are the switch's own, whatever the request asks for."""
    key = p256()
    names = [x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/operator/eve")]
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
        .add_extension(x509.SubjectAlternativeName(names), True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    issued, _ = switch.enrollment.enroll(
        application(switch, TILL, Ed25519PrivateKey.generate(), greedy)
    )
    leaf = x509.load_pem_x509_certificate(issued.chain)
    assert leaf.public_key() == key.public_key()
    assert leaf.subject == x509.Name([])
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.critical
    assert list(san.value) == [
        x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/{TILL}"),
        x509.DNSName("till.shop.agent.kessai.invalid"),  # for a venue's hub: nobody's host
    ]


@pytest.mark.parametrize(("device", "kind"), [(TILL, "agent"), (PIXEL, "phone")])
def test_how_long_a_certificate_lasts(switch: Switch, device: str, kind: str) -> None:
    """Terminals 30 days, phones 7, from the right issuer."""
    key: PrivateKey = Ed25519PrivateKey.generate() if kind == "agent" else p256()
    issued, _ = switch.enrollment.enroll(application(switch, device, key))
    leaf = x509.load_pem_x509_certificate(issued.chain)
    days = (leaf.not_valid_after_utc.timestamp() - switch.clock() / 1e6) / 86400
    assert days == pytest.approx({"agent": 30, "phone": 7}[kind], abs=0.01)
    assert LIFETIME_DAYS[kind] == {"agent": 30, "phone": 7}[kind]
    issuer = switch.authority.phones if kind == "phone" else switch.authority.devices
    leaf.verify_directly_issued_by(issuer.certificate)


def test_a_request_whose_signature_is_wrong(switch: Switch) -> None:
    """It does not prove that the sender has the key."""
    request = bytearray(signing_request(p256()))
    other = signing_request(p256())
    request[-20:] = other[-20:]
    key = Ed25519PrivateKey.generate()
    wrong = application(switch, TILL, key, bytes(request))
    assert field_of(switch, wrong) == "certificate_signing_request"


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_other_curves_are_refused(switch: Switch, curve: ec.EllipticCurve) -> None:
    """P-256 only."""
    request = _request(ec.generate_private_key(curve))
    wrong = application(switch, TILL, Ed25519PrivateKey.generate(), request)
    assert field_of(switch, wrong) == "certificate_signing_request"


def test_rsa_and_ed25519_are_refused_for_the_line(switch: Switch) -> None:
    """P-256 only."""
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for key in (rsa_key, Ed25519PrivateKey.generate()):
        wrong = application(switch, TILL, Ed25519PrivateKey.generate(), _request(key))
        assert field_of(switch, wrong) == "certificate_signing_request"


def _request(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    algorithm = None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


@pytest.mark.parametrize("request_bytes", [b"", b"nonsense", b"0" * 5000])
def test_what_is_no_request(switch: Switch, request_bytes: bytes) -> None:
    """Empty, garbage, or too long."""
    good = application(switch, TILL, Ed25519PrivateKey.generate())
    wrong = dataclasses.replace(good, signing_request=request_bytes)
    assert field_of(switch, wrong) == "certificate_signing_request"


def test_trailing_bytes_are_refused(switch: Switch) -> None:
    """A request has one encoding."""
    request = signing_request(p256()) + b"\0"
    wrong = application(switch, TILL, Ed25519PrivateKey.generate(), request)
    assert field_of(switch, wrong) == "certificate_signing_request"


def test_the_proof_must_be_by_the_signing_key_over_this_request(switch: Switch) -> None:
    """By another key, over another request, without the context, or none at all."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    good = application(switch, TILL, key)
    content = good.signing_request
    proofs = [
        sign_bytes(PROOF + content, other),
        sign_bytes(PROOF + signing_request(p256()), key),
        sign_bytes(content, key),
        b"",
        bytes(64),
    ]
    for proof in proofs:
        wrong = dataclasses.replace(good, signing_key_proof=proof)
        assert field_of(switch, wrong) == "signing_key_proof"
    switch.enrollment.enroll(good)


def test_a_terminal_signs_with_ed25519_and_a_phone_with_p256(switch: Switch) -> None:
    """Not the other way round."""
    assert field_of(switch, application(switch, TILL, p256())) == "signing_public_key"
    phone = application(switch, PIXEL, Ed25519PrivateKey.generate())
    assert field_of(switch, phone) == "signing_public_key"


def test_a_signing_key_must_be_a_key(switch: Switch) -> None:
    """A point that is not on the curve, a hybrid encoding, or nothing."""
    good = application(switch, PIXEL, p256())
    hybrid = bytes([6 | good.signing_key[-1] & 1]) + good.signing_key[1:]
    for raw in (b"\x04" + bytes(64), hybrid, b"", good.signing_key[:33]):
        wrong = dataclasses.replace(good, signing_key=raw)
        assert field_of(switch, wrong) == "signing_public_key"


def test_a_terminals_key_for_which_anybody_can_sign_is_refused(switch: Switch) -> None:
    """Of order 1: R neutral and S zero are its signature over everything, the proof included."""
    neutral = (1).to_bytes(32, "little")
    good = application(switch, TILL, Ed25519PrivateKey.generate())
    proof = neutral + bytes(32)
    wrong = dataclasses.replace(good, signing_key=neutral, signing_key_proof=proof)
    assert field_of(switch, wrong) == "signing_public_key"


@pytest.mark.parametrize("version", ["x" * 81, "a\nb"])
def test_the_software_version_is_a_short_line(switch: Switch, version: str) -> None:
    """It is shown to operators."""
    good = application(switch, TILL, Ed25519PrivateKey.generate())
    wrong = dataclasses.replace(good, software_version=version)
    assert field_of(switch, wrong) == "software_version"


def test_a_repeat_gets_the_first_answer(switch: Switch) -> None:
    """To the byte, while the code lasts, and the software version of the first time stays."""
    once = application(switch, TILL, Ed25519PrivateKey.generate())
    first = switch.enrollment.enroll(once)
    switch.clock.ahead_us = 300_000_000
    assert switch.enrollment.enroll(once) == first
    switch.clock.ahead_us = 600_000_000
    with pytest.raises(PairingRefused):
        switch.enrollment.enroll(once)
    assert len(switch.directory.devices("", 10)) == 1


@pytest.mark.parametrize("part", ["line", "signing"])
def test_a_used_code_with_other_keys_is_refused(switch: Switch, part: str) -> None:
    """Either key makes it another device."""
    key, request = Ed25519PrivateKey.generate(), signing_request(p256())
    first = application(switch, TILL, key, request)
    switch.enrollment.enroll(first)
    if part == "line":
        second = application(switch, TILL, key)
    else:
        second = application(switch, TILL, Ed25519PrivateKey.generate(), request)
    with pytest.raises(PairingRefused):
        switch.enrollment.enroll(dataclasses.replace(second, pairing_code=first.pairing_code))


def test_one_code_makes_one_device_however_many_try(switch: Switch) -> None:
    """Eight at once with different keys, twenty times over: one is enrolled."""

    def enrolled(rival: Application) -> bool:
        try:
            switch.enrollment.enroll(rival)
        except PairingRefused:
            return False
        return True

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            code, _ = switch.desk.hand_out(switch.request_id(), TILL)
            rivals = [
                dataclasses.replace(
                    application(switch, TILL, Ed25519PrivateKey.generate()), pairing_code=code
                )
                for _ in range(8)
            ]
            with ThreadPoolExecutor(8) as pool:
                assert sum(pool.map(enrolled, rivals)) == 1
    finally:
        sys.setswitchinterval(interval)


def test_a_revoked_or_foreign_signing_key_is_not_taken_again(switch: Switch) -> None:
    """Who lost it may have copied it."""
    key = Ed25519PrivateKey.generate()
    switch.enrollment.enroll(application(switch, TILL, key))
    with pytest.raises(FieldRefused, match="used before"):
        switch.enrollment.enroll(application(switch, "agent/shop/other", key))
    switch.enrollment.enroll(application(switch, TILL, key))
    switch.fleet.revoke(TILL)
    with pytest.raises(FieldRefused, match="used before"):
        switch.enrollment.enroll(application(switch, TILL, key))


def test_a_renewal_is_idempotent_by_its_request_id(switch: Switch) -> None:
    """The same again: the same certificate. Another key or device under that id: refused."""
    switch.enrollment.enroll(application(switch, TILL, Ed25519PrivateKey.generate()))
    request_id, request = switch.request_id(), signing_request(p256())
    first = switch.enrollment.renew(switch.caller(TILL), request_id, request)
    switch.clock.ahead_us = DAY_US
    assert switch.enrollment.renew(switch.caller(TILL), request_id, request) == first
    with pytest.raises(RequestIdReused):
        switch.enrollment.renew(switch.caller(TILL), request_id, signing_request(p256()))
    with pytest.raises(RequestIdReused):
        switch.enrollment.renew(switch.caller("agent/shop/other"), request_id, request)


def test_a_device_that_is_not_enrolled_is_not_renewed(switch: Switch) -> None:
    """Revoked in this moment, or never there."""
    with pytest.raises(CertificateRefused):
        switch.enrollment.renew(switch.caller(TILL), switch.request_id(), signing_request(p256()))
    switch.enrollment.enroll(application(switch, TILL, Ed25519PrivateKey.generate()))
    switch.fleet.revoke(TILL)
    with pytest.raises(CertificateRefused):
        switch.enrollment.renew(switch.caller(TILL), switch.request_id(), signing_request(p256()))


def test_a_day_has_so_many_renewals(switch: Switch) -> None:
    """A repeat does not count, nor does another device; tomorrow there is room again."""
    switch.enrollment.enroll(application(switch, TILL, Ed25519PrivateKey.generate()))
    other = switch.caller("agent/shop/other")
    switch.enrollment.enroll(application(switch, other.device, Ed25519PrivateKey.generate()))
    caller, request, request_id = switch.caller(TILL), signing_request(p256()), b""
    for _ in range(RENEWALS_A_DAY):
        request_id = switch.request_id()
        last = switch.enrollment.renew(caller, request_id, request)
    for _ in range(3):
        assert switch.enrollment.renew(caller, request_id, request) == last
        with pytest.raises(DailyLimitReached, match="tomorrow"):
            switch.enrollment.renew(caller, switch.request_id(), request)
    switch.enrollment.renew(other, switch.request_id(), request)
    switch.clock.ahead_us = DAY_US
    switch.enrollment.renew(caller, switch.request_id(), request)
