"""What a device checks in the switch's answer before it believes it: for pairing and renewal.

The line was already verified up to the root that the pairing code names; here it is checked that
the answer is for this device's keys, and that its parts agree with each other.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.account_number import AccountNumberError, parse_account
from kessai.device_identity import DeviceIdentity
from kessai.enrollment.tls_key import key_pem
from kessai.envelope import (
    MERCHANT_CERTIFICATE,
    EnvelopeError,
    PrivateKey,
    open_signed,
    raw_public_key,
)
from kessai.identity_path import AGENT, IdentityError, parse_identity
from kessai.pairing_code import PairingCode
from kessai.pem import UNREADABLE
from kessai.public_key import KeyRefused, load_sealing_key, load_switch_key
from kessai.v1.device_pb2 import EnrollDeviceResponse
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import MerchantCertificate


class AnswerRefused(Exception):
    """The answer does not hold; the message says where."""


def read_answer(
    response: EnrollDeviceResponse,
    pairing: PairingCode,
    root_pem: bytes,
    key: ec.EllipticCurvePrivateKey,
    signing_key: PrivateKey,
) -> DeviceIdentity:
    """Check the answer of EnrollDevice, and make the identity of it; AnswerRefused."""
    bundle = response.trust_bundle
    check_chain(response.certificate_chain, root_pem, response.identity, key)
    if hashlib.sha256(bundle.root_certificate).digest() != pairing.root_fingerprint:
        raise AnswerRefused("its root is not the pairing code's")
    try:
        load_switch_key(bundle.switch_public_key)
        load_sealing_key(bundle.sealing_public_key)
    except KeyRefused as error:
        raise AnswerRefused(f"the switch's keys are no good: {error}") from None
    try:
        accounts = tuple(parse_account(number) for number in response.account_numbers)
    except AccountNumberError as error:
        raise AnswerRefused(str(error)) from None
    identity = DeviceIdentity(
        identity=response.identity,
        server_address=response.server_address,
        root_fingerprint=pairing.root_fingerprint,
        key_pem=key_pem(key),
        chain_pem=response.certificate_chain,
        root_pem=root_pem,
        trust_bundle=bundle,
        merchant_certificate=_merchant_certificate(response),
        accounts=accounts,
    )
    if identity.kind == AGENT:
        terminal_key = check_merchant(response.merchant_certificate, identity)
        if terminal_key != raw_public_key(signing_key.public_key()):
            raise AnswerRefused("the merchant certificate is for another signing key")
    return identity


def check_chain(
    chain: bytes, root_pem: bytes, identity: str, key: ec.EllipticCurvePrivateKey
) -> None:
    """Check that a chain, PEM, certifies this key under this identity; AnswerRefused."""
    try:
        leaf, issuer = x509.load_pem_x509_certificates(chain)
        leaf.verify_directly_issued_by(issuer)
        issuer.verify_directly_issued_by(x509.load_pem_x509_certificate(root_pem))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        parse_identity(identity)
        is_for_key = leaf.public_key() == key.public_key()
    except IdentityError as error:
        raise AnswerRefused(str(error)) from None
    except UNREADABLE:
        raise AnswerRefused("the certificate is not of its root") from None
    if not is_for_key:
        raise AnswerRefused("the certificate is for another key")
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [identity]:
        raise AnswerRefused("the certificate names another device")


def check_merchant(signed: Signed, identity: DeviceIdentity) -> bytes:
    """Check a merchant certificate for a terminal; gives the signing key that it is for."""
    try:
        certificate = open_signed(
            signed, MERCHANT_CERTIFICATE, identity.switch_key, MerchantCertificate.FromString
        )
    except EnvelopeError as error:
        raise AnswerRefused(f"the merchant certificate is not good: {error}") from None
    if (certificate.merchant_id, certificate.terminal_id) != identity.names:
        raise AnswerRefused("the merchant certificate is for another terminal")
    return certificate.terminal_public_key


def _merchant_certificate(response: EnrollDeviceResponse) -> Signed | None:
    return response.merchant_certificate if response.HasField("merchant_certificate") else None
