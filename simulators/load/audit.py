"""The audit after a bench: the books verify, and show every payment that was acknowledged.

Without it a fast figure may be that of a switch that lost money. Used by the benches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kessai.complaint import Complaint
from server import data_folder
from server.domain.command import ACCEPTED, CommandKind
from server.shards.store import Reader
from server.shards.verify import Report, verify
from simulators.load.payments import Checked


@dataclass(slots=True)
class Acknowledged:
    """What the switch answered: payments settled and their sum; and those it did not answer."""

    payments: int = 0
    minor: int = 0
    unknown: int = 0
    faults: int = 0
    first_fault: str = ""

    def add(self, checked: Checked) -> None:
        """Add a batch of checked receipts."""
        self.payments += checked.settled
        self.minor += checked.settled_minor
        self.faults += len(checked.faults)
        self.first_fault = self.first_fault or next(iter(checked.faults), "")

    def join(self, other: Acknowledged) -> None:
        """Add what was counted elsewhere on the same books."""
        self.payments += other.payments
        self.minor += other.minor
        self.unknown += other.unknown
        self.faults += other.faults
        self.first_fault = self.first_fault or other.first_fault


def audit(folder: Path, acknowledged: Acknowledged) -> Report:
    """Complaint if a receipt was bad, the books do not verify, or show another count or sum.

    A payment that was not answered may be settled or not: the books may show that many more.
    """
    if acknowledged.faults:
        raise Complaint(
            f"{acknowledged.faults} answers were not good receipts; the first: "
            f"{acknowledged.first_fault}. The figures do not count."
        )
    books = data_folder.read_books(folder)

    def open_readers() -> list[Reader]:
        return [address.open_reader() for address in books.addresses(folder)]

    report = verify(open_readers, books.slots)
    if report.faults:
        raise Complaint(
            f"the books do not verify after the load: {len(report.faults)} faults, the first: "
            f"{report.faults[0]}. The figures do not count."
        )
    amounts = [amount for reader in open_readers() for amount in _settled(reader)]
    more = len(amounts) - acknowledged.payments
    if not 0 <= more <= acknowledged.unknown or (not more and sum(amounts) != acknowledged.minor):
        raise Complaint(
            f"the books show {len(amounts)} payments over {sum(amounts)} minor units; acknowledged "
            f"were {acknowledged.payments} over {acknowledged.minor}, and {acknowledged.unknown} "
            "were not answered. The figures do not count."
        )
    return report


def _settled(reader: Reader) -> Iterator[int]:
    for row in reader.log():
        if (
            row.kind in (CommandKind.SETTLE_PAYMENT, CommandKind.SETTLE_FARE)
            and row.decline == ACCEPTED
        ):
            yield row.amount
    reader.close()
