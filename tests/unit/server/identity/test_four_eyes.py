"""Four eyes: one operator's key alone gives no power over money."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kessai.account_number import format_account, make_account
from kessai.request_id import format_request_id
from kessai.v1.account_pb2 import DepositCashRequest, UnfreezeAccountRequest, WithdrawCashRequest
from kessai.v1.device_pb2 import CreatePairingCodeRequest, UpdateMerchantRequest
from kessai.v1.operator_pb2 import AddOperatorRequest
from kessai.v1.suspense_pb2 import ReleaseSuspenseRequest
from server.identity.callers import Caller
from server.identity.four_eyes import LIFETIME_US, MAX_WAITING, FourEyes, Rules
from server.identity.refusals import (
    ApprovalNeeded,
    DailyLimitReached,
    FieldRefused,
    NotPermitted,
    Unknown,
)
from tests.unit.server.ports import DAY_US, Switch

PAIR = "DeviceService/CreatePairingCode"
WITHDRAW, DEPOSIT = "AccountService/WithdrawCash", "AccountService/DepositCash"


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch whose proposals are on, with two operators."""
    made = Switch(tmp_path)
    made.four_eyes = FourEyes(made.directory.file, Rules(True, lambda _: 1000), made.clock)
    yield made
    made.directory.close()


def operator(switch: Switch, name: str) -> Caller:
    """An operator with a certificate."""
    made = switch.operators.add(name, switch.folder / f"{name}{switch.clock()}", "host:1")
    return switch.caller(f"operator/{name}", made.certificate.serial_number)


def pairing(switch: Switch, wallet: str = "ann", proposal: str = "") -> CreatePairingCodeRequest:
    """Ask for a phone's code."""
    request = CreatePairingCodeRequest(
        request_id=format_request_id(switch.request_id()), proposal_id=proposal
    )
    request.phone.wallet_id, request.phone.device_id = wallet, "pixel"
    return request


def proposed(switch: Switch, caller: Caller, method: str, request: Any) -> str:  # noqa: ANN401
    """Have it become a proposal, whose id comes back."""
    with pytest.raises(ApprovalNeeded, match="kessai approve") as refused:
        switch.four_eyes.require(caller, method, request)
    found = re.search(r"kessai approve (\S+)\.", str(refused.value))
    assert found is not None
    return found[1]


def test_a_refusal_says_the_sum_and_the_limit(switch: Switch) -> None:
    """What was moved alone in a day, and from which amount on two are needed."""
    ann = operator(switch, "ann")
    switch.four_eyes.require(ann, WITHDRAW, cash(switch, WithdrawCashRequest, 600))
    with pytest.raises(ApprovalNeeded, match=r"moved 6\.00 EUR .* it would be 10\.00 EUR or more"):
        switch.four_eyes.require(ann, WITHDRAW, cash(switch, WithdrawCashRequest, 400))


def test_one_key_alone_pairs_no_phone(switch: Switch) -> None:
    """Not by asking again, nor by confirming it himself, nor with an id that he made up."""
    thief = operator(switch, "eve")
    proposal = proposed(switch, thief, PAIR, pairing(switch))
    with pytest.raises(NotPermitted, match="his own"):
        switch.four_eyes.approve(thief, proposal)
    with pytest.raises(ApprovalNeeded):
        switch.four_eyes.require(thief, PAIR, pairing(switch, proposal=proposal))
    made_up = format_request_id(switch.request_id())
    with pytest.raises(FieldRefused):
        switch.four_eyes.require(thief, PAIR, pairing(switch, proposal=made_up))
    with pytest.raises(Unknown):
        switch.four_eyes.approve(operator(switch, "ann"), made_up)


def test_a_second_operator_confirms_it_once(switch: Switch) -> None:
    """For this content, this operator and one request, which may be repeated."""
    joe, ann = operator(switch, "joe"), operator(switch, "ann")
    proposal = proposed(switch, joe, PAIR, pairing(switch))
    [waiting] = switch.four_eyes.waiting()
    assert (waiting.operator, waiting.content) == (joe.device, "phone/ann/pixel, accounts: none")
    for _ in range(2):
        assert switch.four_eyes.approve(ann, proposal).approver == ann.device
    with pytest.raises(FieldRefused, match="something else"):
        switch.four_eyes.require(joe, PAIR, pairing(switch, "bob", proposal))
    with pytest.raises(FieldRefused, match="no such proposal of yours"):
        switch.four_eyes.require(ann, PAIR, pairing(switch, proposal=proposal))
    request = pairing(switch, proposal=proposal)
    for _ in range(2):
        switch.four_eyes.require(joe, PAIR, request)
    with pytest.raises(FieldRefused, match="used up"):
        switch.four_eyes.require(joe, PAIR, pairing(switch, proposal=proposal))
    assert switch.four_eyes.waiting() == []


def test_a_proposal_ends_after_an_hour(switch: Switch) -> None:
    """Confirmed or not; but what was used stays answered."""
    joe, ann = operator(switch, "joe"), operator(switch, "ann")
    first = proposed(switch, joe, PAIR, pairing(switch))
    used = proposed(switch, joe, PAIR, pairing(switch))
    late = proposed(switch, joe, PAIR, pairing(switch))
    switch.four_eyes.approve(ann, first)
    switch.four_eyes.approve(ann, used)
    request = pairing(switch, proposal=used)
    switch.four_eyes.require(joe, PAIR, request)
    switch.clock.ahead_us = LIFETIME_US
    with pytest.raises(FieldRefused, match="hour is over"):
        switch.four_eyes.require(joe, PAIR, pairing(switch, proposal=first))
    with pytest.raises(Unknown):
        switch.four_eyes.approve(ann, late)
    switch.four_eyes.require(joe, PAIR, request)


def test_the_word_of_an_operator_who_was_revoked_is_void(switch: Switch) -> None:
    """Until another one confirms it."""
    joe, ann, bob = (operator(switch, name) for name in ("joe", "ann", "bob"))
    proposal = proposed(switch, joe, PAIR, pairing(switch))
    switch.four_eyes.approve(ann, proposal)
    switch.fleet.revoke(ann.device)
    with pytest.raises(ApprovalNeeded, match="revoked since"):
        switch.four_eyes.require(joe, PAIR, pairing(switch, proposal=proposal))
    switch.four_eyes.approve(bob, proposal)
    switch.four_eyes.require(joe, PAIR, pairing(switch, proposal=proposal))


def test_what_needs_a_second_operator(switch: Switch) -> None:
    """Phones, operators, whose money it is, cash from an amount on; nothing if it is off."""
    joe = operator(switch, "joe")
    terminal = CreatePairingCodeRequest(request_id=format_request_id(switch.request_id()))
    terminal.terminal.merchant_id = "shop"
    needing: list[tuple[str, Any]] = [(PAIR, pairing(switch))]
    free: list[tuple[str, Any]] = [(PAIR, terminal)]
    for method, kind in (
        (WITHDRAW, WithdrawCashRequest), (DEPOSIT, DepositCashRequest),
        ("SuspenseService/ReleaseSuspense", ReleaseSuspenseRequest),
    ):  # fmt: skip
        for minor, lot in ((999, free), (1000, needing), (2**63 - 1, needing)):
            lot.append((method, cash(switch, kind, minor)))
    added = AddOperatorRequest(request_id=format_request_id(switch.request_id()), name="x")
    needing.append(("OperatorService/AddOperator", added))
    freed = UnfreezeAccountRequest(request_id=added.request_id[:-1] + "1", account_number="1" * 14)
    needing.append(("AccountService/UnfreezeAccount", freed))
    paid = UpdateMerchantRequest(request_id=added.request_id[:-1] + "2", merchant_id="shop")
    paid.account_number = freed.account_number
    needing.append(("DeviceService/UpdateMerchant", paid))
    named = UpdateMerchantRequest(request_id=paid.request_id, display_name="Shop")
    free.append(("DeviceService/UpdateMerchant", named))
    for method, request in needing:
        proposed(switch, joe, method, request)
    for number, (method, request) in enumerate(free):
        switch.four_eyes.require(operator(switch, f"joe-{number}"), method, request)
    off = FourEyes(switch.directory.file, Rules(False, lambda _: 0), switch.clock)
    for method, request in needing:
        off.require(joe, method, request)


def cash(switch: Switch, kind: type[Any], minor: int, proposal: str = "") -> Any:  # noqa: ANN401
    """Ask for cash in or out."""
    request = kind(
        request_id=format_request_id(switch.request_id()),
        account_number=format_account(make_account(1, 42)),
        proposal_id=proposal,
    )
    request.amount.amount_minor, request.amount.currency_code = minor, "EUR"
    return request


def test_many_small_amounts_need_a_second_operator_too(switch: Switch) -> None:
    """A stolen key paid in as much as it liked, in pieces of a cent less than the amount."""
    thief, ann = operator(switch, "eve"), operator(switch, "ann")
    first = cash(switch, DepositCashRequest, 600)
    for _ in range(2):
        switch.four_eyes.require(thief, DEPOSIT, first)
    switch.four_eyes.require(thief, WITHDRAW, cash(switch, WithdrawCashRequest, 399))
    more = cash(switch, DepositCashRequest, 1)
    proposal = proposed(switch, thief, DEPOSIT, more)
    first.amount.amount_minor = 1
    proposed(switch, thief, DEPOSIT, first)
    switch.four_eyes.require(ann, DEPOSIT, cash(switch, DepositCashRequest, 999))
    switch.four_eyes.approve(ann, proposal)
    switch.four_eyes.require(thief, DEPOSIT, cash(switch, DepositCashRequest, 1, proposal))
    switch.clock.ahead_us = DAY_US
    switch.four_eyes.require(thief, DEPOSIT, cash(switch, DepositCashRequest, 999))


def test_proposals_are_bounded(switch: Switch) -> None:
    """So many of one operator wait; the same one again is no further one."""
    joe = operator(switch, "joe")
    for _ in range(MAX_WAITING):
        proposed(switch, joe, PAIR, pairing(switch))
    with pytest.raises(DailyLimitReached):
        switch.four_eyes.require(joe, PAIR, pairing(switch))
    proposed(switch, operator(switch, "ann"), PAIR, pairing(switch))
    switch.clock.ahead_us = LIFETIME_US
    proposed(switch, joe, PAIR, pairing(switch))
    assert switch.directory.file.rows("SELECT count(*) FROM proposal") == [(1,)]
