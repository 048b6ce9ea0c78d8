"""Row B4: gates that lose power, their books or their feed while somebody is inside.

Whatever happens to them, the door opens for him, and the fare is the one that was published when
he came in.
"""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path

import pytest

from edge_agents.gate.config import SAMPLE_FEED
from edge_agents.gate.rides import FILE_NAME, Rides
from edge_agents.journal import FILE_NAME as JOURNAL
from simulators.phone.screen import View
from tests.scenarios.radios import Radio
from tests.scenarios.railway import FARE, Gate, Passenger, Railway


@pytest.fixture(scope="module")
def radio(radios: dict[str, Radio]) -> Radio:
    """Give one radio: what is kept is the same on every one."""
    return radios["nfc"]


@pytest.fixture(scope="module")
def harbour(railway: Railway, radio: Radio) -> Gate:
    """An entry that reads the sample feed where it lies."""
    return railway.gate(radio, "entry", "harbour", "passback_seconds = 0")


@pytest.fixture(scope="module")
def feed(railway: Railway) -> Path:
    """The feed of the exit, which changes."""
    return shutil.copytree(SAMPLE_FEED, railway.folder / "feed")


@pytest.fixture(scope="module")
def airport(railway: Railway, radio: Radio, feed: Path) -> Gate:
    """An exit with a feed of its own."""
    return railway.gate(radio, "exit", "airport", f'feed = "{feed}"')


@pytest.fixture
def inside(railway: Railway, harbour: Gate) -> Passenger:
    """Somebody who came in at Harbour."""
    passenger = railway.passenger("inside", 100_00)
    harbour.let_through(passenger)
    return passenger


def restart(gate: Gate) -> None:
    """Let a gate lose its power, and start it again."""
    gate.kill()
    gate.start()


def leave(railway: Railway, airport: Gate, passenger: Passenger, fare: int) -> None:
    before = railway.balance(passenger)
    assert airport.let_through(passenger).view is View.RIDE_OVER
    assert railway.balance(passenger) == before - fare


def wait_for_another_second() -> None:
    """Admissions tell seconds; what began in the second of a change is of what came after."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)


def test_an_exit_without_power(railway: Railway, airport: Gate, inside: Passenger) -> None:
    restart(airport)
    leave(railway, airport, inside, FARE)


def test_an_entry_that_lost_its_books(
    railway: Railway, harbour: Gate, airport: Gate, inside: Passenger
) -> None:
    """The admission says all that the exit needs; also at the entry nobody is held up."""
    harbour.kill()
    for book in harbour.folder.glob(f"{FILE_NAME}*"):
        book.unlink()
    for book in harbour.folder.glob(f"{JOURNAL}*"):
        book.unlink()
    harbour.start()
    leave(railway, airport, inside, FARE)
    harbour.let_through(inside)
    leave(railway, airport, inside, FARE)


def test_a_feed_that_cannot_be_read_any_more(
    railway: Railway, airport: Gate, feed: Path, inside: Passenger
) -> None:
    """The exit goes on with the copy that it kept, and says so."""
    good = (feed / "fare_products.txt").read_bytes()
    (feed / "fare_products.txt").write_text('fare_product_id,"amount\n')
    airport.kill()
    airport.start()
    assert "fare_products.txt" in str(airport.steps.latest("feed_refused", since="stopped")["why"])
    leave(railway, airport, inside, FARE)
    (feed / "fare_products.txt").write_bytes(good)


def test_a_feed_that_is_gone(
    railway: Railway, airport: Gate, feed: Path, inside: Passenger
) -> None:
    away = feed.rename(feed.with_name("away"))
    restart(airport)
    leave(railway, airport, inside, FARE)
    away.rename(feed)


def test_another_feed_that_knows_the_station_no_more(
    railway: Railway, harbour: Gate, airport: Gate, feed: Path, inside: Passenger
) -> None:
    """The ride costs what it did when it began; the next one, of the new feed, is told."""
    for table in ("stops", "stop_times", "stop_areas"):
        path = feed / f"{table}.txt"
        kept = [line for line in path.read_text().splitlines() if "harbour" not in line]
        path.write_text("\n".join(kept) + "\n")
    restart(airport)
    leave(railway, airport, inside, FARE)
    harbour.let_through(inside)  # the entry still has the former feed
    leave(railway, airport, inside, FARE)
    with closing(Rides(airport.folder)) as rides:
        assert rides.unpriced() == []


def test_another_price(railway: Railway, harbour: Gate, airport: Gate, feed: Path) -> None:
    """Who came in before pays as before, who came in after pays the new fare."""
    shutil.copytree(SAMPLE_FEED, feed, dirs_exist_ok=True)
    restart(airport)
    before = railway.passenger("before", 100_00)
    harbour.let_through(before)
    wait_for_another_second()
    path = feed / "fare_products.txt"
    path.write_text(path.read_text().replace("3.20", "4.40"))
    restart(airport)
    after = railway.passenger("after", 100_00)
    harbour.let_through(after)
    leave(railway, airport, before, FARE)
    leave(railway, airport, after, 440)
