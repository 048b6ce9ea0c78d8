"""NFC readers by moniker: nfcpy's own, a PN532 on any serial path, the simulated field.

Used by `radio`, whose docstring lists the monikers.
"""

from __future__ import annotations

import shlex

from nfc.clf.pn532 import Device

from edge_agents.links.frontend import GARBLED, READER_LOST, Frontend
from edge_agents.links.nfc_radio import NfcRadio
from edge_agents.links.pn532 import open_pn532
from edge_agents.links.udp_field import UdpField
from kessai.complaint import Complaint


def open_nfc_radio(moniker: str) -> NfcRadio:
    """Open the NFC reader that a moniker names; Complaint if it is not there or means nothing."""
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


def _open_pn532(path: str) -> Device:
    if not path or shlex.quote(path) != path:  # nfcpy hands the path to a shell (stty)
        raise ValueError("a PN532 is named pn532:PATH, the path without blanks or quotes")
    return open_pn532(path)
