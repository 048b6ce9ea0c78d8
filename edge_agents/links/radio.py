"""Radios by moniker: which reader hangs on which port.

`open_radio` is what a terminal's configuration names:

    udp:127.0.0.1:54321   nfcpy's simulated field; the phone listens on that port
    pn532:/dev/ttyUSB0    a PN532 chip on any serial path
    ble:hci0              a Bluetooth adapter; more in `ble_place`
    usb, tty:USB0:pn532   and whatever else nfcpy understands
"""

from __future__ import annotations

import os
from collections.abc import Callable

from edge_agents.links.message_link import Radio


def open_radio(moniker: str, random_bytes: Callable[[int], bytes] = os.urandom) -> Radio:
    """Open the reader that a moniker names; Complaint if it is not there or means nothing.

    The codes that a BLE radio shows are drawn from `random_bytes`.
    """
    # Only the radio that is there is loaded: bleak or nfcpy, not both.
    kind, _, where = moniker.partition(":")
    if kind == "ble":
        from edge_agents.links.ble_radio import open_ble_radio

        return open_ble_radio(where, random_bytes)
    from edge_agents.links.nfc_reader import open_nfc_radio

    return open_nfc_radio(moniker)
