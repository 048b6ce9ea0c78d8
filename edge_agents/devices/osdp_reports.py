"""Status reports of an OSDP reader: the door contact, and faults (SIA OSDP 2.2, status replies).

    osdp_ISTATR    inputs: 0 inactive, 1 active; above 1 the line of a supervised input is broken
    osdp_OSTATR    outputs: the lock's own relay, which says nothing of the door
    osdp_LSTATR    the device: tamper, power; 0 normal
    osdp_RSTATR    its readers: 0 normal, 1 not connected, 2 tampered with

Only the first input at 1 is an open door. A contact that reports a fault tells neither open nor
shut, so nobody is let in by it until it reports sense again; the other faults are only told.
"""

from __future__ import annotations

from osdp import StatusReportType

CONTACT_FAULT = "the door contact reports a fault"
TAMPER = "the door's reader is tampered with"
POWER = "the door's reader has no mains power"
READER_AWAY = "the door's reader is not connected"

_SHUT, _OPEN = 0, 1
_NOT_CONNECTED, _TAMPERED = 1, 2


class OsdpReports:
    """The state of one door, by the reports of its reader."""

    def __init__(self) -> None:
        self.stands_open = False
        # An opening is not missed, however short it was.
        self.openings = 0
        self._faults: dict[int, list[str]] = {}

    @property
    def faults(self) -> list[str]:
        """The faults of the door and its reader, in words."""
        return [fault for kind in sorted(self._faults) for fault in self._faults[kind]]

    @property
    def has_contact(self) -> bool:
        """Whether the door contact can be believed."""
        return CONTACT_FAULT not in self._faults.get(StatusReportType.Input, [])

    def restart(self) -> None:
        """Begin a new connection: shut until reported otherwise. Faults stay until taken back."""
        self.stands_open = False

    def take(self, kind: int, report: bytes) -> None:
        """Take a report; one of an unknown kind, or without a byte, says nothing."""
        if not report:
            return
        if kind == StatusReportType.Input:
            self._take_contact(report[0])
        elif kind == StatusReportType.Local:
            tamper, power = report[0], report[1] if len(report) > 1 else 0
            self._note(kind, [TAMPER] * bool(tamper) + [POWER] * bool(power))
        elif kind == StatusReportType.Remote:
            away, tampered = _NOT_CONNECTED in report, _TAMPERED in report
            self._note(kind, [READER_AWAY] * away + [TAMPER] * tampered)

    def _take_contact(self, state: int) -> None:
        self._note(StatusReportType.Input, [CONTACT_FAULT] if state > _OPEN else [])
        if state in (_SHUT, _OPEN):
            self.openings += state == _OPEN and not self.stands_open
            self.stands_open = state == _OPEN

    def _note(self, kind: int, faults: list[str]) -> None:
        self._faults[kind] = faults
