"""The statements of payer and payee name a payment alike, also over two shards."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kessai.account_number import format_account
from kessai.v1.account_pb2 import EntryKind, ListEntriesRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from tests.unit.server.rpc.test_payment_servicer import till
from tests.unit.server.switch.counter import ANN, SHOP
from tests.unit.server.switch.in_process import LIMIT_S

PAYMENT = EntryKind.Value("ENTRY_KIND_PAYMENT")


async def test_statements_join(tmp_path: Path) -> None:
    """Ann and the shop are on different shards: the credit arrives under an id of its own."""
    async with till(tmp_path) as at, at.switch.line() as line:
        stub = AccountServiceStub(line)

        async def payments(account: int) -> list[str]:
            request = ListEntriesRequest(account_number=format_account(account))
            answer = await stub.ListEntries(request, timeout=LIMIT_S)
            return [entry.request_id for entry in answer.entries if entry.kind == PAYMENT]

        message = at.pay(100)
        await at.settle(message)
        async with asyncio.timeout(LIMIT_S):
            while not await payments(SHOP):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await payments(ANN) == await payments(SHOP) == [message.request_id]
