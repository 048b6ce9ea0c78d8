"""X.509, as Kessai uses it: how authorities and leaves look, and what is taken from a request.

A leaf has an empty subject, one critical URI subject alternative name (its identity), P-256, and
one extended key usage (RFC 5280; SPIFFE X509-SVID). Used by `authority` and `enrollment`.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.identity.refusals import FieldRefused

DAY_US = 86_400_000_000
MAX_REQUEST_BYTES = 4096

# A device's clock may be behind ours by this much.
_BACKDATED_US = 300_000_000
_P256 = ec.SECP256R1


@dataclass(frozen=True, slots=True)
class Issuer:
    """A certificate authority: its certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when, in microseconds since 1970."""

    begin_us: int
    end_us: int

    @classmethod
    def days(cls, now_us: int, days: int) -> Validity:
        """Begin a little before now, so that a slow clock accepts it, and last some days."""
        return cls(now_us - _BACKDATED_US, now_us + days * DAY_US)


def public_key_of_request(request: bytes) -> ec.EllipticCurvePublicKey:
    """Take the public key, and nothing else, from a PKCS #10 request in DER.

    FieldRefused if it is no request, its signature does not prove that the sender has the private
    key, or the key is not of P-256.
    """
    field = "certificate_signing_request"
    if len(request) > MAX_REQUEST_BYTES:
        raise FieldRefused(field, f"longer than {MAX_REQUEST_BYTES} bytes")
    try:
        parsed = x509.load_der_x509_csr(request)
        key, proven = parsed.public_key(), parsed.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        raise FieldRefused(field, "not a PKCS #10 request in DER") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _P256):
        raise FieldRefused(field, "the key must be of P-256")
    if not proven:
        raise FieldRefused(field, "its signature is not by its key")
    return key


def make_root(name: str, identity: str, validity: Validity) -> Issuer:
    """Make a root: self-signed, may sign one level of issuers."""
    key = ec.generate_private_key(_P256())
    subject = _name(name)
    builder = _authority(subject, identity, key, validity, path_length=1).issuer_name(subject)
    return Issuer(builder.sign(key, hashes.SHA256()), key)


def make_issuer(
    root: Issuer,
    name: str,
    identity: str,
    validity: Validity,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Issuer:
    """Make an issuing authority below the root: may sign leaves only. Without a key: a new one."""
    key = key or ec.generate_private_key(_P256())
    builder = _authority(_name(name), identity, key, validity, path_length=0)
    return Issuer(_sign(builder, root), key)


def make_client_leaf(
    issuer: Issuer,
    identity: str,
    key: ec.EllipticCurvePublicKey,
    validity: Validity,
    host: str = "",
) -> x509.Certificate:
    """Make the certificate of a device or operator: a TLS client, and nothing else.

    A terminal serves too, under a `host` that is none in the world: a venue's hub is one of its
    entrances. Whoever dials the switch does not take it for the switch.
    """
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity)]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if host:
        names.append(x509.DNSName(host))
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    return _sign(_leaf(names, key, validity, usages), issuer)


def make_server_leaf(
    issuer: Issuer,
    identity: str,
    key: ec.EllipticCurvePublicKey,
    validity: Validity,
    hosts: tuple[str, ...],
) -> x509.Certificate:
    """Make the switch's own certificate: a TLS server under these host names and addresses."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity)]
    names += [_host_name(host) for host in hosts]
    return _sign(_leaf(names, key, validity, [ExtendedKeyUsageOID.SERVER_AUTH]), issuer)


def _authority(
    subject: x509.Name,
    identity: str,
    key: ec.EllipticCurvePrivateKey,
    validity: Validity,
    path_length: int,
) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
    builder = _certificate(key.public_key(), validity).subject_name(subject)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return builder.add_extension(names, critical=False)


def _leaf(
    names: list[x509.GeneralName],
    key: ec.EllipticCurvePublicKey,
    validity: Validity,
    usages: list[x509.ObjectIdentifier],
) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    builder = _certificate(key, validity).subject_name(x509.Name([]))
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    # The subject is empty, so the alternative name is critical (RFC 5280, 4.2.1.6).
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=True)


def _certificate(key: ec.EllipticCurvePublicKey, validity: Validity) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .public_key(key)
        .not_valid_before(_time(validity.begin_us))
        .not_valid_after(_time(validity.end_us))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, issuer: Issuer) -> x509.Certificate:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = builder.issuer_name(issuer.certificate.subject)
    builder = builder.add_extension(identifier, critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _time(microseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(microseconds // 1_000_000, tz=datetime.UTC)
