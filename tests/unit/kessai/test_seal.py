"""The seal: opens for the switch and for one document, and for nobody and nothing else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kessai.seal import MAX_SEALED_BYTES, SealBroken, seal, sealed_hash, sealing_key_id, unseal
from kessai.v1.envelope_pb2 import Sealed
from tests.vectors.hpke import seal_with
from tests.vectors.keys import OTHER_SEALING_KEY, SEALING_KEY, flip

PUBLIC = SEALING_KEY.public_key()
INFO = bytes(range(32))
OVERHEAD = 32 + 16  # the encapsulated key and the tag


@given(st.binary(max_size=300), st.binary(max_size=64))
def test_what_was_sealed_is_opened(plaintext: bytes, info: bytes) -> None:
    sealed = seal(plaintext, PUBLIC, info)
    assert unseal(sealed, SEALING_KEY, info) == plaintext
    assert len(sealed.ciphertext) == len(plaintext) + OVERHEAD


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32))
def test_our_seal_is_the_rfc_s(plaintext: bytes, ephemeral: bytes) -> None:
    """Sealed by the RFC's own steps, opened by the library."""
    made = seal_with(X25519PrivateKey.from_private_bytes(ephemeral), PUBLIC, INFO, plaintext)
    whole = made.encapsulated_key + made.ciphertext
    assert unseal(Sealed(key_id=sealing_key_id(PUBLIC), ciphertext=whole), SEALING_KEY, INFO) == (
        plaintext
    )


@pytest.mark.parametrize("part", ["ciphertext", "key_id"])
def test_every_flipped_bit_is_refused(part: str) -> None:
    """All of them: X25519 itself ignores the top bit of a point, but HPKE binds the bytes."""
    good = seal(b"from account 1", PUBLIC, INFO)
    original = getattr(good, part)
    for bit in range(8 * len(original)):
        setattr(good, part, flip(original, bit))
        with pytest.raises(SealBroken):
            unseal(good, SEALING_KEY, INFO)


@given(st.binary(max_size=64))
def test_another_document_s_info_is_refused(info: bytes) -> None:
    if info != INFO:
        with pytest.raises(SealBroken):
            unseal(seal(b"from account 1", PUBLIC, INFO), SEALING_KEY, info)


def test_another_key_does_not_open_it() -> None:
    sealed = seal(b"from account 1", PUBLIC, INFO)
    with pytest.raises(SealBroken):
        unseal(sealed, OTHER_SEALING_KEY, INFO)
    sealed.key_id = sealing_key_id(OTHER_SEALING_KEY.public_key())
    with pytest.raises(SealBroken):
        unseal(sealed, OTHER_SEALING_KEY, INFO)


@given(st.binary(max_size=100))
def test_garbage_is_refused(ciphertext: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(Sealed(key_id=sealing_key_id(PUBLIC), ciphertext=ciphertext), SEALING_KEY, INFO)


def test_a_seal_has_at_most_16_kib() -> None:
    fits = seal(bytes(MAX_SEALED_BYTES - OVERHEAD), PUBLIC, INFO)
    assert len(unseal(fits, SEALING_KEY, INFO)) == MAX_SEALED_BYTES - OVERHEAD
    with pytest.raises(SealBroken, match="too large"):
        unseal(seal(bytes(MAX_SEALED_BYTES - OVERHEAD + 1), PUBLIC, INFO), SEALING_KEY, INFO)


def test_equal_messages_do_not_look_alike() -> None:
    assert seal(b"x", PUBLIC, INFO).ciphertext != seal(b"x", PUBLIC, INFO).ciphertext


def test_a_sealed_document_has_a_name() -> None:
    """Every byte of it counts, and which part it stands in."""
    made = {sealed_hash(Sealed(key_id=k, ciphertext=c)) for k, c in ((b"ab", b"c"), (b"a", b"bc"))}
    assert len(made | {sealed_hash(Sealed(key_id=b"ab", ciphertext=b"d"))}) == 3
