"""How much cash an operator may pay out in a day, by currency; counted over restarts.

A withdrawal is counted before it is booked, and no longer once it is declined. One whose outcome is
unknown stays counted; repeating it tells the outcome and counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from kessai.money import Money
from server.domain.directory import CashOut
from server.identity.certificates import DAY_US
from server.identity.refusals import DailyLimitReached, RequestIdReused
from server.shards.cash_book import CashBook
from server.shards.directory_file import DirectoryFile


class CashLimit:
    """Counts withdrawals. Methods may run in any thread.

    `limit_of` gives the most of a currency in any 24 hours, in minor units.
    """

    def __init__(
        self, file: DirectoryFile, limit_of: Callable[[str], int], now_us: Callable[[], int]
    ) -> None:
        self._file, self._book = file, CashBook(file)
        self._limit_of, self._now_us = limit_of, now_us

    def count(self, operator: str, request_id: bytes, account: int, amount: Money) -> None:
        """Count a withdrawal, durably; a repeated request counts once.

        DailyLimitReached; RequestIdReused if the id was counted for something else.
        """
        now_us = self._now_us()
        cash = CashOut(request_id, operator, account, amount.currency, amount.minor, now_us)
        with self._file.transaction():
            counted = self._book.find(request_id)
            if counted is not None:
                if counted._replace(count_us=now_us) != cash:
                    raise RequestIdReused
                return
            limit = self._limit_of(amount.currency)
            before = self._book.total(operator, amount.currency, now_us - DAY_US)
            if before + amount.minor > limit:
                left = Money(max(limit - before, 0), amount.currency)
                raise DailyLimitReached(
                    f"this operator may pay out {left} more in this day, of "
                    f"{Money(limit, amount.currency)} (withdrawal_limit_per_operator_and_day). "
                    "No money was moved; another operator may do it"
                )
            self._book.add(cash)

    def forget(self, request_id: bytes) -> None:
        """Count a withdrawal no longer, because it was declined for ever."""
        self._book.remove(request_id)
