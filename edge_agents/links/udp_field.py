"""nfcpy's simulated field over UDP, at the speed of a real one.

The phone listens on the port, the terminal's reader calls it. The stock driver waits a whole second
for a phone, takes a late answer for the next one, and passes on whatever a broken datagram raises;
this one does none of it.
"""

from __future__ import annotations

import socket

import nfc.clf
import nfc.clf.udp
from nfc.clf import RemoteTarget

# How long a phone in the field has to answer the first call.
POLL_S = 0.02

_NAK, _WTX = 0xB2, 0xF2


class UdpField(nfc.clf.udp.Device):  # type: ignore[misc]  # nfcpy has no types
    """The reader's end of nfcpy's UDP field."""

    def __init__(self, host: str, port: int) -> None:
        # Not nfcpy's own: it looks the port up in /etc/services and trips over its name.
        self.addr = (socket.gethostbyname(host), port)
        self.socket: socket.socket | None = None
        self._create_socket()
        self._path = f"udp:{host}:{port}"
        self._vendor_name, self._device_name, self._chipset_name = "nfcpy", "UDP field", "UDP"
        self._calling = False
        self._former = bytearray()

    def sense_tta(self, target: RemoteTarget) -> RemoteTarget | None:
        """Call for a phone, and give it the time of one poll to answer the first call."""
        self._calling, self._former = True, bytearray()
        return super().sense_tta(target)

    def send_cmd_recv_rsp(self, target: RemoteTarget, data: bytes, timeout: float) -> bytearray:
        """Exchange a frame; what is said twice, because we asked again too early, is heard once.

        Blocks alternate their number (ISO/IEC 14443-4, rules A to E), so the same answer to a new
        block is always the former one; only after a NAK or S(WTX) may it be meant.
        """
        answer: bytearray = super().send_cmd_recv_rsp(target, data, timeout)
        while answer == self._former and not _asks_again(data):
            answer = super().send_cmd_recv_rsp(target, None, timeout)
        self._former = answer
        return answer

    def _recv_data(self, timeout: float, *brty_list: str) -> tuple[str, bytearray, object]:
        if self._calling:
            timeout, self._calling = POLL_S, False
        try:
            received: tuple[str, bytearray, object] = super()._recv_data(timeout, *brty_list)
        except ValueError as error:
            raise nfc.clf.TransmissionError("not a datagram of the field") from error
        return received


def _asks_again(frame: bytes) -> bool:
    return frame[0] & 0xF6 == _NAK or frame[0] == _WTX
