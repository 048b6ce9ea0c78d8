"""Pairing codes: 128 bits that an operator can read out, and the address that goes into a QR code.

26 characters of Crockford base 32, written in groups: "0ABC-DEFG-HJKM-NPQR-STVW-XYZ0-12". Reading
forgives case, "I" and "L" for 1, "O" for 0, hyphens and blanks. The first four bytes are the
handle, by which the switch finds the code and counts wrong tries against it; the others prove it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from kessai.complaint import Complaint

CODE_BYTES = 16
HANDLE_BYTES = 4

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _GROUP = 26, 4
_FORGIVEN = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_FINGERPRINT = re.compile(r"[0-9a-fA-F]{64}")


class PairingCodeError(ValueError):
    """Not a pairing code."""


@dataclass(frozen=True, slots=True)
class PairingCode:
    """What a device needs to be paired: where to call, the code, and how to know the switch.

    `root_fingerprint` is the SHA-256 of the root certificate, 32 bytes.
    """

    server: str
    code: str
    root_fingerprint: bytes


def format_code(raw: bytes) -> str:
    """Write the 16 bytes of a code for people."""
    value = int.from_bytes(raw, "big")
    digits = "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(_LENGTH)))
    return "-".join(digits[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def parse_code(text: str) -> bytes:
    """Read a code as people write it; PairingCodeError if it is none."""
    digits = text.upper().translate(_FORGIVEN)
    if len(digits) != _LENGTH or not set(digits) <= set(_ALPHABET):
        raise PairingCodeError("a pairing code has 26 letters and digits")
    value = 0
    for digit in digits:
        value = value << 5 | _ALPHABET.index(digit)
    if value >= 1 << 8 * CODE_BYTES:
        raise PairingCodeError("a pairing code begins with a digit below 8")
    return value.to_bytes(CODE_BYTES, "big")


def format_pairing_uri(pairing: PairingCode) -> str:
    """Write "kessai://pair?server=host:port&code=...&root=<64 hex digits>"."""
    fields = {
        "server": pairing.server,
        "code": pairing.code,
        "root": pairing.root_fingerprint.hex(),
    }
    return "kessai://pair?" + urlencode(fields, safe=":[]")


def parse_pairing_uri(text: str) -> PairingCode:
    """Read what `format_pairing_uri` wrote; Complaint if it is malformed."""
    try:
        parts = urlsplit(text.strip())
        fields = parse_qs(parts.query, strict_parsing=True)
    except ValueError:
        raise _malformed("it is no address") from None
    if (parts.scheme, parts.netloc) != ("kessai", "pair") or any(map(_repeated, fields.values())):
        raise _malformed("it does not begin with kessai://pair?")
    server, code, root = (fields.get(name, [""])[0] for name in ("server", "code", "root"))
    match = _ADDRESS.fullmatch(server)
    if match is None or not 0 < int(match[2]) < 65536:
        raise _malformed("server is not host:port")
    if _FINGERPRINT.fullmatch(root) is None:
        raise _malformed("root is not 64 hex digits")
    try:
        parse_code(code)
    except PairingCodeError as error:
        raise _malformed(str(error)) from None
    return PairingCode(server, code, bytes.fromhex(root))


def _repeated(values: list[str]) -> bool:
    return len(values) > 1


def _malformed(why: str) -> Complaint:
    return Complaint(
        f"This is not a pairing address: {why}. It looks like "
        '"kessai://pair?server=host:port&code=...&root=..."; put it in quotes.'
    )
