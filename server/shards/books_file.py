"""books.json: where the shards of a data folder are, how slots were spread at first, and the plan.

Which shard keeps a slot now the shards themselves say (`routes.py`); what stands here of the slots
never changes. Made by `server/data_folder.py`, added to by `server/switch/more_shards.py` and
`server/switch/rebalance.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kessai.complaint import Complaint
from kessai.durable_file import write_durably
from kessai.json_file import read_json
from server.shards.address import ShardAddress, addresses
from server.shards.placement import SlotMap

_BOOKS_FILE = "books.json"


@dataclass(frozen=True, slots=True)
class Books:
    """The id that all shards of these books carry, the address of each, and who kept which slot.

    `slots` is how it was at first, before any slot moved. `plan` is how it is to become, while
    slots are being moved. `added` gives, by request id in hex, the shards that were added.
    `for_tests` says that nobody's money is in them, as they were made so. An address on PostgreSQL
    may hold a password: it is never shown.
    """

    id: str
    urls: tuple[str, ...] = field(repr=False)
    slots: SlotMap
    plan: SlotMap | None = None
    added: Mapping[str, int] = field(default_factory=dict)
    for_tests: bool = False

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self.urls)

    def addresses(self, folder: Path) -> list[ShardAddress]:
        """Give the address of each shard; Complaint if one cannot be read."""
        return addresses(self.urls, folder, self.id)


def read_books(folder: Path) -> Books:
    """Tell where the accounts of a data folder are; Complaint if that cannot be read."""
    path = folder / _BOOKS_FILE
    try:
        values = read_json(path)
        name = values["id"]
        plan = values.get("plan")
        urls = tuple(values["urls"])
        if not all(isinstance(text, str) for text in (name, *urls)):
            raise ValueError("an id or address is no text")
        books = Books(
            name,
            urls,
            SlotMap.from_ranges(values["slots"]),
            SlotMap.from_ranges(plan) if plan else None,
            dict(values.get("added", {})),
            values.get("for_tests", False) is True,
        )
        for slots in (books.slots, books.plan or books.slots):
            if set(slots.shard_of_slot) - set(range(books.shards)):
                raise ValueError("it names shards that there are not")
        return books
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Complaint(
            f"{path} does not say where the accounts are ({error}). No money was moved. "
            "Bring it back from a backup."
        ) from None


def write_books(folder: Path, books: Books) -> None:
    """Write it down durably; only its owner can read it."""
    values = {
        "id": books.id,
        "urls": books.urls,
        "slots": books.slots.to_ranges(),
        "plan": books.plan.to_ranges() if books.plan else None,
        "added": dict(books.added),
        "for_tests": books.for_tests,
    }
    write_durably(folder / _BOOKS_FILE, json.dumps(values).encode(), private=True)
