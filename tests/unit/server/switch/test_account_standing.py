"""Closing an account while money is promised to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kessai.account_number import format_account
from kessai.request_id import format_request_id
from kessai.v1.account_pb2 import CloseAccountRequest
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import ACCEPTED
from server.identity.refusals import InUse
from server.shards.account_names import AccountNames
from server.switch.account_standing import NamingTurn, Standings
from server.switch.busy_payees import BusyPayees
from server.switch.settle import Settle
from tests.unit.server.domain.commands import fresh_id, open_account
from tests.unit.server.shards.parts import verify_shards
from tests.unit.server.switch.counter import SHOP
from tests.unit.server.switch.test_held_payments import SHARDS, Desk, at_desk

OTHER = SHOP + 2


async def closed(desk: Desk, account: int) -> DeclineReason.ValueType:
    """Close an account as an operator does."""
    counter, shards = desk.counter, desk.shards
    settle, names = Settle(shards, counter.clock), counter.directory.file
    standings = Standings(
        shards,
        settle,
        BusyPayees(shards, settle),
        AccountNames(names, counter.clock),
        NamingTurn(shards),
        lambda account, until_us: None,
    )
    request_id = fresh_id(counter.clock())
    message = CloseAccountRequest(
        request_id=format_request_id(request_id), account_number=format_account(account)
    )
    return await standings.close(message, request_id, "joe")


async def test_an_account_that_a_hold_pays_is_not_closed(tmp_path: Path) -> None:
    """Its merchant is paid on another one by now, and its own shard does not show the hold.

    What is captured of it later would be nobody's.
    """
    async with at_desk(tmp_path) as desk:
        await desk.shards.submit(open_account(OTHER, "merchant/shop"))
        payment = await desk.hold()
        moved = replace(desk.counter.merchant, account=OTHER)
        desk.counter.directory.merchants.replace(moved)
        with pytest.raises(InUse, match="on hold"):
            await closed(desk, SHOP)
        await desk.void(payment)
        assert await closed(desk, SHOP) == ACCEPTED
    assert verify_shards(tmp_path, SHARDS).faults == []
