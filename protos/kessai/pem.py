"""Keys and certificates from files and from others: damage is a ValueError, whatever it is."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

# What cryptography raises, at any later touch too, for a certificate or key that is not good.
UNREADABLE = (
    *(ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm),
    *(x509.ExtensionNotFound, x509.InvalidVersion, x509.DuplicateExtension),
    x509.UnsupportedGeneralNameType,
)


def private_key_of(pem: bytes) -> Any:  # noqa: ANN401  # of any kind that cryptography knows
    """The key in a PEM file without a password; ValueError if there is none that is known."""
    try:
        return load_pem_private_key(pem, None)
    except UNREADABLE as error:
        raise ValueError(str(error)) from None
