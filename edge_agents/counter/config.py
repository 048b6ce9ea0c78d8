"""What all counters are configured with: the folder, the devices, who submits, how long it waits.

Register and ticket machine add what they sell. See `edge_agents.config`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edge_agents.config import AgentConfig, Baudrate
from edge_agents.devices.serial_line import FlowControl
from edge_agents.payment_request import Submission

FOLDER = "The folder that `kessai agent pair` made. The journal is kept there too."


class CounterConfig(AgentConfig):
    """What an agent with keys, display and printer needs to know."""

    folder: Path = Field(Path("terminal"), description=FOLDER)
    reader: str = Field(
        "usb",
        min_length=1,
        description="NFC or BLE: usb, pn532:/dev/ttyUSB0, tty:USB0:pn532, udp:HOST:PORT, ble:hci0.",
    )
    scanner: Path = Field(
        Path("/dev/ttyACM0"), description="Serial line of bar code scanner or keys."
    )
    scanner_baudrate: Baudrate = Field(9600, description="Its speed, 1200 to 115200.")
    display: Path = Field(Path("/dev/ttyUSB1"), description="Serial line of the 2x20 display.")
    display_baudrate: Baudrate = Field(9600, description="Its speed.")
    printer: Path = Field(Path("/dev/ttyUSB2"), description="Serial line of the receipt printer.")
    printer_baudrate: Baudrate = Field(19200, description="Its speed.")
    printer_flow_control: FlowControl = Field(
        "none", description="How it says that it is full: none, rtscts, dsrdtr or xonxoff."
    )
    submission: Submission = Field(
        "relayed",
        description="Who submits a payment: relayed (this terminal), direct (the phone itself).",
    )
    request_seconds: int = Field(
        60, ge=10, le=120, description="How long a customer may take to pay, 10 to 120 seconds."
    )
