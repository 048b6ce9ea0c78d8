"""Pairing codes: idempotent, hashed, short-lived, and hard to guess."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kessai.account_number import make_account
from kessai.pairing_code import format_code, parse_code
from server.identity.guess_limit import GUESSES_A_MINUTE, GuessLimit
from server.identity.pairing import MAX_ACCOUNTS, TRIES
from server.identity.refusals import (
    FieldRefused,
    PairingRefused,
    RequestIdReused,
    TooManyGuesses,
    Unknown,
)
from server.rpc.peer import network_of
from server.shards.pairing_book import PairingBook
from tests.unit.server.ports import SHOP, Switch

HERE = "127.0.0.1"
TILL, PIXEL = "agent/shop/till", "phone/ann/pixel"
MINUTE_US = 60_000_000


def test_a_code_grants_its_device(switch: Switch) -> None:
    """As often as it is shown while it lasts; whether it was used is seen elsewhere."""
    accounts = (make_account(1, 1), make_account(1, 2))
    code, expire_us = switch.desk.hand_out(switch.request_id(), PIXEL, accounts)
    for text in (code, code.lower().replace("-", "")):
        grant = switch.desk.take_in(text, HERE)
        assert (grant.device, grant.accounts, grant.expire_us) == (PIXEL, accounts, expire_us)


def test_a_lost_answer_can_be_asked_for_again(switch: Switch, tmp_path: Path) -> None:
    """The same request_id gives the same code and end, also after a restart."""
    request_id = switch.request_id()
    first = switch.desk.hand_out(request_id, TILL)
    switch.clock.ahead_us = MINUTE_US
    assert switch.desk.hand_out(request_id, TILL) == first
    switch.directory.close()
    again = Switch(tmp_path)
    assert again.desk.hand_out(request_id, TILL) == first
    again.directory.close()


def test_another_device_under_the_same_request_id(switch: Switch) -> None:
    """Is refused, also if only the accounts differ."""
    request_id = switch.request_id()
    switch.desk.hand_out(request_id, PIXEL, (1,))
    for device, accounts in ((PIXEL, (2,)), (TILL, (1,)), (PIXEL, ())):
        with pytest.raises(RequestIdReused):
            switch.desk.hand_out(request_id, device, accounts)


def test_different_requests_get_different_codes(switch: Switch) -> None:
    """Also for the same device."""
    codes = {switch.desk.hand_out(switch.request_id(), TILL)[0] for _ in range(50)}
    assert len(codes) == 50


def test_codes_follow_from_a_secret(switch: Switch, tmp_path: Path) -> None:
    """Another switch gives another code for the same request."""
    request_id = switch.request_id()
    other = Switch(tmp_path / "other")
    other.merchants.add(SHOP)
    assert other.desk.hand_out(request_id, TILL) != switch.desk.hand_out(request_id, TILL)
    other.directory.close()


def test_the_code_is_nowhere_on_disk(switch: Switch, tmp_path: Path) -> None:
    """Neither as text nor as bytes: only its hash is kept."""
    code, _ = switch.desk.hand_out(switch.request_id(), TILL)
    switch.directory.close()
    everything = b"".join(path.read_bytes() for path in tmp_path.glob("directory.db*"))
    assert TILL.encode() in everything
    for secret in (code.encode(), code.replace("-", "").encode(), parse_code(code)[4:]):
        assert secret not in everything


def test_a_merchant_must_exist(switch: Switch) -> None:
    """A terminal of nobody is not paired."""
    with pytest.raises(Unknown):
        switch.desk.hand_out(switch.request_id(), "agent/nobody/till")


def test_a_wallet_has_so_many_accounts(switch: Switch) -> None:
    """And no more."""
    accounts = tuple(range(1, MAX_ACCOUNTS + 1))
    switch.desk.hand_out(switch.request_id(), PIXEL, accounts)
    with pytest.raises(FieldRefused):
        switch.desk.hand_out(switch.request_id(), PIXEL, (*accounts, 99))


@pytest.mark.parametrize("tries", range(TRIES + 1))
def test_wrong_tries_end_a_code(switch: Switch, tries: int) -> None:
    """Four leave it good, five do not; other codes are untouched."""
    code, _ = switch.desk.hand_out(switch.request_id(), TILL)
    other, _ = switch.desk.hand_out(switch.request_id(), PIXEL)
    raw = parse_code(code)
    for number in range(tries):
        with pytest.raises(PairingRefused):
            switch.desk.take_in(format_code(raw[:15] + bytes([raw[15] ^ number + 1])), HERE)
    if tries < TRIES:
        assert switch.desk.take_in(code, HERE).device == TILL
    else:
        with pytest.raises(PairingRefused):
            switch.desk.take_in(code, HERE)
    assert switch.desk.take_in(other, HERE).device == PIXEL


def test_a_code_ends(switch: Switch) -> None:
    """After ten minutes."""
    code, expire_us = switch.desk.hand_out(switch.request_id(), TILL)
    assert 9 * MINUTE_US < expire_us - switch.clock() <= 10 * MINUTE_US
    switch.clock.ahead_us = 10 * MINUTE_US
    with pytest.raises(PairingRefused):
        switch.desk.take_in(code, HERE)


def test_revoking_the_device_ends_its_codes(switch: Switch) -> None:
    """A code that was made before may be in the wrong hands too."""
    switch.operators.add("joe", switch.folder / "joe", "x:1")
    code, _ = switch.desk.hand_out(switch.request_id(), "operator/joe")
    switch.fleet.revoke("operator/joe", even_the_last=True)
    with pytest.raises(PairingRefused):
        switch.desk.take_in(code, HERE)


def test_guesses_are_limited_by_address(switch: Switch) -> None:
    """Then even a right code waits there; elsewhere it is taken. After a minute it goes on."""
    code, _ = switch.desk.hand_out(switch.request_id(), TILL)
    for _ in range(GUESSES_A_MINUTE):
        with pytest.raises(PairingRefused):
            switch.desk.take_in(format_code(os.urandom(16)), HERE)
    for text in (code, "nonsense"):
        with pytest.raises(TooManyGuesses):
            switch.desk.take_in(text, HERE)
    assert switch.desk.take_in(code, "192.0.2.1").device == TILL
    switch.clock.ahead_us = MINUTE_US
    assert switch.desk.take_in(code, HERE).device == TILL


def test_a_flood_of_wrong_codes_closes_pairing_for_nobody_else(switch: Switch) -> None:
    """From thousands of addresses, in bounded memory."""
    code, _ = switch.desk.hand_out(switch.request_id(), TILL)
    for number in range(200):
        with pytest.raises(PairingRefused):
            switch.desk.take_in("nonsense", f"10.0.0.{number}")
    assert switch.desk.take_in(code, HERE).device == TILL
    limit = GuessLimit(switch.clock, addresses=3)
    for number in range(100):
        limit.count(f"10.0.0.{number}")
    assert len(limit._times._entries) == 3


def test_a_wrong_try_is_as_much_work_for_a_code_that_there_is_not(switch: Switch) -> None:
    """One row is written, durably, whatever the guess begins with."""
    code, _ = switch.desk.hand_out(switch.request_id(), TILL)
    known = parse_code(code)
    connection = switch.directory.file._connection
    for guess in (known[:15] + bytes([known[15] ^ 1]), os.urandom(16)):
        before = connection.total_changes()
        with pytest.raises(PairingRefused):
            switch.desk.take_in(format_code(guess), HERE)
        assert connection.total_changes() - before == 1
    [grant] = PairingBook(switch.directory.file).with_handle(known[:4])
    assert grant.wrong_tries == 1


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("ipv4:192.0.2.7:4711", "192.0.2.7"),
        ("ipv6:[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:ffff::1%5D:80", "2001:db8:1:2::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:80", "192.0.2.7"),
        ("ipv6:[fe80::1%25eth0]:80", "fe80::/64"),
        ("unix:/tmp/socket", "unix"),
        ("", "unknown"),
    ],
)
def test_what_counts_as_one_address(peer: str, network: str) -> None:
    """A host with a whole network of IPv6 is one."""
    assert network_of(peer) == network


def test_a_clock_that_is_set_back_locks_nobody_out(switch: Switch) -> None:
    """Guesses from the future do not count."""
    code, _ = switch.desk.hand_out(switch.request_id(), TILL)
    for _ in range(GUESSES_A_MINUTE):
        with pytest.raises(PairingRefused):
            switch.desk.take_in("nonsense", HERE)
    switch.clock.ahead_us = -5 * MINUTE_US
    assert switch.desk.take_in(code, HERE).device == TILL
