"""nfcpy's PN532 driver on a serial line, patient and brief.

nfcpy takes a chip that has not acknowledged a command within 0.1 s for unplugged; on a busy machine
that is an answer which nobody has fetched yet. And before every frame it tells the chip three
settings again, which costs 2 ms of a tap for each: here the chip is told what it does not know.
Used by `nfc_reader`.
"""

from __future__ import annotations

import struct

import nfc.clf.pn532
from nfc.clf.transport import TTY

# How long a chip may take to answer, at least; one that was pulled out is noticed at once.
PATIENCE_MS = 1000

# What is set for a phone, and changes by nobody else's hand until the next search.
_TUNING = ("CIU_TxMode", "CIU_RxMode", "CIU_TxAuto")
_RF_FIELD, _RF_TIMINGS = 0x01, 0x02


def open_pn532(path: str) -> nfc.clf.pn532.Device:
    """Open the chip on a serial path; nfcpy's errors if there is none."""
    line = PatientLine(path)
    try:
        device = nfc.clf.pn532.init(line)
    except Exception:
        line.close()
        raise
    device.chipset = BriefChipset(line, device.log)
    device._path = path
    return device


class PatientLine(TTY):  # type: ignore[misc]  # nfcpy has no types
    """A serial line on a machine that has other things to do."""

    def read(self, timeout: int) -> bytearray:
        """Read a frame; OSError if none begins within `timeout` ms, or PATIENCE_MS."""
        frame: bytearray = super().read(max(timeout, PATIENCE_MS))
        return frame


class BriefChipset(nfc.clf.pn532.Chipset):  # type: ignore[misc]  # nfcpy has no types
    """A chip that is told and asked only what is not known already."""

    def __init__(self, transport: TTY, logger: object) -> None:
        super().__init__(transport, logger)
        self._registers: dict[int, int] = {}
        self._timings: dict[int, bytes] = {}

    def in_list_passive_target(
        self, max_tg: int, brty: int, initiator_data: bytes
    ) -> bytearray | None:
        """Search for a card: then the chip sets itself, and nothing is known any more."""
        self._registers, self._timings = {}, {}
        found: bytearray | None = super().in_list_passive_target(max_tg, brty, initiator_data)
        return found

    def rf_configuration(self, cfg_item: int, cfg_data: bytes) -> None:
        """Set the field or timings, if they are not set so."""
        told = bytes(cfg_data)
        if self._timings.get(cfg_item) != told:
            super().rf_configuration(cfg_item, cfg_data)
            if cfg_item in (_RF_FIELD, _RF_TIMINGS):
                self._timings[cfg_item] = told

    def _read_register(self, data: bytes) -> bytes:
        addresses = [address for (address,) in struct.iter_unpack(">H", data)]
        if all(address in self._registers for address in addresses):
            return bytes(self._registers[address] for address in addresses)
        values: bytes = super()._read_register(data)
        self._remember(dict(zip(addresses, values, strict=True)))
        return values

    def _write_register(self, data: bytes) -> None:
        settings = dict(struct.iter_unpack(">HB", data))
        if settings.items() <= self._registers.items():
            return
        super()._write_register(data)
        self._remember(settings)

    def _remember(self, settings: dict[int, int]) -> None:
        tuning = {self.REGBYNAME[name] for name in _TUNING}
        self._registers |= {key: settings[key] for key in settings.keys() & tuning}
