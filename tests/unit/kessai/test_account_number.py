"""Account numbers: a mistyped one is never another account, and the slots fill evenly."""

from __future__ import annotations

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.account_number import (
    SLOT_COUNT,
    AccountNumberError,
    branch_of,
    format_account,
    make_account,
    parse_account,
    pretty_account,
    slot_of,
)

accounts = st.builds(make_account, st.integers(0, 9999), st.integers(0, 99_999_999))


@given(accounts)
def test_what_is_written_is_read_again(account: int) -> None:
    digits = format_account(account)
    assert len(digits) == 14
    assert parse_account(digits) == account
    assert parse_account(pretty_account(account)) == account
    assert int(digits) % 97 == 1  # as ISO 7064 checks it


@given(accounts, st.integers(0, 13), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(account: int, place: int, by: int) -> None:
    digits = format_account(account)
    wrong = str((int(digits[place]) + by) % 10)
    with pytest.raises(AccountNumberError):
        parse_account(digits[:place] + wrong + digits[place + 1 :])


@given(accounts, st.integers(0, 12))
def test_swapped_neighbours_are_noticed(account: int, place: int) -> None:
    digits = format_account(account)
    swapped = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    if swapped != digits:
        with pytest.raises(AccountNumberError):
            parse_account(swapped)


@given(st.text(max_size=13))
def test_other_text_is_refused_with_words(text: str) -> None:
    with pytest.raises(AccountNumberError, match="account number"):
        parse_account(text)


@pytest.mark.parametrize(("branch", "number"), [(-1, 0), (10_000, 0), (0, -1), (0, 10**8)])
def test_parts_out_of_range_are_refused(branch: int, number: int) -> None:
    with pytest.raises(AccountNumberError):
        make_account(branch, number)


@given(st.integers(0, 9999), st.integers(0, 99_999_999))
def test_the_branch_can_be_told(branch: int, number: int) -> None:
    assert branch_of(make_account(branch, number)) == branch


@pytest.mark.parametrize("branch", [1, 42, 9999])
def test_neighbouring_numbers_spread_evenly(branch: int) -> None:
    """20 accounts a slot on average: none is empty, none has more than three times its share."""
    counts = [0] * SLOT_COUNT
    for number in range(1, 20 * SLOT_COUNT + 1):
        counts[slot_of(make_account(branch, number))] += 1
    assert min(counts) > 0
    assert max(counts) <= 60


def test_the_crc_is_xmodem_s() -> None:
    """Its check value: CRC-16/XMODEM of "123456789" is 0x31C3."""
    assert binascii.crc_hqx(b"123456789", 0) == 0x31C3
    assert slot_of(make_account(1, 42)) == binascii.crc_hqx(b"000100000042", 0) % 1024
