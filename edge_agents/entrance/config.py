"""The entrance's configuration: its door, its events, its hub. See `edge_agents.config`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from edge_agents.config import AgentConfig, Baudrate
from kessai.complaint import Complaint
from kessai.identity_path import is_name

KEY_BYTES = 16
ADDRESSES = {"osdp": (0, 126), "modbus": (1, 247)}


class EntranceConfig(AgentConfig):
    """What an entrance needs to know."""

    folder: Path = Field(
        Path("entrance"),
        description="The folder that `kessai agent pair` made. The book is kept there too.",
    )
    reader: str = Field(
        "usb",
        min_length=1,
        description="Radio: usb, pn532:/dev/ttyUSB0, tty:USB0:pn532, udp:... or ble:...",
    )
    events: str = Field(
        "",
        description="The events that it lets in to, their ids with commas between.",
        examples=["spring-concert,museum"],
    )
    door: Path = Field(Path("/dev/ttyUSB1"), description="Serial line of the door.")
    door_protocol: Literal["osdp", "modbus"] = Field(
        "osdp",
        description='What the door speaks: "osdp", a reader with lock and contact; or "modbus", a '
        "turnstile or barrier as gates have.",
    )
    door_baudrate: Baudrate = Field(9600, description="Its speed.")
    door_address: int = Field(1, description="Its address: OSDP 0 to 126, Modbus 1 to 247.")
    door_key: Path = Field(
        Path("door.key"),
        description="File with the OSDP reader's secure channel key, 32 hex digits.",
        examples=["door.key"],
    )
    unlock_seconds: int = Field(5, ge=1, le=60, description="How long the door is unlocked.")
    held_open_seconds: int = Field(
        20, ge=2, le=600, description="After so long an open door is told, and lets nobody in."
    )
    hub: str = Field(
        "",
        description="HOST:PORT of the venue's hub; empty: this door counts by itself.",
        examples=["192.168.1.10:7430"],
    )
    hub_terminal: str = Field(
        "", description="The hub's terminal id, as it was paired.", examples=["door-1"]
    )
    hub_listen: str = Field(
        "",
        description="HOST:PORT on which this entrance is the hub of the others; empty: it is not.",
        examples=["0.0.0.0:7430"],
    )
    hub_away: Literal["refuse", "alone"] = Field(
        "refuse",
        description='When the hub is out of reach: "refuse" everybody, or count "alone".',
    )
    deny_list_hours: int = Field(
        24, ge=0, le=720, description="Let nobody in on an older deny list; 0: whatever its age."
    )

    @field_validator("events")
    @classmethod
    def _check_events(cls, text: str) -> str:
        if not all(is_name(event) for event in text.split(",")):
            raise ValueError('should be ids of a-z, 0-9 and "-", with commas between')
        return text

    @field_validator("door_address")
    @classmethod
    def _check_address(cls, address: int, info: ValidationInfo) -> int:
        first, last = ADDRESSES[info.data.get("door_protocol", "osdp")]
        if not first <= address <= last:
            raise ValueError(f"should be {first} to {last}")
        return address

    @property
    def event_ids(self) -> tuple[str, ...]:
        """The events."""
        return tuple(self.events.split(","))

    def read_door_key(self) -> bytes:
        """Read the key of the reader's secure channel; Complaint if it is none."""
        try:
            key = bytes.fromhex(self.door_key.read_text().strip())
        except (OSError, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise Complaint(
                f"The door's key {self.door_key} is not a file with 32 hex digits. Nobody is let "
                "in without it. It is the key that was set in the reader."
            )
        return key
