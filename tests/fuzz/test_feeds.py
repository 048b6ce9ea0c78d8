"""GTFS feeds of carriers: a folder or a zip file of tables, which a gate reads when it starts."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.config import load_config
from edge_agents.fares.journey import Journey
from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip
from edge_agents.gate.config import SAMPLE_FEED, GateConfig
from edge_agents.gate.rules import read_rules
from tests.fuzz.mangling import bytes_like, examples, read_or_complain
from tests.unit.edge_agents.fares.feeds import LINE
from tests.unit.edge_agents.fares.sample_feeds import FEEDS, JOURNEYS

AT_US = 1_780_000_000_000_000
LEGS = {table.stem: table.read_text(encoding="utf-8") for table in SAMPLE_FEED.glob("*.txt")}
ZONES = LINE | {
    "fare_attributes": "fare_id,price,currency_type\nshort,1.80,EUR\nlong,3.20,EUR\n",
    "fare_rules": "fare_id,route_id,origin_id,destination_id\nshort,,1,2\nlong,,1,3\n",
}


def serves(feed: Path, station: str) -> None:
    """A gate at a station starts and prices every ride to it, or complains once."""
    flags = {"feed": feed, "station": station, "direction": "exit"}
    rules = read_or_complain(lambda: read_rules(load_config(GateConfig, None, flags)))
    if rules is None:
        return
    for origin in rules.tariff.stations:
        for rider in ("", "adult", "giraffe"):
            ride = Ride(origin, station, AT_US, AT_US + 1)
            try:
                alone = rules.tariff.price(ride, rider, Journey())
                after = rules.tariff.price(ride, rider, alone.journey)
            except NoSuchTrip:
                continue
            assert min(alone.due_minor, after.due_minor) >= 0


def write(folder: Path, tables: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for table, raw in tables.items():
        (folder / f"{table}.txt").write_bytes(raw)


@pytest.mark.parametrize(
    ("tables", "station"),
    [
        (LEGS, "airport"),
        (ZONES, "d"),
        (FEEDS["times"], "d"),
        (FEEDS["joins"], "f"),
        (JOURNEYS["two limits"], "f"),
    ],
    ids=["legs", "zones", "times", "joins", "transfers"],
)
@examples(2)
@given(data=st.data())
def test_tables(tmp_path: Path, tables: dict[str, str], station: str, data: st.DataObject) -> None:
    """One or two tables of a feed are mangled."""
    feed = {table: text.encode() for table, text in tables.items()}
    for _ in range(data.draw(st.integers(1, 2))):
        table = data.draw(st.sampled_from(sorted(feed)))
        feed[table] = data.draw(bytes_like(feed[table]))
    write(tmp_path / "feed", feed)
    serves(tmp_path / "feed", station)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@examples(1)
@given(data=st.data())
def test_zip_files(tmp_path: Path, packing: int, data: st.DataObject) -> None:
    """A zip file is mangled; what a computer virus or a torn download makes of it."""
    packed = tmp_path / "feed.zip"
    with zipfile.ZipFile(packed, "w", packing) as archive:
        for table, text in sorted(LEGS.items()):
            archive.writestr(f"{table}.txt", text)
    packed.write_bytes(data.draw(bytes_like(packed.read_bytes())))
    serves(packed, "airport")
