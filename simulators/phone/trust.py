"""What a phone trusts: the switch's keys, as it got them when it was paired. Used by `wallet`."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from kessai.v1.device_pb2 import TrustBundle


@dataclass(frozen=True, slots=True)
class Trust:
    """The key that signs merchant certificates and receipts, and the key to seal to."""

    switch_key: Ed25519PublicKey
    sealing_key: X25519PublicKey

    @classmethod
    def from_bundle(cls, bundle: TrustBundle) -> Trust:
        """Take the keys out of a trust bundle; ValueError if they are none."""
        return cls(
            Ed25519PublicKey.from_public_bytes(bundle.switch_public_key),
            X25519PublicKey.from_public_bytes(bundle.sealing_public_key),
        )
