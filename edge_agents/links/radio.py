"""Radios by moniker: which reader hangs on which port.

`open_radio` is what a terminal's configuration names:

    udp:127.0.0.1:54321   nfcpy's simulated field; the phone listens on that port
    pn532:/dev/ttyUSB0    a PN532 chip on any serial path
    ble:hci0              a Bluetooth adapter; more in `ble_place`
    usb, tty:USB0:pn532   and whatever else nfcpy understands
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable

import nfc.clf.pn532
from nfc.clf.transport import TTY

from edge_agents.links.frontend import GARBLED, READER_LOST, Frontend
from edge_agents.links.message_link import Radio
from edge_agents.links.nfc_radio import NfcRadio
from edge_agents.links.udp_field import UdpField
from kessai.complaint import Complaint


def open_radio(moniker: str, random_bytes: Callable[[int], bytes] = os.urandom) -> Radio:
    """Open the reader that a moniker names; Complaint if it is not there or means nothing.

    The codes that a BLE radio shows are drawn from `random_bytes`.
    """
    kind, _, where = moniker.partition(":")
    if kind == "ble":
        # Only here: a terminal with an NFC reader need not load bleak.
        from edge_agents.links.ble_radio import open_ble_radio

        return open_ble_radio(where, random_bytes)
    return NfcRadio(lambda: _open_frontend(moniker))


def _open_frontend(moniker: str) -> Frontend:
    kind, _, where = moniker.partition(":")
    frontend = Frontend()
    try:
        if kind == "udp":
            frontend.device = _open_udp(where)
        elif kind == "pn532":
            frontend.device = _open_pn532(where)
        elif not moniker or not frontend.open(moniker):
            raise OSError("no such reader")
    except (*READER_LOST, *GARBLED) as error:
        raise Complaint(
            f'The NFC reader "{moniker}" cannot be opened: {error}. No phone can pay here. '
            "Plug it in, or name another one in the configuration."
        ) from error
    return frontend


def _open_udp(where: str) -> UdpField:
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError("a simulated field is named udp:HOST:PORT")
    return UdpField(host, int(port))


def _open_pn532(path: str) -> nfc.clf.pn532.Device:
    if not path or shlex.quote(path) != path:  # nfcpy hands the path to a shell (stty)
        raise ValueError("a PN532 is named pn532:PATH, the path without blanks or quotes")
    line = TTY(path)
    try:
        device = nfc.clf.pn532.init(line)
    except (*READER_LOST, *GARBLED):
        line.close()
        raise
    device._path = path
    return device
