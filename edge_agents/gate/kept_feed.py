"""The feeds of a gate: the one that it is told to use, and copies of it and of the one before.

A gate must let out the passengers who are inside, whatever became of its feed meanwhile. So it
keeps a copy of the last feed that was good, and runs on it when the present one cannot be used; and
a copy of the feed before, by which it prices rides that began before the present one was taken up:
that is the fare that was published when the passenger came in.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agents.events import Events
from edge_agents.fares.feed import Feed
from edge_agents.fares.tariff import Tariff, read_tariff
from kessai.complaint import Complaint
from kessai.durable_file import write_durably

_SECOND_US = 1_000_000
PRESENT, FORMER = "feed-present.zip", "feed-former.zip"

# Reads the tariff of a feed for a gate; Complaint if it is none for it.
Reader = Callable[[Feed], Tariff]


@dataclass(frozen=True, slots=True)
class Tariffs:
    """The tariff in force since `since_us`, microseconds since 1970, and the one before, if any.

    `since_us` is 0 if it is the gate's first.
    """

    present: Tariff
    former: Tariff | None = None
    since_us: int = 0

    def for_ride(self, entry_us: int) -> list[Tariff]:
        """The tariffs that a ride may be priced by, the one of the time of its entry first."""
        if self.former is None or self.former.currency != self.present.currency:
            return [self.present]
        both = [self.present, self.former]
        # Admissions have whole seconds: one of the second of the change is of the present feed.
        since_us = self.since_us // _SECOND_US * _SECOND_US
        return both[::-1] if entry_us < since_us else both


def reader(media: frozenset[str], check: Callable[[Feed, Tariff], None]) -> Reader:
    """Make what reads a tariff with the media sold, and checks that the gate can use it."""

    def read(feed: Feed) -> Tariff:
        tariff = read_tariff(feed, media)
        check(feed, tariff)
        return tariff

    return read


def take_up(path: Path, folder: Path, read: Reader, now_us: int, events: Events) -> Tariffs:
    """Read the feed at a path, and keep it in the gate's folder; or go on with the one kept there.

    Complaint if the feed cannot be used and none was kept. A copy that cannot be written is told as
    an event and stops nothing.
    """
    present, former = folder / PRESENT, folder / FORMER
    try:
        feed = Feed(path)
        tariff = read(feed)
    except Complaint as why:
        kept = _read_kept(present, read)
        if kept is None:
            raise
        events.emit("feed_refused", why=str(why))
        return Tariffs(kept, _read_kept(former, read), _since_us(present))
    try:
        _keep(feed, present, former, now_us)
    except (OSError, Complaint) as error:
        events.emit("feed_not_kept", why=str(error))
        return Tariffs(tariff)
    return Tariffs(tariff, _read_kept(former, read), _since_us(present))


def _keep(feed: Feed, present: Path, former: Path, now_us: int) -> None:
    """Copy a feed that is another than the one kept, which then becomes the former one."""
    tables = feed.tables()
    is_first = not present.exists()
    if not is_first and _read_tables(present) == tables:
        return
    fresh = io.BytesIO()
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in tables.items():
            archive.writestr(f"{name}.txt", raw)
        archive.comment = str(0 if is_first else now_us).encode()
    if not is_first:  # a copy, so that a crash before the next line leaves the present feed
        write_durably(former, present.read_bytes())
    write_durably(present, fresh.getvalue())


def _read_tables(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".txt"): archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return {}


def _read_kept(path: Path, read: Reader) -> Tariff | None:
    try:
        return read(Feed(path)) if path.exists() else None
    except Complaint:
        return None  # damaged; or of before the gate was put where it stands now


def _since_us(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return int(archive.comment) if archive.comment.isdigit() else 0
