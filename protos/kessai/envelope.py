"""The signed envelope: how every document of Kessai is signed and verified.

`Signed` carries a payload that is serialised once and never rebuilt. The signature covers
"kessai/" + type + "/v1" + NUL + payload, so a document of one type is never taken for another.

    open_signed       the way in: verifies, then parses strictly
    read_unverified   what a document claims, before anybody has verified it
    read_verified     a document that was verified before it was stored

Parsing strictly refuses unknown fields, bytes that do not re-serialise to themselves (protobuf
reads many encodings of one message alike), and times out of range (`kessai.time_range`). A number
that an enumeration does not know is no reason: whoever uses it decides. No payload is parsed
anywhere else; `tests/house/test_documents.py` looks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.message import DecodeError, Message

from kessai.public_key import KeyRefused, load_key
from kessai.time_range import bad_time
from kessai.v1 import envelope_pb2
from kessai.v1.envelope_pb2 import Signed

PAYMENT_REQUEST = "payment-request"
PAYMENT_AUTHORIZATION = "payment-authorization"
MERCHANT_CERTIFICATE = "merchant-certificate"
RECEIPT = "receipt"
HOLDER_CREDENTIAL = "holder-credential"
HOLDER_PROOF = "holder-proof"
TICKET = "ticket"
ADMISSION = "admission"
EXIT_NOTE = "exit-note"
JOURNEY = "journey"
BILL = "bill"
WALLET_CERTIFICATE = "wallet-certificate"
RELAYED_CALL = "relayed-call"
RELAYED_ANSWER = "relayed-answer"

# The largest payment request: 200 lines of 60 characters of four bytes each, and its tickets.
MAX_PAYLOAD_BYTES = 56 * 1024
KEY_ID_BYTES = 16

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey
Document = TypeVar("Document", bound=Message)

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ED25519 = envelope_pb2.SIGNATURE_ALGORITHM_ED25519
_P256 = envelope_pb2.SIGNATURE_ALGORITHM_ECDSA_P256_SHA256


class EnvelopeError(Exception):
    """A document that is not to be trusted."""


class SignatureInvalid(EnvelopeError):
    """The signature does not verify, or is by another key, algorithm or for another type."""


class DocumentMalformed(EnvelopeError):
    """Well signed, but not the one encoding of a document that is known in full, in range.

    `rule`: what is wrong: "payload" (too long), "encoding", or the path of a field.
    """

    def __init__(self, message: str, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


def sign(document_type: str, document: Message, key: PrivateKey) -> Signed:
    """Serialise a document once, deterministically, and sign it."""
    payload = document.SerializeToString(deterministic=True)
    return Signed(
        type=document_type,
        key_id=key_id_of(key.public_key()),
        algorithm=_ED25519 if isinstance(key, Ed25519PrivateKey) else _P256,
        payload=payload,
        signature=sign_bytes(signing_input(document_type, payload), key),
    )


def open_signed(
    signed: Signed, document_type: str, key: PublicKey, parse: Callable[[bytes], Document]
) -> Document:
    """Verify and parse a document; SignatureInvalid or DocumentMalformed if it is not good.

    `parse` is the message's `FromString`.
    """
    if signed.type != document_type:
        raise SignatureInvalid(f'expected a "{document_type}", got a "{signed.type[:40]}"')
    expected = _ED25519 if isinstance(key, Ed25519PublicKey) else _P256
    if signed.algorithm != expected:
        raise SignatureInvalid("signed with another algorithm than the key's")
    if signed.key_id != key_id_of(key):
        raise SignatureInvalid("names another key than the one it is verified with")
    verify_bytes(signing_input(document_type, signed.payload), signed.signature, key)
    _require_size(signed.payload)
    return parse_strictly(signed.payload, parse)


def parse_strictly(payload: bytes, parse: Callable[[bytes], Document]) -> Document:
    """Parse bytes that have only one reading; DocumentMalformed for any other encoding."""
    try:
        document = parse(payload)
    except DecodeError:
        raise _not_of_type() from None
    document.DiscardUnknownFields()  # so that bytes which this version does not know differ, too
    if document.SerializeToString(deterministic=True) != payload:
        raise DocumentMalformed("not the one encoding of fields that are known here", "encoding")
    return _in_range(document)


def read_unverified(signed: Signed, document_type: type[Document]) -> Document:
    """What a document claims, verified by nobody; DocumentMalformed if it cannot be read.

    Good for looking up a key or naming what is refused, and for nothing that moves money.
    """
    _require_size(signed.payload)
    try:
        return _in_range(document_type.FromString(signed.payload))
    except DecodeError:
        raise _not_of_type() from None


def read_verified(signed: Signed, document_type: type[Document]) -> Document:
    """A document that this party verified, signed, or got from the switch over its own line."""
    return document_type.FromString(signed.payload)


def _require_size(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise DocumentMalformed(f"more than {MAX_PAYLOAD_BYTES} bytes", "payload")


def _not_of_type() -> DocumentMalformed:
    return DocumentMalformed("not a protobuf of that type", "encoding")


def _in_range(document: Document) -> Document:
    wrong = bad_time(document)
    if wrong:
        raise DocumentMalformed(f"{wrong} is out of range", wrong)
    return document


def sign_bytes(message: bytes, key: PrivateKey) -> bytes:
    """Sign bytes: 64 bytes of Ed25519, or of P-256 as r and s with s in the lower half."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + min(s, _P256_ORDER - s).to_bytes(32, "big")


def verify_bytes(message: bytes, signature: bytes, key: PublicKey) -> None:
    """Verify a signature made by `sign_bytes`; SignatureInvalid if it is not by this key."""
    if len(signature) != 64:
        raise SignatureInvalid("a signature has 64 bytes")
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
            return
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if s > _P256_ORDER // 2:
            raise SignatureInvalid("s is not in the lower half")
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise SignatureInvalid("the signature does not verify") from None


def signing_input(document_type: str, payload: bytes) -> bytes:
    """Give the bytes that are signed for a payload of a type."""
    return b"kessai/%b/v1\0%b" % (document_type.encode(), payload)


def key_id_of(key: PublicKey) -> bytes:
    """Name a key: the first 16 bytes of SHA-256 over its raw form."""
    return hashlib.sha256(raw_public_key(key)).digest()[:KEY_ID_BYTES]


def raw_public_key(key: PublicKey) -> bytes:
    """Give a key's raw form: 32 bytes of Ed25519, or the 65-byte uncompressed point of P-256."""
    if isinstance(key, Ed25519PublicKey):
        return key.public_bytes_raw()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def load_public_key(raw: bytes) -> PublicKey:
    """Read a raw public key by its length; DocumentMalformed if it is neither kind, or unsound."""
    try:
        return load_key(raw)
    except KeyRefused as error:
        raise DocumentMalformed(str(error), "public_key") from None
