"""A receipt as text, as the QR code on its paper has it."""

from __future__ import annotations

import base64
import binascii

from google.protobuf.message import DecodeError

from kessai.v1.envelope_pb2 import Signed

QR_PREFIX = "kessai:receipt:"
MAX_QR_CHARACTERS = 4_000


def read_receipt_text(text: str) -> Signed:
    """Read the text of a receipt, whoever signed it; ValueError, for people, if it is none."""
    text = text.strip()
    if not text.startswith(QR_PREFIX) or len(text) > MAX_QR_CHARACTERS or not text.isascii():
        raise ValueError(f'the text of a receipt begins with "{QR_PREFIX}"')
    body = text.removeprefix(QR_PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        return Signed.FromString(raw)
    except (binascii.Error, DecodeError):
        raise ValueError("the text was damaged, or cut off") from None
