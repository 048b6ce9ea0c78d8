"""Feeds that cannot be priced are one clear line; the project's own feed is good."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edge_agents.fares.tariff import NoSuchTrip, load_tariff
from edge_agents.gate.config import SAMPLE_FEED
from kessai.complaint import Complaint
from kessai.money import Money
from tests.unit.edge_agents.fares.feeds import AGENCY, write_feed

ATTRIBUTES = "fare_id,price,currency_type\n"


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({}, "no fare_attributes.txt"),
        ({"stops": "stop_id\n"}, "no stops.txt"),
        ({"fare_attributes": "fare_id,price\nf,1\n"}, "currency_type"),
        ({"fare_attributes": ATTRIBUTES + "f,1.005,EUR\n"}, "1.005"),
        ({"fare_attributes": ATTRIBUTES + "f,free,EUR\n"}, "free"),
        ({"fare_attributes": ATTRIBUTES + "f,-1,EUR\n"}, "zero or more"),
        ({"fare_attributes": ATTRIBUTES + "f,1,EUR\ng,1,USD\n"}, "EUR, USD"),
        ({"fare_attributes": ATTRIBUTES + "f,1,XYZ\n"}, "XYZ"),
        (
            {
                "fare_attributes": ATTRIBUTES + "f,1,EUR\n",
                "agency": AGENCY.replace("Berlin", "Atlantis"),
            },
            "Atlantis",
        ),
        ({"fare_attributes": ATTRIBUTES + 'f,"1,EUR\n'}, "cannot be read"),
    ],
)
def test_a_feed_that_cannot_be_priced(tmp_path: Path, tables: dict[str, str], says: str) -> None:
    with pytest.raises(Complaint, match=says):
        load_tariff(write_feed(tmp_path, **tables))


def test_a_feed_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match="no GTFS feed"):
        load_tariff(tmp_path / "nothing")
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(Complaint, match="no GTFS feed"):
        load_tariff(tmp_path / "page.html")


def test_a_folder_and_a_zip_file_are_read_alike(tmp_path: Path) -> None:
    packed = tmp_path / "feed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for table in SAMPLE_FEED.glob("*.txt"):
            archive.write(table, table.name)
    in_folder, in_zip = load_tariff(SAMPLE_FEED), load_tariff(packed)
    for origin in in_folder.stations:
        assert in_folder.stations[origin] == in_zip.stations[origin]
    assert in_zip.fare("harbour", "airport") == Money(320, "EUR")


def test_the_harbour_line() -> None:
    tariff = load_tariff(SAMPLE_FEED)
    assert (tariff.currency, tariff.zone.key) == ("EUR", "Europe/Berlin")
    assert tariff.fare("harbour", "central", "adult") == Money(180, "EUR")
    assert tariff.fare("central", "harbour", "child") == Money(90, "EUR")
    assert tariff.fare("harbour", "airport", "senior") == Money(320, "EUR")
    with pytest.raises(NoSuchTrip):
        tariff.fare("airport", "airport")
