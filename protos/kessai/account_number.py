"""Account numbers: branch, number and check digits, and the slot that they fall into (row B11).

Fourteen digits: branch (4), number (8), check digits (2, ISO 7064 MOD 97-10, as IBAN has them),
shown as "0001-00000042-20". Inside the switch an account is the integer branch * 10^8 + number.
Where it is kept is computed, never looked up: slot = CRC-16 (XMODEM) of the twelve digits, modulo
1024; a small map of slot ranges then gives the shard.
"""

from __future__ import annotations

import binascii
import re

SLOT_COUNT = 1024
HOUSE_BRANCH = 0

_NUMBERS_PER_BRANCH = 10**8
_BRANCHES = 10**4
_DIGITS = 14
_WRITTEN = re.compile(r"([0-9]{4})(-?)([0-9]{8})\2([0-9]{2})")


class AccountNumberError(ValueError):
    """Not an account number; the message is for people."""


def make_account(branch: int, number: int) -> int:
    """Make an account of a branch (0 to 9999; 0 is the house) and a number (to 99,999,999)."""
    if not 0 <= branch < _BRANCHES or not 0 <= number < _NUMBERS_PER_BRANCH:
        raise AccountNumberError("branch or number is out of range")
    return branch * _NUMBERS_PER_BRANCH + number


def branch_of(account: int) -> int:
    """Tell the branch of an account."""
    return account // _NUMBERS_PER_BRANCH


def slot_of(account: int) -> int:
    """Compute the slot of an account, 0 to 1023."""
    return binascii.crc_hqx(b"%012d" % account, 0) % SLOT_COUNT


def format_account(account: int) -> str:
    """Write an account as its fourteen digits, as it goes over the wire."""
    return f"{account:012d}{_check_digits(account):02d}"


def pretty_account(account: int) -> str:
    """Write an account as people read it: "0001-00000042-20"."""
    digits = format_account(account)
    return f"{digits[:4]}-{digits[4:12]}-{digits[12:]}"


def parse_account(text: str) -> int:
    """Read fourteen digits, plain or in pretty form; AccountNumberError if they do not check."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise AccountNumberError("an account number has 14 digits: branch 4, number 8, check 2")
    account = int(match[1] + match[3])
    if _check_digits(account) != int(match[4]):
        raise AccountNumberError("the check digits of the account number are wrong")
    return account


def parse_digits(text: str) -> int:
    """Read the fourteen digits as they go over the wire, and nothing else; AccountNumberError."""
    if not (len(text) == _DIGITS and text.isascii() and text.isdigit()):
        raise AccountNumberError("an account number has 14 digits here, without hyphens")
    return parse_account(text)


def _check_digits(account: int) -> int:
    return 98 - account * 100 % 97
