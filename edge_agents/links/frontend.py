"""nfcpy's reader, mended where real phones and a rough line would break it.

nfcpy has no limit on how often a phone may ask for more time, gives up on a frame that gets lost
then, and reads the answer to select (ATS) at fixed places, though ISO/IEC 14443-4 section 5.2 makes
every byte of it after the first optional. `nfc_radio` uses it, from the reader's one thread.
"""

from __future__ import annotations

import termios

import nfc
import nfc.clf
import nfc.tag
from nfc.clf.pn53x import Chipset

from edge_agents.links.deadline import Deadline

# What nfcpy lets through when frames are torn or are no frames at all (none of it documented).
GARBLED = (
    nfc.clf.Error,
    nfc.tag.TagCommandError,
    Chipset.Error,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
)
# The reader itself does not answer: unplugged, or the line is broken.
READER_LOST = (OSError, termios.error)

_RATS, _I_BLOCK, _NAK, _WTX = 0xE0, 0x02, 0xB2, 0xF2
_DEFAULT_T0, _DEFAULT_TA, _DEFAULT_TB, _DEFAULT_TC = 0x02, 0x00, 0x40, 0x02


class TimeIsUp(Exception):
    """The deadline passed in the middle of an exchange."""


class Frontend(nfc.ContactlessFrontend):  # type: ignore[misc]  # nfcpy has no types
    """nfcpy's reader, with a deadline on every frame and every ATS in full."""

    deadline = Deadline(0)
    _number = 0

    def exchange(self, send_data: bytes, timeout: float) -> bytes:
        """Exchange one frame; TimeIsUp when the deadline has passed, else nfcpy's errors.

        A frame that gets lost while the phone asks for time is asked for again (rule 4 of section
        7.5.4.2); nfcpy does that for all others.
        """
        if send_data[0] & 0xEE == _I_BLOCK:
            self._number = send_data[0] & 0x01
        try:
            return self._exchange_in_time(send_data, timeout)
        except (nfc.clf.TimeoutError, nfc.clf.TransmissionError):
            if send_data[0] != _WTX:
                raise
        return self._exchange_in_time(bytes([_NAK | self._number]), timeout)

    def _exchange_in_time(self, frame: bytes, timeout: float) -> bytes:
        left = self.deadline.left()
        if left <= 0:
            raise TimeIsUp
        answer: bytes = super().exchange(frame, min(timeout, left))
        return complete_ats(bytes(answer)) if frame[0] == _RATS else answer


def complete_ats(ats: bytes) -> bytes:
    """Write an answer to select with all its interface bytes, the absent ones at their default.

    Raises ValueError if it is shorter than it says.
    """
    if not ats or not 1 <= ats[0] <= len(ats):
        raise ValueError("the answer to select is shorter than it says")
    rest = iter(ats[1 : ats[0]])
    t0 = next(rest, _DEFAULT_T0)
    present = (t0 & 0x10, t0 & 0x20, t0 & 0x40)
    defaults = (_DEFAULT_TA, _DEFAULT_TB, _DEFAULT_TC)
    full = [
        next(rest, default) if there else default
        for there, default in zip(present, defaults, strict=True)
    ]
    return bytes([5, 0x70 | t0 & 0x0F, *full])
