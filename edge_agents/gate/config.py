"""The gate's configuration: where it stands, its devices, the carrier's rules.

See `edge_agents.config` for how it is read. Amounts are decimals in the currency of the feed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from edge_agents.config import AgentConfig, Baudrate

SAMPLE_FEED = Path(__file__).parent / "feeds" / "harbour_line"

Direction = Literal["entry", "exit"]


class GateConfig(AgentConfig):
    """What a gate needs to know."""

    folder: Path = Field(
        Path("gate"),
        description="The folder that `kessai agent pair` made. The journals are kept there too.",
    )
    direction: Direction = Field("entry", description="Which way people pass: entry or exit.")
    station: str = Field(
        "harbour",
        min_length=1,
        max_length=40,
        description="Where it stands: a stop_id of the feed.",
    )
    feed: Path = Field(
        SAMPLE_FEED,
        description="GTFS feed with fares, a folder or zip file. Without it the sample line runs.",
        examples=["gtfs.zip"],
    )
    fare_media: str = Field(
        "", description="The fare_media_ids that count (Fares v2), comma between them; empty: all."
    )
    reader: str = Field(
        "usb",
        min_length=1,
        description="Phone reader: usb, pn532:/dev/ttyUSB0, tty:USB0:pn532 or udp:127.0.0.1:54321.",
    )
    barrier: Path = Field(Path("/dev/ttyUSB1"), description="Serial line of the Modbus barrier.")
    barrier_baudrate: Baudrate = Field(19200, description="Its speed, 1200 to 115200.")
    barrier_unit: int = Field(1, ge=1, le=247, description="Its Modbus unit address, 1 to 247.")
    display: Path = Field(Path("/dev/ttyUSB2"), description="Serial line of the 2x20 display.")
    display_baudrate: Baudrate = Field(9600, description="Its speed.")
    daily_cap: str | None = Field(
        None,
        description="The most that a rider's fares of a service day come to; without it, no cap.",
        examples=["7.00"],
    )
    service_day_start: str = Field(
        "03:00", description="When a new service day begins, local time of the feed."
    )
    max_ride_minutes: int = Field(
        240, ge=1, le=1440, description="How long an admission is good for, 1 to 1440 minutes."
    )
    same_station_minutes: int = Field(
        10,
        ge=0,
        le=1440,
        description="Who leaves where he entered within so many minutes pays nothing; 0: no one. "
        "Later he is sent to the attendant.",
    )
    missing_entry_fare: str | None = Field(
        None,
        description="What an exit charges without a good admission; not set: it stays shut.",
        examples=["9.00"],
    )
    missing_exit_fare: str | None = Field(
        None,
        description="What an entry charges for a ride that never ended; not set: it stays shut.",
        examples=["9.00"],
    )
    passback_seconds: int = Field(
        30,
        ge=0,
        le=3600,
        description="How long after a passage the same phone is not let in again here.",
    )
    open_seconds: int = Field(
        8, ge=1, le=60, description="How long the barrier waits for the person, 1 to 60 seconds."
    )

    @field_validator("service_day_start")
    @classmethod
    def _check_start(cls, text: str) -> str:
        hours, colon, minutes = text.partition(":")
        digits = len(text) == 5 and text.isascii() and colon and (hours + minutes).isdecimal()
        if not digits or int(hours) > 23 or int(minutes) > 59:
            raise ValueError("should be a time of day such as 03:00")
        return text
