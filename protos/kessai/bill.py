"""What both ends of a bill compute alike (mission row B5): to what the payee's account is sealed.

Used by the payee's phone, which seals it, and by the switch, which opens it.
"""

from __future__ import annotations

import hashlib

_CONTEXT = b"kessai/bill-payee/v1\0"


def payee_info(request_id: bytes) -> bytes:
    """Give the HPKE info of the account in a bill, 32 bytes: it opens for this bill only."""
    return hashlib.sha256(_CONTEXT + request_id).digest()
