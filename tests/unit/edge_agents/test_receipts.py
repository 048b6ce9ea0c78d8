"""Receipts: only the switch's receipt for our own pending request is believed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.receipts import (
    QR_PREFIX,
    ReceiptRefused,
    decode_qr,
    encode_qr,
    is_settled,
    open_receipt,
    verify_receipt,
)
from kessai.envelope import sign
from kessai.money import Money
from kessai.v1 import decline_pb2, payment_pb2
from kessai.v1.envelope_pb2 import Signed
from tests.unit.edge_agents.parties import (
    DECLINED,
    SWITCH_KEY,
    make_pending,
    make_receipt,
    sign_receipt,
)

KEY = SWITCH_KEY.public_key()
NO_MONEY = decline_pb2.DECLINE_REASON_INSUFFICIENT_FUNDS


def test_our_own_receipt_is_believed() -> None:
    pending = make_pending()
    assert is_settled(verify_receipt(sign_receipt(make_receipt(pending)), pending, KEY))
    declined = sign_receipt(make_receipt(pending, NO_MONEY))
    assert not is_settled(verify_receipt(declined, pending, KEY))


def test_another_key_is_refused() -> None:
    pending = make_pending()
    forged = sign_receipt(make_receipt(pending), Ed25519PrivateKey.generate())
    with pytest.raises(ReceiptRefused, match="did not sign"):
        verify_receipt(forged, pending, KEY)


def test_an_altered_receipt_is_refused() -> None:
    pending = make_pending()
    declined = sign_receipt(make_receipt(pending, NO_MONEY))
    declined.payload = make_receipt(pending).SerializeToString(deterministic=True)
    with pytest.raises(ReceiptRefused, match="did not sign"):
        verify_receipt(declined, pending, KEY)


def test_another_document_of_the_switch_is_no_receipt() -> None:
    pending = make_pending()
    document = sign("merchant-certificate", make_receipt(pending), SWITCH_KEY)
    with pytest.raises(ReceiptRefused, match="did not sign"):
        verify_receipt(document, pending, KEY)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"request_id": make_pending().request_id}, "another payment"),
        ({"request_hash": bytes(32)}, "another request"),
        ({"amount": Money(433, "EUR").to_proto()}, "another amount"),
        ({"amount": Money(434, "USD").to_proto()}, "another amount"),
        ({"outcome": payment_pb2.PAYMENT_OUTCOME_UNSPECIFIED}, "neither paid"),
        ({"outcome": DECLINED}, "neither paid"),
        ({"decline_reason": NO_MONEY}, "neither paid"),
    ],
)
def test_what_differs_from_our_request_is_refused(changes: dict[str, object], why: str) -> None:
    pending = make_pending()
    with pytest.raises(ReceiptRefused, match=why):
        verify_receipt(sign_receipt(make_receipt(pending, **changes)), pending, KEY)


def test_a_receipt_goes_through_a_qr_code() -> None:
    signed = sign_receipt(make_receipt(make_pending()))
    text = encode_qr(signed)
    assert text.startswith(QR_PREFIX)
    assert "=" not in text
    assert decode_qr(f" {text}\n") == signed
    assert is_settled(open_receipt(decode_qr(text), KEY))


@pytest.mark.parametrize(
    "text",
    ["", "kessai:pair:AAAA", QR_PREFIX + "*", QR_PREFIX + "A" * 5000, QR_PREFIX + "ä", "AAAA"],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ReceiptRefused):
        decode_qr(text)


def test_a_text_that_is_too_long_is_not_even_read() -> None:
    text = encode_qr(Signed(type="receipt", payload=bytes(4000)))
    with pytest.raises(ReceiptRefused):
        decode_qr(text)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_damaged_code_is_never_believed(place: int, change: int) -> None:
    """Whichever byte is changed, the receipt is not opened."""
    raw = bytearray(SIGNED.SerializeToString(deterministic=True))
    raw[place % len(raw)] ^= change
    with pytest.raises(ReceiptRefused):
        open_receipt(decode_qr(_encode(bytes(raw))), KEY)


def _encode(raw: bytes) -> str:
    import base64

    return QR_PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


SIGNED: Signed = sign_receipt(make_receipt(make_pending()))
