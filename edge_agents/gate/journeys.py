"""Journeys on paper: what an exit tells the next gates of the rides so far, for transfers.

    exit       signs a note of the journey so far, bound to the holder's key; the phone keeps it
    next entry verifies it, and copies the journey into the admission
    next exit  works out what the ride costs after it; also with no line to the switch

A gate does so only if its feed has transfer rules.
"""

from __future__ import annotations

from edge_agents.fares.journey import Journey
from edge_agents.fares.ride import Ride
from edge_agents.payment_request import Terminal
from kessai.envelope import JOURNEY, sign
from kessai.money import Money
from kessai.v1 import fare_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import JourneyNote

# A journey of more rides begins anew, so that an admission stays short.
RIDES_LIMIT = 16


def to_proto(journey: Journey, currency: str) -> fare_pb2.Journey:
    """Write a journey into a document; times are cut to whole seconds."""
    charged = Money(journey.charged_minor, currency).to_proto()
    return fare_pb2.Journey(rides=map(_ride_to_proto, journey.rides), charged=charged)


def from_proto(journey: fare_pb2.Journey, currency: str) -> Journey:
    """Read a journey of a document; an empty one if it was charged in another currency."""
    charged = journey.charged
    if charged.currency_code != currency or len(journey.rides) > RIDES_LIMIT:
        return Journey()
    return Journey(tuple(map(_ride_from_proto, journey.rides)), charged.amount_minor)


def write_journey_note(
    journey: Journey, currency: str, holder_key: bytes, terminal: Terminal
) -> Signed | None:
    """Write and sign the note of a journey; None if it has too many rides to go on."""
    if len(journey.rides) >= RIDES_LIMIT:
        return None
    note = JourneyNote(
        merchant_id=terminal.merchant_id,
        terminal_id=terminal.terminal_id,
        holder_public_key=holder_key,
        journey=to_proto(journey, currency),
    )
    return sign(JOURNEY, note, terminal.signing_key)


def _ride_to_proto(ride: Ride) -> fare_pb2.JourneyRide:
    written = fare_pb2.JourneyRide(entry_station_id=ride.origin, exit_station_id=ride.destination)
    written.entry_time.FromSeconds(ride.entry_us // 1_000_000)
    written.exit_time.FromSeconds(ride.exit_us // 1_000_000)
    return written


def _ride_from_proto(ride: fare_pb2.JourneyRide) -> Ride:
    return Ride(
        ride.entry_station_id,
        ride.exit_station_id,
        ride.entry_time.ToMicroseconds(),
        ride.exit_time.ToMicroseconds(),
    )
