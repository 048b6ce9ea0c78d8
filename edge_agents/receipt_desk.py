"""The receipt desk: brings every settled payment's receipt onto paper, sooner or later.

Without paper, with an open cover or the printer unplugged, the payment stands and its receipt waits
in the journal; it is printed when the printer is ready again, also after a restart. A crash between
printing and noting it prints the receipt twice rather than never.
"""

from __future__ import annotations

import asyncio

from edge_agents.device_care import wait_until_back
from edge_agents.devices.printer import NotPrinted, Printer
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.display_board import DisplayBoard
from edge_agents.events import Events
from edge_agents.journal import Entry, Journal
from edge_agents.loops import wait_at_most
from edge_agents.receipt_paper import lay_out_receipt
from edge_agents.receipts import encode_qr
from kessai.envelope import read_verified
from kessai.v1.payment_pb2 import Receipt

RETRY_S = 2.0

_FOLLOWS = "Receipt follows:"
_NO_PRINTER = (_FOLLOWS, "printer unplugged")


class ReceiptDesk:
    """Prints what the journal says is not printed yet, and copies."""

    def __init__(
        self,
        journal: Journal,
        printer: Printer,
        board: DisplayBoard,
        shop: str,
        events: Events,
    ) -> None:
        self._journal, self._printer, self._board = journal, printer, board
        self._shop, self._events = shop, events
        self._copy: Entry | None = None
        self._wake = asyncio.Event()
        self._wake.set()
        self._told: set[bytes] = set()

    def wake(self) -> None:
        """Look into the journal now: a payment was settled."""
        self._wake.set()

    def reprint(self) -> bool:
        """Print what waits, else a copy of the newest receipt; False if there is none at all."""
        if not self._journal.unprinted():
            self._copy = self._journal.newest_with_receipt()
            if self._copy is None:
                return False
        self._wake.set()
        return True

    async def run(self) -> None:
        """Print, for ever; looks again after a while if something waits."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self._print_all():
                await wait_at_most(self._wake, RETRY_S)
                self._wake.set()

    async def _print_all(self) -> bool:
        try:
            for entry in self._journal.unprinted():
                await self._print(entry, copy=False)
                self._journal.mark_printed(entry.pending.request_id)
                self._events.emit("receipt_printed", entry.pending, copy=False)
            if self._copy is not None:
                await self._print(self._copy, copy=True)
                self._events.emit("receipt_printed", self._copy.pending, copy=True)
                self._copy = None
        except NotPrinted as why:
            self._tell_waiting(str(why))
            self._board.set_notice(self._printer.name, (_FOLLOWS, f"printer {why.trouble}"))
            return False
        except DeviceLost as lost:
            self._board.set_notice(self._printer.name, _NO_PRINTER)
            await wait_until_back(self._printer, lost, self._events)
            self._wake.set()
            return False
        self._board.set_notice(self._printer.name, None)
        return True

    async def _print(self, entry: Entry, copy: bool) -> None:
        if entry.receipt is None:
            return
        receipt = read_verified(entry.receipt, Receipt)
        paper = lay_out_receipt(self._shop, entry.pending, receipt, encode_qr(entry.receipt), copy)
        await self._printer.print(paper)

    def _tell_waiting(self, why: str) -> None:
        """Tell once for each receipt that it waits, and for what."""
        for entry in self._journal.unprinted():
            if entry.pending.request_id not in self._told:
                self._told.add(entry.pending.request_id)
                self._events.emit("receipt_waits", entry.pending, why=why)
