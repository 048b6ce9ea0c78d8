"""Enrolment: a pairing code and its address, a signing request, and each proof of a key."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from kessai.holder import key_proof_input
from kessai.pairing_code import PairingCode, format_code, format_pairing_uri, parse_code
from kessai.request_id import format_request_id, new_request_id
from tests.vectors.keys import describe, secret, sign_fixed
from tests.vectors.purchase import CREATED_MS

ENROL = b"kessai/enroll/v1\0"
CODE = secret("pairing code")[:16]
ROOT = secret("root certificate")
SERVERS = ("switch.example.com:7443", "192.0.2.7:7443", "[2001:db8::7]:7443")


def vectors() -> dict[str, Any]:
    """Make the file: codes as people write them, addresses, and proofs."""
    code = format_code(CODE)
    return {
        "keys": {name: describe(name) for name in ("terminal", "phone", "holder")},
        "pairing_codes": {
            "valid": [
                {"name": name, "text": text, "bytes": parse_code(text).hex()}
                for name, text in _written(code).items()
            ],
            "invalid": [{"name": name, "text": text} for name, text in _bad_codes(code).items()],
        },
        "pairing_uris": {
            "valid": [_uri(server, code) for server in SERVERS],
            "invalid": [{"name": name, "uri": uri} for name, uri in _bad_uris(code).items()],
        },
        "signing_request": signing_request().hex(),
        "enrolment_proofs": [
            _proof(name, ENROL + signing_request()) for name in ("terminal", "phone")
        ],
        "holder_key_proof": _holder_key_proof(),
    }


def signing_request() -> bytes:
    """The PKCS #10 request of a TLS key, DER, with an empty subject and no extensions."""
    key = ec.derive_private_key(int.from_bytes(secret("tls"), "big"), ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def _written(code: str) -> dict[str, str]:
    return {
        "as it is read out": code,
        "in lower case, without hyphens": code.replace("-", "").lower(),
        "with blanks, O for 0 and I for 1": code.replace("-", " ")
        .replace("0", "O")
        .replace("1", "I"),
        "all zero": format_code(bytes(16)),
        "all ones": format_code(b"\xff" * 16),
    }


def _bad_codes(code: str) -> dict[str, str]:
    return {
        "a letter too few": code[:-1],
        "a letter too many": code + "0",
        "a U, which is not in the alphabet": "U" + code[1:],
        "more than 128 bits": "8" + code[1:],
        "empty": "",
    }


def _uri(server: str, code: str) -> dict[str, str]:
    uri = format_pairing_uri(PairingCode(server, code, ROOT))
    return {"uri": uri, "server": server, "code": code, "root": ROOT.hex()}


def _bad_uris(code: str) -> dict[str, str]:
    root = ROOT.hex()
    return {
        "another scheme": f"https://pair?server=a:1&code={code}&root={root}",
        "no port": f"kessai://pair?server=a&code={code}&root={root}",
        "port 0": f"kessai://pair?server=a:0&code={code}&root={root}",
        "no root": f"kessai://pair?server=a:1&code={code}",
        "a root of 62 digits": f"kessai://pair?server=a:1&code={code}&root={root[:-2]}",
        "two servers": f"kessai://pair?server=a:1&server=b:2&code={code}&root={root}",
        "no code": f"kessai://pair?server=a:1&root={root}",
    }


def _proof(name: str, message: bytes) -> dict[str, str]:
    return {"key": name, "message": message.hex(), "proof": sign_fixed(message, name).hex()}


def _holder_key_proof() -> dict[str, str]:
    asked = new_request_id(CREATED_MS, lambda count: secret("credential request")[:count])
    return {"request_id": format_request_id(asked)} | _proof("holder", key_proof_input(asked))
