"""What was lost off line, and who gets no off-line limit for it.

Written by `server/switch/offline_losses.py`, which judges. A loss by the fault of a wallet's phone
counts for 30 days, or until an operator forgives it; while one counts, credentials of the wallet's
phones carry no off-line limit. On line the wallet pays as ever.
"""

from __future__ import annotations

from collections.abc import Callable

from kessai.identity_path import is_name
from server.domain.directory import OfflineLoss
from server.identity.refusals import FieldRefused
from server.shards.loss_book import LossBook

COUNTS_FOR_US = 30 * 24 * 3600 * 1_000_000


class Losses:
    """The losses of a directory. Methods may run in any thread."""

    def __init__(self, book: LossBook, now_us: Callable[[], int]) -> None:
        self._book, self._now_us = book, now_us

    def note(self, loss: OfflineLoss) -> bool:
        """Keep a loss; whether it is a new one."""
        return self._book.add(loss)

    def noted_us(self, loss: OfflineLoss) -> int:
        """When a loss was noted first, microseconds since 1970."""
        return self._book.noted_us(loss.terminal, loss.request_id)

    def is_barred(self, wallet_id: str) -> bool:
        """Whether a wallet's phones get no off-line limit now."""
        return self._book.count(wallet_id, self._now_us() - COUNTS_FOR_US) > 0

    def newest(self, limit: int) -> list[OfflineLoss]:
        """The newest losses, newest first."""
        return self._book.newest(limit)

    def forgive(self, wallet_id: str) -> int:
        """Let a wallet's losses count no more; how many there were. FieldRefused."""
        if not is_name(wallet_id):
            raise FieldRefused("wallet_id", 'not 1 to 40 of a-z, 0-9 and "-"')
        return self._book.forgive(wallet_id, self._now_us())
