"""Feeds that cannot be priced are one clear line; the project's own feed is good."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, load_tariff
from edge_agents.gate.config import SAMPLE_FEED
from kessai.complaint import Complaint
from kessai.money import Money
from tests.unit.edge_agents.fares.feeds import AGENCY, STOP_TIMES, STOPS, TRIPS, write_feed

ATTRIBUTES = "fare_id,price,currency_type\n"
ONE_FARE = {"fare_attributes": ATTRIBUTES + "f,1,EUR\n"}
LEGS = {
    "stop_areas": "area_id,stop_id\nin,a\nout,d\n",
    "fare_leg_rules": "from_area_id,to_area_id,fare_product_id,rule_priority\nin,out,p,\n",
    "fare_products": "fare_product_id,amount,currency\np,2.00,EUR\n",
}
RULES = LEGS["fare_leg_rules"]


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({}, "no fare_attributes.txt"),
        ({"stops": "stop_id\n"}, "no stops.txt"),
        ({"fare_attributes": "fare_id,price\nf,1\n"}, "currency_type"),
        ({"fare_attributes": ATTRIBUTES + "f,1.005,EUR\n"}, "1.005"),
        ({"fare_attributes": ATTRIBUTES + "f,free,EUR\n"}, "free"),
        ({"fare_attributes": ATTRIBUTES + "f,-1,EUR\n"}, "less than zero"),
        ({"fare_attributes": ATTRIBUTES + "f,1,EUR\ng,1,USD\n"}, "EUR, USD"),
        ({"fare_attributes": ATTRIBUTES + "f,1,XYZ\n"}, "XYZ"),
        (
            {
                "fare_attributes": ATTRIBUTES + "f,1,EUR\n",
                "agency": AGENCY.replace("Berlin", "Atlantis"),
            },
            "Atlantis",
        ),
        *(
            ({**ONE_FARE, "agency": AGENCY.replace("Europe/Berlin", zone)}, "no time zone")
            for zone in ("Europe", "", "../etc/passwd", "x" * 300, "\0")
        ),
        ({"fare_attributes": ATTRIBUTES + 'f,"1,EUR\n'}, "cannot be read: line 2"),
        ({"fare_attributes": ATTRIBUTES + 'f,"1\ng,2",EUR\n'}, "line 2: a text goes on"),
        ({"fare_attributes": ATTRIBUTES + "f,1,EUR,9\n"}, "line 2: it has more fields"),
        ({"fare_attributes": ATTRIBUTES + "f,1,EUR\nf,2,EUR\n"}, 'fare_id "f" twice'),
        ({"fare_attributes": ATTRIBUTES + ",1,EUR\n"}, "no fare_id"),
        ({"fare_attributes": "fare_id,price,price,currency_type\nf,1,1,EUR\n"}, "column .* twice"),
        ({**ONE_FARE, "fare_rules": "fare_id,route_id\ng,L\n"}, 'a fare "g"'),
        ({**ONE_FARE, "stops": STOPS + "a,A,1,\n"}, 'stop_id "a" twice'),
        ({**ONE_FARE, "stops": STOPS + "e1,E,1,e\n"}, 'no stop "e"'),
        ({**ONE_FARE, "stop_times": STOP_TIMES + "out,y,5\n"}, 'a stop "y"'),
        ({**ONE_FARE, "stop_times": STOP_TIMES.replace("b,2", "b,")}, '"" in stop_times.txt is no'),
        ({**ONE_FARE, "stop_times": STOP_TIMES.replace("b,2", "b,2.5")}, '"2.5" in stop_times.txt'),
        ({**ONE_FARE, "stop_times": "trip_id,stop_id\nout,a\n"}, '"" in stop_times.txt is no'),
        ({**ONE_FARE, "trips": TRIPS + "L,s,in\n"}, 'trip_id "in" twice'),
        ({**LEGS, "fare_leg_rules": RULES.replace(",p,", ",,")}, "no fare_product_id"),
        ({**LEGS, "fare_leg_rules": "from_area_id,to_area_id\nin,out\n"}, "fare_product_id"),
        ({**LEGS, "fare_leg_rules": RULES.replace(",p,", ",q,")}, 'a product "q"'),
        ({**LEGS, "fare_leg_rules": RULES.replace(",p,", ",p,first")}, '"first" in fare_leg_rules'),
    ],
)
def test_a_feed_that_cannot_be_priced(tmp_path: Path, tables: dict[str, str], says: str) -> None:
    with pytest.raises(Complaint, match=says):
        load_tariff(write_feed(tmp_path, **tables))


def test_whole_numbers_may_have_a_point(tmp_path: Path) -> None:
    """As programs that write feeds from tables of floats have them."""
    legs = LEGS | {"fare_leg_rules": RULES + "in,out,p,1.0\n"}
    stop_times = STOP_TIMES.replace(",1\n", ",1.0\n").replace(",4\n", ",4.\n")
    tariff = load_tariff(write_feed(tmp_path, stop_times=stop_times, **legs))
    assert tariff.fare(Ride("a", "d")) == Money(200, "EUR")


def flip(raw: bytes) -> bytes:
    """Damage the packed bytes of the first table."""
    begin = 40 + raw.index(b"agency.txt")
    return raw[:begin] + bytes(byte ^ 0xFF for byte in raw[begin : begin + 20]) + raw[begin + 20 :]


def encrypted(raw: bytes) -> bytes:
    """Set the flag of encryption in both headers of each table."""
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = raw.split(mark)
        marked = (part[: offset - 4] + b"\x01\0" + part[offset - 2 :] for part in parts[1:])
        raw = mark.join([parts[0], *marked])
    return raw


def packed_oddly(raw: bytes) -> bytes:
    """Name a way of packing that nobody knows, in both headers of each table."""
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        parts = raw.split(mark)
        marked = (part[: offset - 4] + b"\x63\0" + part[offset - 2 :] for part in parts[1:])
        raw = mark.join([parts[0], *marked])
    return raw


@pytest.mark.parametrize("damage", [flip, encrypted, packed_oddly, lambda raw: raw[30:]])
@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_zip_file(tmp_path: Path, packing: int, damage: Callable[[bytes], bytes]) -> None:
    packed = tmp_path / "feed.zip"
    with zipfile.ZipFile(packed, "w", packing) as archive:
        for table in sorted(SAMPLE_FEED.glob("*.txt")):
            archive.write(table, table.name)
    load_tariff(packed)
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(Complaint, match="cannot be read"):
        load_tariff(packed)


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
    assert in_zip.fare(Ride("harbour", "airport")) == Money(320, "EUR")


def test_the_harbour_line() -> None:
    tariff = load_tariff(SAMPLE_FEED)
    assert (tariff.currency, tariff.zone.key) == ("EUR", "Europe/Berlin")
    assert tariff.fare(Ride("harbour", "central"), "adult") == Money(180, "EUR")
    assert tariff.fare(Ride("central", "harbour"), "child") == Money(90, "EUR")
    assert tariff.fare(Ride("harbour", "airport"), "senior") == Money(320, "EUR")
    with pytest.raises(NoSuchTrip):
        tariff.fare(Ride("airport", "airport"))
