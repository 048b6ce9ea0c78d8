"""The envelope: only what was signed gets through, in the one encoding that was signed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from kessai.envelope import (
    MAX_PAYLOAD_BYTES,
    PAYMENT_REQUEST,
    RECEIPT,
    DocumentMalformed,
    PrivateKey,
    SignatureInvalid,
    key_id_of,
    load_public_key,
    open_signed,
    parse_strictly,
    raw_public_key,
    read_unverified,
    sign,
    sign_bytes,
    verify_bytes,
)
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import LineItem, PaymentRequest
from tests.vectors import purchase
from tests.vectors.keys import KEYS, flip, sign_payload, stranger_to, with_high_s
from tests.vectors.wire import split, varint

KEY_NAMES = ["terminal", "phone"]
keys = st.sampled_from(KEY_NAMES)
# At most one item, and always an id: no field can be repeated or reordered into another document.
requests = st.builds(
    PaymentRequest,
    request_id=st.binary(min_size=1, max_size=16),
    merchant_id=st.text(max_size=10),
    order_id=st.text(max_size=10),
    items=st.lists(
        st.builds(
            LineItem,
            description=st.text(max_size=10),
            quantity=st.integers(-(2**31), 2**31 - 1),
            unit_price_minor=st.integers(-(2**63), 2**63 - 1),
        ),
        max_size=1,
    ),
)


def opened(signed: Signed, key_name: str) -> PaymentRequest:
    public = KEYS[key_name].public_key()
    return open_signed(signed, PAYMENT_REQUEST, public, PaymentRequest.FromString)


@given(requests, keys)
def test_what_was_signed_is_opened(request: PaymentRequest, key_name: str) -> None:
    signed = sign(PAYMENT_REQUEST, request, KEYS[key_name])
    assert opened(signed, key_name) == request
    assert len(signed.signature) == 64
    assert signed.key_id == key_id_of(KEYS[key_name].public_key())


@pytest.mark.parametrize("key_name", KEY_NAMES)
@pytest.mark.parametrize("part", ["payload", "signature", "key_id"])
def test_every_flipped_bit_is_refused(key_name: str, part: str) -> None:
    """All of them, not a sample."""
    good = sign(PAYMENT_REQUEST, purchase.payment_request(), KEYS[key_name])
    original = getattr(good, part)
    for bit in range(8 * len(original)):
        setattr(good, part, flip(original, bit))
        with pytest.raises(SignatureInvalid):
            opened(good, key_name)


@given(keys, st.text(max_size=60))
def test_another_type_is_refused(key_name: str, other: str) -> None:
    """Both as the envelope says it, and as the signature covers it."""
    if other == PAYMENT_REQUEST:
        return
    payload = purchase.payment_request().SerializeToString(deterministic=True)
    good = sign_payload(PAYMENT_REQUEST, payload, key_name)
    good.type = other
    with pytest.raises(SignatureInvalid):
        opened(good, key_name)
    with pytest.raises(SignatureInvalid):
        open_signed(good, other, KEYS[key_name].public_key(), PaymentRequest.FromString)


@pytest.mark.parametrize("key_name", KEY_NAMES)
def test_a_type_cannot_run_into_the_payload(key_name: str) -> None:
    """The NUL ends the type: bytes moved from one to the other sign something else."""
    signed = sign_payload("re", b"ceipt", key_name)
    signed.type, signed.payload = RECEIPT, b""
    with pytest.raises(SignatureInvalid):
        open_signed(signed, RECEIPT, KEYS[key_name].public_key(), PaymentRequest.FromString)


@pytest.mark.parametrize("key_name", KEY_NAMES)
@pytest.mark.parametrize("algorithm", [0, 1, 2, 3, 99])
def test_only_the_key_s_own_algorithm_passes(key_name: str, algorithm: int) -> None:
    good = sign(PAYMENT_REQUEST, purchase.payment_request(), KEYS[key_name])
    own, good.algorithm = good.algorithm, algorithm  # type: ignore[assignment]
    if algorithm == own:
        assert opened(good, key_name) == purchase.payment_request()
    else:
        with pytest.raises(SignatureInvalid):
            opened(good, key_name)


@pytest.mark.parametrize("key_name", KEY_NAMES)
def test_a_stranger_s_signature_is_refused(key_name: str) -> None:
    by_stranger = sign(PAYMENT_REQUEST, purchase.payment_request(), KEYS[stranger_to(key_name)])
    with pytest.raises(SignatureInvalid):
        opened(by_stranger, key_name)


@given(st.binary(max_size=40))
def test_p256_signatures_have_one_form(message: bytes) -> None:
    """s is always in the lower half, and the twin in the upper half is refused."""
    key = KEYS["phone"]
    signature = sign_bytes(message, key)
    verify_bytes(message, signature, key.public_key())
    with pytest.raises(SignatureInvalid):
        verify_bytes(message, with_high_s(signature), key.public_key())


@given(st.binary(max_size=80), keys)
def test_garbage_is_no_signature(signature: bytes, key_name: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify_bytes(b"message", signature, KEYS[key_name].public_key())


@given(requests, st.randoms(use_true_random=False), st.integers(0, 3))
def test_every_other_encoding_is_refused(request: PaymentRequest, random: object, way: int) -> None:
    """Shuffled, doubled, padded and extended: signed all the same, and never taken."""
    payload = request.SerializeToString(deterministic=True)
    fields = split(payload)
    if way == 0:
        random.shuffle(fields)  # type: ignore[attr-defined]
    elif way == 1:
        fields.insert(0, fields[0])
    elif way == 2:
        fields[0] = bytes([fields[0][0] | 0x80, 0]) + fields[0][1:]
    else:
        fields.append(varint(7000 << 3) + b"\x00")
    other = b"".join(fields)
    if other == payload:
        return
    with pytest.raises(DocumentMalformed):
        opened(sign_payload(PAYMENT_REQUEST, other, "terminal"), "terminal")


@given(st.binary(max_size=60))
def test_any_bytes_are_canonical_or_refused(payload: bytes) -> None:
    """Whatever comes, signed or not: one reading, or DocumentMalformed and nothing else."""
    try:
        document = parse_strictly(payload, PaymentRequest.FromString)
    except DocumentMalformed:
        return
    assert document.SerializeToString(deterministic=True) == payload


def test_a_payload_has_at_most_56_kib() -> None:
    """What is longer is malformed if it is well signed, and forged if it is not."""
    largest = PaymentRequest(order_id="x" * (MAX_PAYLOAD_BYTES - 7), merchant_id="m")
    assert largest.ByteSize() == MAX_PAYLOAD_BYTES
    assert opened(sign(PAYMENT_REQUEST, largest, KEYS["terminal"]), "terminal") == largest
    largest.order_id += "x"
    signed = sign(PAYMENT_REQUEST, largest, KEYS["terminal"])
    with pytest.raises(DocumentMalformed) as malformed:
        opened(signed, "terminal")
    assert malformed.value.rule == "payload"
    signed.signature = bytes(64)
    with pytest.raises(SignatureInvalid):
        opened(signed, "terminal")


@pytest.mark.parametrize("seconds", [2**62, -(2**62), -1])
def test_a_time_out_of_range_is_malformed(seconds: int) -> None:
    """Well signed, and still no document."""
    request = PaymentRequest()
    request.deferred_expire_time.seconds = seconds
    with pytest.raises(DocumentMalformed, match="deferred_expire_time"):
        opened(sign(PAYMENT_REQUEST, request, KEYS["terminal"]), "terminal")
    with pytest.raises(DocumentMalformed, match="deferred_expire_time"):
        read_unverified(sign(PAYMENT_REQUEST, request, KEYS["terminal"]), PaymentRequest)


@pytest.mark.parametrize("payload", [b"\xff", b"\x2b" * 10_000, bytes(MAX_PAYLOAD_BYTES + 1)])
def test_what_nobody_verified_is_read_with_care(payload: bytes) -> None:
    """Garbage, nested garbage, and too much: malformed, and nothing else."""
    with pytest.raises(DocumentMalformed):
        read_unverified(Signed(payload=payload), PaymentRequest)


def test_deep_nesting_ends_in_a_refusal() -> None:
    with pytest.raises(DocumentMalformed):
        parse_strictly(b"\x2b" * 10_000, PaymentRequest.FromString)


@pytest.mark.parametrize("key_name", list(KEYS))
def test_public_keys_survive_their_raw_form(key_name: str) -> None:
    key = KEYS[key_name].public_key()
    assert raw_public_key(load_public_key(raw_public_key(key))) == raw_public_key(key)


@pytest.mark.parametrize(
    "raw",
    [b"", bytes(31), bytes(33), bytes(64), bytes(65), b"\x04" + bytes(64), bytes(66)],
    ids=["empty", "31", "33", "64", "65 zero", "not on the curve", "66"],
)
def test_what_is_no_key_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        load_public_key(raw)


def test_compressed_and_hybrid_points_are_refused() -> None:
    key = KEYS["phone"].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    compressed = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    hybrid = bytes([6 | compressed[0] & 1]) + raw_public_key(key)[1:]
    for raw in (compressed, hybrid):
        with pytest.raises(DocumentMalformed):
            load_public_key(raw)


@pytest.mark.parametrize(
    "key", [Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())], ids=type
)
def test_fresh_keys_sign_and_verify(key: PrivateKey) -> None:
    verify_bytes(b"x", sign_bytes(b"x", key), key.public_key())
