"""The phone's end of nfcpy's simulated field: ISO/IEC 14443-3 type A in datagrams.

The phone listens on the port while it is in the field; the terminal's reader calls it. A datagram
is the bit rate and the frame in hexadecimal, such as "106A 26"; "RFOFF" says that the field went
off. nfcpy's own listener takes every interface and waits in whole seconds, hence this one.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from functools import reduce
from operator import xor

from kessai.complaint import Complaint
from simulators.phone.hce import WalletService
from simulators.phone.iso_dep import Card, IsoDepCard, LeftTheField

_BITRATE = b"106A"
_SENS_REQ = b"\x26"
_SENS_RES = b"\x04\x00"
_SDD_REQ = b"\x93\x20"
_SEL_REQ = b"\x93\x70"
# ISO-DEP and, as many phones say, peer to peer too.
_SEL_RES = b"\x60"
# Type A with a random identifier begins with 08; it says nothing about who it is.
_UID = b"\x08\xa1\xb2\xc3"
_DATAGRAM_BYTES = 2048


class UdpField:
    """The field of the reader that calls this host and port; see `field.Field`.

    Port 0 takes a free one, which is then in `port`.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self.port = host, port
        self._wake: socket.socket | None = None
        self._thread = threading.Thread()

    def make_card(self, answer: Callable[[bytes], bytes]) -> IsoDepCard:
        """Make the card for an app, as Android's card emulation offers it."""
        return IsoDepCard(WalletService(answer))

    def bring(self, card: Card) -> None:
        """Hold a card into the field; Complaint if the port is taken."""
        self.take_away()
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            line.bind((self._host, self.port))
        except OSError as error:
            line.close()
            raise Complaint(
                f"No phone can be held to udp:{self._host}:{self.port}: {error.strerror}. "
                "Another phone may be in that field; take it away first."
            ) from error
        self.port = line.getsockname()[1]
        self._wake, wake = socket.socketpair()
        self._thread = threading.Thread(
            target=_serve, args=(line, wake, card), name="udp-field", daemon=True
        )
        self._thread.start()

    def take_away(self) -> None:
        """Take the card out of the field; nothing if there is none."""
        if self._wake is None:
            return
        self._wake.close()
        self._thread.join()
        self._wake = None

    def close(self) -> None:
        """Take the card away and let go of the port."""
        self.take_away()


def _serve(line: socket.socket, wake: socket.socket, card: Card) -> None:
    selected = False
    with line, wake:
        while wake not in select.select([line, wake], [], [])[0]:
            datagram, reader = line.recvfrom(_DATAGRAM_BYTES)
            frame = _read_datagram(datagram)
            try:
                answer = card.feed(frame) if selected and frame else None
            except LeftTheField:
                break
            if frame in (b"", _SENS_REQ):
                card.deactivate()
                selected = False
            answer = answer or _anticollision(frame)
            selected = selected or answer == _SEL_RES
            if answer:
                line.sendto(_BITRATE + b" " + answer.hex().encode(), reader)
    card.deactivate()


def _read_datagram(datagram: bytes) -> bytes | None:
    """Give the frame; nothing at all if the field went off, None if it is no frame."""
    if datagram.startswith(b"RFOFF"):
        return b""
    bitrate, _, digits = datagram.partition(b" ")
    try:
        frame = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return None
    return frame if frame and bitrate == _BITRATE else None


def _anticollision(frame: bytes | None) -> bytes | None:
    identifier = _UID + bytes([reduce(xor, _UID)])
    answers = {_SENS_REQ: _SENS_RES, _SDD_REQ: identifier, _SEL_REQ + identifier: _SEL_RES}
    return answers.get(frame) if frame else None
