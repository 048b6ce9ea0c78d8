"""Digests over entries: packed by a written rule, and in the form of former releases beside."""

from __future__ import annotations

import hashlib

from server.shards.entry_digest import PACKED, SHOWN, Digests, add_entry
from server.shards.store import BookedEntry

FIRST = BookedEntry(100_000_001, 1, -5, 995, 100_000_002, 4, 1_700_000_000_000_000, b"r" * 16, 7)
SECOND = FIRST._replace(sequence=2, balance=990, log_sequence=8)
# Big-endian: account, sequence, amount, balance, counterparty; kind in two bytes; booking time and
# log row; the length of the request id in two bytes, and the request id.
PACKED_FIRST = bytes.fromhex(
    "0000000005f5e101" "0000000000000001" "fffffffffffffffb" "00000000000003e3"
    "0000000005f5e102" "0004" "00060a24181e4000" "0000000000000007" "0010"
) + b"r" * 16  # fmt: skip


def digests(*entries: BookedEntry) -> Digests:
    """The digests of an account with these entries."""
    taken: dict[int, Digests] = {}
    for entry in entries:
        add_entry(taken, entry)
    return taken[FIRST.account]


def test_an_entry_is_packed_by_a_written_rule() -> None:
    assert digests(FIRST).of(PACKED) == hashlib.sha256(PACKED_FIRST).digest()


def test_entries_are_chained_in_order() -> None:
    both, turned = digests(FIRST, SECOND), digests(SECOND, FIRST)
    for version in (SHOWN, PACKED):
        assert both.of(version) != turned.of(version) != digests(FIRST).of(version)
    shown = hashlib.sha256(repr(tuple(FIRST)).encode()).digest()
    assert digests(FIRST).of(SHOWN) == shown


def test_who_came_in_one_form_is_known_in_that_alone() -> None:
    for version, other in ((SHOWN, PACKED), (PACKED, SHOWN)):
        taken = {FIRST.account: Digests.came(version, digests(FIRST).of(version))}
        add_entry(taken, SECOND)
        known = taken[FIRST.account]
        assert known.of(other) == b""
        assert known.of(version) == digests(FIRST, SECOND).of(version)
        assert digests(FIRST, SECOND).fits(known)
        assert not digests(FIRST).fits(known)
    assert not digests(FIRST).fits(None)


def test_what_cannot_be_packed_fits_nothing() -> None:
    """Somebody wrote it into a file: verification names the account, and goes on."""
    wrong = FIRST._replace(amount="5")  # type: ignore[arg-type]
    assert not digests(wrong).fits(digests(FIRST))
