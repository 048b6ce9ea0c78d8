"""The vending agent's configuration: folder, devices, times. See `edge_agents.config`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from edge_agents.config import AgentConfig, Baudrate
from edge_agents.payment_request import Submission
from edge_agents.relay_address import parse_relay
from kessai.currency import BY_CODE


class VendingConfig(AgentConfig):
    """What the reader of a vending machine needs to know."""

    folder: Path = Field(
        Path("vending"),
        description="The folder that `kessai agent pair` made. The journal is kept there too.",
    )
    reader: str = Field(
        "usb",
        min_length=1,
        description="Phone reader: usb, pn532:/dev/ttyUSB0, udp:127.0.0.1:54321 or ble:hci0.",
    )
    machine: Path = Field(Path("/dev/ttyACM0"), description="Serial line of the MDB adapter.")
    machine_baudrate: Baudrate = Field(115200, description="Its speed, 1200 to 115200.")
    machine_display: bool = Field(
        True, description="Whether the machine shows what the reader asks it to show."
    )
    currency: str = Field("EUR", description="ISO 4217 code of the machine's prices.")
    items: Path | None = Field(
        None,
        description="CSV file of the items: number,description. Others are refused then.",
        examples=["items.csv"],
    )
    submission: Submission = Field(
        "relayed",
        description="Who submits a payment: relayed (this agent), direct (the phone itself).",
    )
    relay: str = Field(
        "",
        description="The fleet's server through which it calls, FLEET@HOST:PORT, where it has no "
        "line to the switch.",
        examples=["nordic@10.0.0.5:7450"],
    )
    request_seconds: int = Field(
        60, ge=10, le=120, description="How long a customer may take to pay, 10 to 120 seconds."
    )
    vend_seconds: int = Field(
        90, ge=5, le=600, description="How long the machine may take to give out, 5 to 600 seconds."
    )
    ask_seconds: int = Field(
        10,
        ge=1,
        le=120,
        description="After a gap in the middle of a vend: how long to wait for the machine to tell "
        "how it ended, before the money is given back, 1 to 120 seconds.",
    )
    hold_seconds: int = Field(
        900,
        ge=120,
        le=86_400,
        description="How long money is held at most, if nobody captures it or gives it back. "
        "Longer than vend_seconds, and than the line to the switch is ever down.",
    )

    @field_validator("relay")
    @classmethod
    def _check_relay(cls, text: str) -> str:
        if text:
            parse_relay(text)
        return text

    @field_validator("currency")
    @classmethod
    def _check_currency(cls, code: str) -> str:
        if code not in BY_CODE:
            raise ValueError("should be a code of ISO 4217, such as EUR")
        return code
