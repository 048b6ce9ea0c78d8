"""The carrier's rules: fares after caps, what is refused, and configurations that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.config import load_config
from edge_agents.fares.ride import Ride
from edge_agents.fares.tariff import NoSuchTrip, load_tariff
from edge_agents.gate.admission import Refused
from edge_agents.gate.config import SAMPLE_FEED, GateConfig
from edge_agents.gate.rules import Rules, read_rules
from kessai.complaint import Complaint
from kessai.decline import name_of
from kessai.money import Money
from kessai.v1.fare_pb2 import Admission
from tests.unit.edge_agents.fares.feeds import write_feed

NOW_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000
STATIONS = sorted(load_tariff(SAMPLE_FEED).stations)


def rules(**settings: str | int | Path) -> Rules:
    flags: dict[str, str | int | Path] = {"direction": "exit", "station": "airport"}
    flags |= settings
    return read_rules(load_config(GateConfig, None, flags))


def entered(station: str, minutes_ago: int = 20, spent: int = 0, rider: str = "adult") -> Admission:
    admission = Admission(station_id=station, spent_today_minor=spent, rider_category=rider)
    admission.entry_time.FromMicroseconds(NOW_US - minutes_ago * MINUTE_US)
    admission.expire_time.FromMicroseconds(NOW_US + (240 - minutes_ago) * MINUTE_US)
    return admission


def fare(made: Rules, admission: Admission) -> Money:
    return made.charge(admission, NOW_US, NOW_US).fare


def refusal(made: Rules, admission: Admission) -> str:
    with pytest.raises(Refused) as raised:
        made.charge(admission, NOW_US, NOW_US)
    return name_of(raised.value.reason)


def test_the_feeds_fare_by_rider() -> None:
    assert fare(rules(), entered("harbour")) == Money(320, "EUR")
    assert fare(rules(), entered("harbour", rider="child")) == Money(160, "EUR")


def test_the_cap_of_the_day() -> None:
    capped = rules(daily_cap="5.00")
    for spent, left in ((0, 320), (180, 320), (320, 180), (500, 0), (900, 0)):
        assert fare(capped, entered("harbour", spent=spent)) == Money(left, "EUR")


def test_leaving_where_one_entered() -> None:
    """Free to the minute, then refused; and not at all where it is not allowed."""
    assert fare(rules(), entered("airport", 9)) == Money(0, "EUR")
    assert refusal(rules(), entered("airport", 10)) == "SAME_STATION"
    assert refusal(rules(same_station_minutes=0), entered("airport", 0)) == "SAME_STATION"


def test_a_ride_without_a_fare_is_let_out_and_told() -> None:
    """Whoever entered at a gate of the carrier did nothing wrong."""
    charge = rules().charge(entered("nowhere"), NOW_US, NOW_US)
    assert (charge.fare, charge.is_unpriced) == (Money(0, "EUR"), True)


def test_a_ride_that_took_too_long() -> None:
    late = entered("harbour", 240)
    assert refusal(rules(), late) == "ADMISSION_EXPIRED"
    assert fare(rules(missing_entry_fare="9.00"), late) == Money(900, "EUR")


def test_a_ride_without_an_entry() -> None:
    assert refusal(rules(), entered("")) == "ADMISSION_MISSING"
    assert fare(rules(missing_entry_fare="9.00"), entered("")) == Money(900, "EUR")


@given(
    st.sampled_from(STATIONS),
    st.sampled_from(STATIONS),
    st.sampled_from(["adult", "child", "senior", "unheard_of"]),
    st.integers(0, 2_000),
    st.integers(0, 2_000),
)
def test_fares_of_the_sample_line(
    origin: str, destination: str, rider: str, spent: int, cap: int
) -> None:
    """Symmetric, no dearer for who has a reduction, and never over the cap."""
    tariff = load_tariff(SAMPLE_FEED)
    try:
        full = tariff.fare(Ride(origin, destination), rider)
    except NoSuchTrip:
        with pytest.raises(NoSuchTrip):
            tariff.fare(Ride(destination, origin), rider)
        return
    assert full == tariff.fare(Ride(destination, origin), rider)
    assert full.minor <= tariff.fare(Ride(origin, destination), "adult").minor
    if origin == destination:
        return
    made = rules(station=destination, daily_cap=Money(cap, "EUR").decimal())
    paid = fare(made, entered(origin, spent=spent, rider=rider)).minor
    assert 0 <= paid <= full.minor
    assert spent + paid <= max(spent, cap)


def test_a_minimum_of_the_gate_s_own_is_not_left_unsaid(tmp_path: Path) -> None:
    """Gates of before were told one each; now it is the operator's."""
    (tmp_path / "gate.toml").write_text('minimum_balance = "1.00"\n')
    with pytest.raises(Complaint, match="kessai merchant minimum-balance"):
        load_config(GateConfig, tmp_path / "gate.toml", {})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"station": "atlantis"}, "no station"),
        ({"daily_cap": "7.005"}, "daily_cap"),
        ({"daily_cap": "-1"}, "less than zero"),
        ({"missing_entry_fare": "nine"}, "missing_entry_fare"),
        ({"service_day_start": "25:00"}, "service_day_start"),
        ({"service_day_start": "\u0660\u0663:\u0660\u0660"}, "service_day_start"),
        ({"direction": "both"}, "direction"),
        ({"max_ride_minutes": 0}, "max_ride_minutes"),
    ],
)
def test_configurations_that_cannot_be(settings: dict[str, str | int], says: str) -> None:
    with pytest.raises(Complaint, match=says):
        rules(**settings)


def test_a_station_that_no_fare_leads_to_or_from(tmp_path: Path) -> None:
    """Whoever was let in could not leave, so the gate does not start."""
    feed = write_feed(
        tmp_path,
        fare_attributes="fare_id,price,currency_type\nf,1,EUR\n",
        fare_rules="fare_id,origin_id,destination_id\nf,1,2\n",
    )
    assert rules(feed=feed, station="a").station == "a"
    for station in ("d", "x"):
        with pytest.raises(Complaint, match="no fare for any ride from or to"):
            rules(feed=feed, station=station)
