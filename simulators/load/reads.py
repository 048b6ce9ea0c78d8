"""Reading accounts over the wire: an account's balance, and pages of its statement, by an operator.

One read after another, so that what is measured is how long each takes. Used by `growth.py`.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import grpc.aio

from kessai.account_number import format_account
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import load_identity
from kessai.v1.account_pb2 import GetAccountRequest, ListEntriesRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from simulators.load.drive import CALL_LIMIT_S
from simulators.load.figures import percentile
from simulators.load.switch_process import SwitchProcess

if TYPE_CHECKING:
    from kessai.v1.account_pb2_grpc import AccountServiceAsyncStub

PAGE = 50

Answer = TypeVar("Answer")


@dataclass
class Latencies:
    """Milliseconds of each read: balances, the newest pages, and a page amid the long history."""

    balance: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)
    amid: list[float] = field(default_factory=list)

    @property
    def long_ms(self) -> float:
        """The median of the slower kind of pages of the long history."""
        return max(statistics.median(self.long), statistics.median(self.amid))

    @property
    def statement_ratio(self) -> float:
        """How much longer such a page takes than one of the short history."""
        return self.long_ms / statistics.median(self.short)

    @property
    def p99_ms(self) -> float:
        """99 of 100 reads of any kind are answered within this."""
        return percentile(sorted(self.balance + self.short + self.long + self.amid), 99)


class Statements:
    """Reads two accounts in turn."""

    def __init__(self, stub: AccountServiceAsyncStub, long: int, short: int) -> None:
        self._stub = stub
        self._balance = GetAccountRequest(account_number=format_account(short))
        self._short = ListEntriesRequest(account_number=format_account(short), page_size=PAGE)
        self._long = ListEntriesRequest(account_number=format_account(long), page_size=PAGE)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, data: Path, switch: SwitchProcess, long: int, short: int
    ) -> AsyncIterator[Statements]:
        """Open the operator's line of a data folder."""
        identity = replace(load_identity(data / "operator"), server_address=switch.running.address)
        async with open_channel(identity) as channel:
            yield cls(AccountServiceStub(channel), long, short)

    async def read_for(self, seconds: float) -> Latencies:
        """Read for some seconds."""
        return await self.read_while(asyncio.sleep(seconds))

    async def read_while(self, load: Coroutine[Any, Any, object]) -> Latencies:
        """Read as long as something else lasts, at least once."""
        loading = asyncio.create_task(load)
        newest = await _answer(self._stub.ListEntries(self._long, timeout=CALL_LIMIT_S))
        amid = ListEntriesRequest(
            account_number=self._long.account_number,
            page_size=PAGE,
            page_token=str(newest.entries[0].sequence // 2),
        )
        times = Latencies()
        lists = (
            (self._short, times.short), (self._long, times.long), (amid, times.amid),
        )  # fmt: skip
        while True:
            begin = perf_counter()
            await _answer(self._stub.GetAccount(self._balance, timeout=CALL_LIMIT_S))
            times.balance.append((perf_counter() - begin) * 1000)
            for request, own in lists:
                begin = perf_counter()
                await _answer(self._stub.ListEntries(request, timeout=CALL_LIMIT_S))
                own.append((perf_counter() - begin) * 1000)
            if loading.done():
                await loading
                return times


async def _answer(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise Complaint(
            f"a read was not answered: {error.code().name}, {error.details()}"
        ) from None
