"""Make the test vectors for developers in other languages: `python -m tests.make_vectors`.

Everything is fixed (keys, times, ephemeral key), so that the files are the same on every run. What
is in them is explained in protos/kessai/vectors/README.md; tests/unit/kessai/test_vectors.py checks
them against our own code, and that they are up to date.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from kessai import account_number, request_id
from kessai.envelope import BILL, PAYMENT_REQUEST, signing_input
from kessai.seal import sealing_key_id
from kessai.v1.envelope_pb2 import (
    SIGNATURE_ALGORITHM_ECDSA_P256_SHA256,
    SIGNATURE_ALGORITHM_ED25519,
    SIGNATURE_ALGORITHM_UNSPECIFIED,
    Sealed,
    Signed,
)
from kessai.v1.money_pb2 import Money
from tests.vectors import bill, enrolment, purchase, relay, ride
from tests.vectors.forms import malformed_bills, malformed_requests
from tests.vectors.hpke import seal_with
from tests.vectors.keys import (
    EPHEMERAL_KEY,
    KEYS,
    OTHER_SEALING_KEY,
    SEALING_KEY,
    describe,
    flip,
    secret,
    sign_payload,
    stranger_to,
    with_high_s,
)
from tests.vectors.public_keys import public_key_vectors
from tests.vectors.times import bad_times
from tests.vectors.wire import encodings

FOLDER = Path(__file__).resolve().parents[1] / "protos" / "kessai" / "vectors"
STAND_IN_TYPE = "envelope-vector"

Vectors = dict[str, Any]

# Documents of which there are also some that break a rule of their fields.
_MALFORMED: dict[str, Callable[[], Mapping[str, tuple[str, Message]]]] = {
    PAYMENT_REQUEST: malformed_requests,
    BILL: malformed_bills,
}


def main() -> None:
    """Write the files anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in make_all().items():
        (FOLDER / name).write_text(text)


def make_all() -> dict[str, str]:
    """Make every file, by its name."""
    vectors = {"envelope": envelope_vectors(), "sealed": sealed_vectors()}
    for name, cases in _documents().items():
        vectors[name] = document_vectors(cases)
    vectors["holder_proof"]["challenges"] = ride.challenges()
    vectors["enrolment"] = enrolment.vectors()
    vectors["public_key"] = public_key_vectors(_keys("terminal", "phone"))
    vectors["account_number"] = account_number_vectors()
    vectors["request_id"] = request_id_vectors()
    return {
        f"{name}.json": json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in vectors.items()
    }


def _documents() -> dict[str, list[purchase.Case]]:
    return purchase.cases() | bill.cases() | ride.cases() | relay.cases()


def envelope_vectors() -> Vectors:
    """Make the signature layer: both algorithms, leading zero bytes, and what is refused."""
    valid = [
        _valid("Ed25519", STAND_IN_TYPE, "terminal", Money(amount_minor=748, currency_code="EUR")),
        _valid("P-256", STAND_IN_TYPE, "phone", Money(amount_minor=748, currency_code="EUR")),
        _valid("Ed25519, empty payload", STAND_IN_TYPE, "terminal", Money()),
        _valid("P-256, empty payload", STAND_IN_TYPE, "phone", Money()),
        _valid("P-256, r begins with a zero byte", STAND_IN_TYPE, "phone", _money_signed(0)),
        _valid("P-256, s begins with a zero byte", STAND_IN_TYPE, "phone", _money_signed(32)),
    ]
    invalid = [
        entry
        for key in ("terminal", "phone")
        for entry in _bad_signatures(sign_payload(STAND_IN_TYPE, valid_payload(), key), key)
    ]
    return {
        "message": "kessai.v1.Money",
        "keys": _keys("terminal", "phone"),
        "valid": valid,
        "invalid": invalid,
    }


def document_vectors(cases: list[purchase.Case]) -> Vectors:
    """Make the vectors of one kind of document; its first case is the one that is damaged."""
    first = cases[0]
    payload = first.document.SerializeToString(deterministic=True)
    invalid = _bad_signatures(sign_payload(first.type, payload, first.key), first.key)
    invalid += [
        _refused(name, first.key, first.type, sign_payload(first.type, bad, first.key), "document")
        for name, bad in (encodings(first.document) | bad_times(first.document)).items()
    ]
    made = {
        "message": first.document.DESCRIPTOR.full_name,
        "keys": _keys(first.key),
        "valid": [_valid(case.name, case.type, case.key, case.document) for case in cases],
        "invalid": invalid,
    }
    malformed = _MALFORMED.get(first.type)
    if malformed is not None:
        made["malformed"] = [
            _valid(name, first.type, first.key, document) | {"field": field}
            for name, (field, document) in malformed().items()
        ]
    return made


def sealed_vectors() -> Vectors:
    """Make the authorisation of the purchase, sealed to the switch, and what does not open."""
    info = purchase.request_hash()
    plaintext = ride.signed_authorization()
    made = seal_with(EPHEMERAL_KEY, SEALING_KEY.public_key(), info, plaintext)
    key_id = sealing_key_id(SEALING_KEY.public_key())
    whole = made.encapsulated_key + made.ciphertext
    valid = {
        "name": "the signed authorisation of the purchase",
        "info": info.hex(),
        "plaintext": plaintext.hex(),
        "ephemeral_private_key": EPHEMERAL_KEY.private_bytes_raw().hex(),
        "shared_secret": made.shared_secret.hex(),
        "key": made.key.hex(),
        "base_nonce": made.base_nonce.hex(),
        "ciphertext": whole.hex(),
        "sealed": _hex(Sealed(key_id=key_id, ciphertext=whole)),
    }
    return {
        "private_key": SEALING_KEY.private_bytes_raw().hex(),
        "public_key": SEALING_KEY.public_key().public_bytes_raw().hex(),
        "key_id": key_id.hex(),
        "valid": [valid],
        "invalid": _broken_seals(key_id, whole, info),
    }


def account_number_vectors() -> Vectors:
    """Make account numbers with check digits and slots, and mistypings of one of them."""
    pairs = [(0, 0), (0, 1), (1, 1), (1, 42), (1, 43), (42, 12_345_678), (9999, 99_999_999)]
    accounts = [account_number.make_account(*pair) for pair in pairs]
    digits = account_number.format_account(accounts[3])
    wrong = {
        "a digit too few": digits[:-1],
        "a digit too many": digits + "0",
        "one digit wrong": digits[:11] + "5" + digits[12:],
        "two neighbours swapped": digits[:10] + digits[11] + digits[10] + digits[12:],
        "a check digit wrong": digits[:-1] + "1",
        "letters": "O" + digits[1:],
        "digits of another script": digits[:-1] + "\u0660",
        "one hyphen only": digits[:4] + "-" + digits[4:],
        "blanks": digits[:4] + " " + digits[4:12] + " " + digits[12:],
        "empty": "",
    }
    valid = [
        {
            "branch": branch,
            "number": number,
            "digits": account_number.format_account(account),
            "pretty": account_number.pretty_account(account),
            "slot": account_number.slot_of(account),
        }
        for (branch, number), account in zip(pairs, accounts, strict=True)
    ]
    return {
        "valid": valid,
        "invalid": [{"name": n, "text": t} for n, t in wrong.items()],
        "invalid_on_the_wire": [{"name": "as people read it", "text": valid[3]["pretty"]}],
    }


def request_id_vectors() -> Vectors:
    """Make request ids from a time and ten random bytes, and texts that are none."""
    inputs = [
        (0, bytes(10)),
        (2**48 - 1, b"\xff" * 10),
        (purchase.CREATED_MS, secret("request id")[:10]),
    ]
    valid = []
    for time_ms, random in inputs:
        raw = request_id.new_request_id(time_ms, _giving(random))
        text = request_id.format_request_id(raw)
        valid.append({"time_ms": time_ms, "random": random.hex(), "bytes": raw.hex(), "text": text})
    text = str(valid[2]["text"])
    wrong = {
        "upper case": text.upper(),
        "without hyphens": text.replace("-", ""),
        "in braces": "{" + text + "}",
        "as a URN": "urn:uuid:" + text,
        "version 4": text[:14] + "4" + text[15:],
        "variant of Microsoft": text[:19] + "c" + text[20:],
        "a digit too few": text[:-1],
        "all zero": "00000000-0000-0000-0000-000000000000",
        "empty": "",
    }
    return {"valid": valid, "invalid": [{"name": n, "text": t} for n, t in wrong.items()]}


def valid_payload() -> bytes:
    """Give the payload that the damaged envelopes carry."""
    return Money(amount_minor=748, currency_code="EUR").SerializeToString(deterministic=True)


def _valid(name: str, document_type: str, key: str, document: Message) -> Vectors:
    payload = document.SerializeToString(deterministic=True)
    signed = sign_payload(document_type, payload, key)
    return {
        "name": name,
        "type": document_type,
        "key": key,
        "document": MessageToDict(document, preserving_proto_field_name=True),
        "payload": payload.hex(),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "signing_input": signing_input(document_type, payload).hex(),
        "signature": signed.signature.hex(),
        "signed": _hex(signed),
    }


def _bad_signatures(good: Signed, key: str) -> list[Vectors]:
    ed25519 = good.algorithm == SIGNATURE_ALGORITHM_ED25519
    other = SIGNATURE_ALGORITHM_ECDSA_P256_SHA256 if ed25519 else SIGNATURE_ALGORITHM_ED25519
    stranger = sign_payload(good.type, good.payload, stranger_to(key))
    bad: dict[str, dict[str, Any]] = {
        "signed for another type": {"type": "some-other-type"},
        "a bit of the payload flipped": {"payload": flip(good.payload, 40)},
        "the payload one byte longer": {"payload": good.payload + b"\x00"},
        "the first bit of the signature flipped": {"signature": flip(good.signature, 0)},
        "the last bit of the signature flipped": {"signature": flip(good.signature, 511)},
        "the signature cut short": {"signature": good.signature[:-1]},
        "no signature": {"signature": b""},
        "the signature all zero": {"signature": bytes(64)},
        "another key's signature": {"signature": stranger.signature},
        "another key's envelope": {"signature": stranger.signature, "key_id": stranger.key_id},
        "another key's name": {"key_id": stranger.key_id},
        "another algorithm": {"algorithm": other},
        "no algorithm": {"algorithm": SIGNATURE_ALGORITHM_UNSPECIFIED},
    }
    if not ed25519:
        r, s = good.signature[:32], good.signature[32:]
        der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        bad["s in the upper half"] = {"signature": with_high_s(good.signature)}
        bad["the signature in DER"] = {"signature": der}
        bad["s with a zero byte before it"] = {"signature": r + b"\x00" + s}
    found = []
    for name, changes in bad.items():
        signed = Signed()
        signed.CopyFrom(good)
        for field, value in changes.items():
            setattr(signed, field, value)
        found.append(_refused(name, key, good.type, signed, "signature"))
    replayed = sign_payload("some-other-type", good.payload, key)
    found.append(_refused("well signed, as another type", key, good.type, replayed, "signature"))
    return found


def _refused(name: str, key: str, expected_type: str, signed: Signed, why: str) -> Vectors:
    return {
        "name": name,
        "key": key,
        "expected_type": expected_type,
        "signed": _hex(signed),
        "refused_for": why,
    }


def _broken_seals(key_id: bytes, whole: bytes, info: bytes) -> list[Vectors]:
    other = OTHER_SEALING_KEY.public_key()
    elsewhere = seal_with(EPHEMERAL_KEY, other, info, b"not for you")
    bad = {
        "for another document": (key_id, whole, hashlib.sha256(b"another").digest()),
        "no info": (key_id, whole, b""),
        "a bit of the encapsulated key flipped": (key_id, flip(whole, 8), info),
        "a bit of the ciphertext flipped": (key_id, flip(whole, 32 * 8), info),
        "a bit of the tag flipped": (key_id, flip(whole, len(whole) * 8 - 1), info),
        "the last byte cut off": (key_id, whole[:-1], info),
        "the encapsulated key alone": (key_id, whole[:32], info),
        "an encapsulated key of small order": (key_id, bytes(32) + whole[32:], info),
        "nothing": (key_id, b"", info),
        "names another key": (sealing_key_id(other), whole, info),
        "sealed to another key": (key_id, elsewhere.encapsulated_key + elsewhere.ciphertext, info),
    }
    return [
        {"name": name, "info": i.hex(), "sealed": _hex(Sealed(key_id=k, ciphertext=c))}
        for name, (k, c, i) in bad.items()
    ]


def _money_signed(at: int) -> Money:
    """Find an amount whose P-256 signature has a zero byte at the beginning of r or s."""
    return _first(lambda money: sign_payload(STAND_IN_TYPE, money, "phone").signature[at] == 0)


def _first(wanted: Callable[[bytes], bool]) -> Money:
    minor = 1
    while True:
        money = Money(amount_minor=minor, currency_code="EUR")
        if wanted(money.SerializeToString(deterministic=True)):
            return money
        minor += 1


def _giving(data: bytes) -> Callable[[int], bytes]:
    return lambda count: data[:count]


def _keys(*names: str) -> dict[str, dict[str, str]]:
    return {name: describe(name) for name in KEYS if name in names}


def _hex(message: Signed | Sealed) -> str:
    return message.SerializeToString(deterministic=True).hex()


if __name__ == "__main__":
    main()
