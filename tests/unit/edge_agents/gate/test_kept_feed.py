"""The feeds that a gate keeps: taken up, changed, gone, damaged."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agents.config import load_config
from edge_agents.events import Events
from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip
from edge_agents.gate.config import SAMPLE_FEED, GateConfig
from edge_agents.gate.kept_feed import FORMER, PRESENT, Tariffs, take_up
from edge_agents.gate.rules import read_rules, tariff_reader
from kessai.complaint import Complaint
from kessai.v1.fare_pb2 import Admission

CHANGE_US = 1_790_000_000_500_000
TO_AIRPORT = Ride("harbour", "airport")


class Gate:
    """The folders of a gate at Airport."""

    def __init__(self, folder: Path) -> None:
        self.feed = shutil.copytree(SAMPLE_FEED, folder / "feed")
        self.kept = folder / "gate"
        self.kept.mkdir()
        self.told = io.StringIO()
        flags = {"feed": self.feed, "station": "airport", "direction": "exit"}
        self.config = load_config(GateConfig, None, flags)

    def start(self, at_us: int = CHANGE_US) -> Tariffs:
        events = Events(lambda: at_us, self.told)
        return take_up(self.feed, self.kept, tariff_reader(self.config), at_us, events)

    def block_writing(self, name: str) -> Callable[[], None]:
        """Have no file of a name be written, as on a full disk; gives what ends that."""
        in_the_way = self.kept / f".{name}.{os.getpid()}"
        in_the_way.mkdir()
        return in_the_way.rmdir

    def change_price(self, old: str, new: str) -> None:
        path = self.feed / "fare_products.txt"
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def prices(tariffs: Tariffs, entry_us: int) -> list[int]:
    return [tariff.fare(TO_AIRPORT).minor for tariff in tariffs.for_ride(entry_us)]


def test_the_first_feed_is_for_all_rides(gate: Gate) -> None:
    tariffs = gate.start()
    assert (prices(tariffs, 0), tariffs.since_us) == ([320], 0)
    assert prices(gate.start(CHANGE_US + 1), 0) == [320]
    assert not (gate.kept / FORMER).exists()


def test_rides_of_before_a_change_cost_what_they_did(gate: Gate) -> None:
    """Admissions tell whole seconds: that of the change is of the present feed."""
    gate.start()
    gate.change_price("3.20", "4.40")
    tariffs = gate.start()
    second_us = CHANGE_US // 1_000_000 * 1_000_000
    assert prices(tariffs, second_us - 1_000_000) == [320, 440]
    assert prices(tariffs, second_us) == [440, 320]
    assert prices(gate.start(CHANGE_US + 10**9), second_us - 1_000_000) == [320, 440]


@pytest.mark.parametrize("damage", ["gone", "garbage", "without the station"])
def test_a_feed_that_cannot_be_used_any_more(gate: Gate, damage: str) -> None:
    gate.start()
    if damage == "gone":
        shutil.rmtree(gate.feed)
    elif damage == "garbage":
        gate.change_price("fare_product_id", "\0")
    else:
        stops = gate.feed / "stops.txt"
        stops.write_text("\n".join(stops.read_text().splitlines()[:-1]))
    assert prices(gate.start(), 0) == [320]
    assert "feed_refused" in gate.told.getvalue()


def test_nothing_was_kept_yet_or_it_is_damaged(gate: Gate) -> None:
    gate.change_price("fare_product_id", "\0")
    with pytest.raises(Complaint, match="fare_product"):
        gate.start()
    (gate.kept / PRESENT).write_bytes(b"PK")
    with pytest.raises(Complaint, match="fare_product"):
        gate.start()


def test_a_copy_that_cannot_be_written_stops_nothing(gate: Gate) -> None:
    gate.block_writing(PRESENT)
    assert prices(gate.start(), 0) == [320]
    assert "feed_not_kept" in gate.told.getvalue()


def test_a_gate_that_was_cut_off_between_both_copies_has_the_present_one(gate: Gate) -> None:
    """It lost the feed of the passengers inside when the present copy was moved, not copied."""
    gate.start(CHANGE_US - 10_000_000)
    gate.change_price("3.20", "4.40")
    unblock = gate.block_writing(PRESENT)
    assert prices(gate.start(CHANGE_US - 5_000_000), 0) == [440]
    assert (gate.kept / FORMER).read_bytes() == (gate.kept / PRESENT).read_bytes()
    unblock()
    assert prices(gate.start(), CHANGE_US - 2_000_000) == [320, 440]


def test_a_station_that_only_the_other_feed_has(gate: Gate) -> None:
    """Whichever feed has the ride prices it; the names of stations come from both."""
    gate.start()
    for table in ("stops", "stop_times", "stop_areas"):
        path = gate.feed / f"{table}.txt"
        kept = [line for line in path.read_text().splitlines() if "harbour" not in line]
        path.write_text("\n".join(kept) + "\n")
    tariffs = gate.start()
    with pytest.raises(NoSuchTrip):
        tariffs.present.fare(TO_AIRPORT)
    rules = read_rules(gate.config, tariffs)
    assert rules.name_of("harbour") == "Harbour"
    for entry_us in (CHANGE_US - 10**9, CHANGE_US):
        admission = Admission(station_id="harbour", rider_category="adult")
        admission.entry_time.FromMicroseconds(entry_us)
        admission.expire_time.FromMicroseconds(CHANGE_US + 10**10)
        assert rules.charge(admission, CHANGE_US, CHANGE_US).fare.minor == 320
