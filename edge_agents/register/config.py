"""The register's configuration: its folder, its devices, its goods. See `edge_agents.config`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from edge_agents.config import AgentConfig, Baudrate
from edge_agents.devices.serial_line import FlowControl
from edge_agents.payment_request import Submission
from kessai.currency import BY_CODE

SAMPLE_PRICES = Path(__file__).parent / "prices" / "corner_shop.csv"


class RegisterConfig(AgentConfig):
    """What a register needs to know."""

    folder: Path = Field(
        Path("register"),
        description="The folder that `kessai agent pair` made. The journal is kept there too.",
    )
    reader: str = Field(
        "usb",
        min_length=1,
        description="NFC or BLE: usb, pn532:/dev/ttyUSB0, tty:USB0:pn532, udp:HOST:PORT, ble:hci0.",
    )
    scanner: Path = Field(Path("/dev/ttyACM0"), description="Serial line of the bar code scanner.")
    scanner_baudrate: Baudrate = Field(9600, description="Its speed, 1200 to 115200.")
    display: Path = Field(Path("/dev/ttyUSB1"), description="Serial line of the 2x20 display.")
    display_baudrate: Baudrate = Field(9600, description="Its speed.")
    printer: Path = Field(Path("/dev/ttyUSB2"), description="Serial line of the receipt printer.")
    printer_baudrate: Baudrate = Field(19200, description="Its speed.")
    printer_flow_control: FlowControl = Field(
        "none", description="How it says that it is full: none, rtscts, dsrdtr or xonxoff."
    )
    price_list: Path = Field(
        SAMPLE_PRICES,
        description="The goods, a CSV file. Without it the sample is sold: `kessai agent prices`.",
        examples=["prices.csv"],
    )
    currency: str | None = Field(
        None,
        description="ISO 4217 code. Needed if the price list does not name its currency.",
        examples=["EUR"],
    )
    submission: Submission = Field(
        "relayed",
        description="Who submits a payment: relayed (this register), direct (the phone itself).",
    )
    request_seconds: int = Field(
        60, ge=10, le=120, description="How long a customer may take to pay, 10 to 120 seconds."
    )

    @field_validator("currency")
    @classmethod
    def _check_currency(cls, code: str | None) -> str | None:
        if code is not None and code not in BY_CODE:
            raise ValueError("should be a code of ISO 4217, such as EUR")
        return code
