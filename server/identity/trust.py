"""What a device is told of the switch when it is paired, so that it can trust it and seal to it."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from kessai.v1.device_pb2 import TrustBundle
from server.identity.authority import Authority
from server.identity.keyring import Keyring


def trust_bundle(authority: Authority, keyring: Keyring) -> TrustBundle:
    """Put together the root certificate and the switch's two public keys."""
    return TrustBundle(
        root_certificate=authority.root.public_bytes(Encoding.DER),
        switch_public_key=keyring.signing_key.public_key().public_bytes_raw(),
        sealing_public_key=keyring.sealing_key.public_key().public_bytes_raw(),
    )
