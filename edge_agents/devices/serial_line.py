"""Opening a serial line by its path, and the one error for a device that went away.

Used by the drivers beside it. A line is a device file, a link to one, or a simulator's pty. Modem
lines are never set after opening, because a pty has none.
"""

from __future__ import annotations

from typing import Literal

import serial

from kessai.complaint import Complaint

WRITE_TIMEOUT_S = 5.0

FlowControl = Literal["none", "rtscts", "dsrdtr", "xonxoff"]


class DeviceLost(Complaint):
    """The device was unplugged, or takes or gives no data any more."""

    def __init__(self, device: str, why: object) -> None:
        super().__init__(f"The {device} does not answer ({why}). Plug it in again.")
        self.why = why


def open_line(
    device: str, path: str, baudrate: int, timeout_s: float, flow: FlowControl = "none"
) -> serial.Serial:
    """Open a line for this process alone, 8 data bits, no parity, 1 stop bit.

    Reads end after `timeout_s` with what has come. Complaint if there is no such device.
    """
    try:
        return serial.Serial(
            path,
            baudrate=baudrate,
            timeout=timeout_s,
            write_timeout=WRITE_TIMEOUT_S,
            rtscts=flow == "rtscts",
            dsrdtr=flow == "dsrdtr",
            xonxoff=flow == "xonxoff",
            exclusive=True,
        )
    except (OSError, ValueError) as error:
        raise Complaint(
            f"The {device} at {path} cannot be opened ({error}). No money was moved. "
            f"Plug it in, or set `{device}` in the config to where it is."
        ) from None
