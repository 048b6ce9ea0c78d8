"""Log marks: the newest places of the switch's logs that a device has seen, kept in its folder.

A receipt names its place (shard and row) and the log's hash up to there, signed by the switch. The
newest of each shard is kept, and shown to the switch at every connection (`GetLogHash`). If the
place is gone or its hash differs, the log was rewritten or restored from an old copy. The same is
held for the deny list, whose version only grows. An alarm stays until the switch shows the places
again. What an accepted restore has lost is told to the owner once; then the marks begin anew.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from google.protobuf.message import DecodeError

from kessai.durable_file import write_durably
from kessai.envelope import read_verified
from kessai.json_file import read_json
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ledger_pb2 import LOG_PLACE_STATE_LOST, LOG_PLACE_STATE_PRESENT, LogPlace
from kessai.v1.payment_pb2 import LogPosition, Receipt

FILE_NAME = "log-marks.json"
# As many as one question may have.
PAGE = 16


class LogMarks:
    """The marks of one device. Methods may run in any thread."""

    def __init__(self, folder: Path) -> None:
        """Read what is there; a file that is damaged is begun anew."""
        self._path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._receipts: dict[int, Signed] = {}
        self.deny_list_version = 0
        self.alarm = self.notice = ""
        self._read()

    def keep(self, receipt: Signed) -> None:
        """Keep the place of a receipt that was verified, if it is its shard's newest.

        A full disk loses the mark, not the receipt: it is kept by whoever calls, before.
        """
        at = _place(receipt)
        if not at.sequence:
            return
        with self._lock:
            self._read()  # another process of this device may have kept something meanwhile
            known = self._receipts.get(at.shard)
            if known is None or _place(known).sequence < at.sequence:
                self._receipts[at.shard] = receipt
                self._write()

    def keep_version(self, version: int) -> None:
        """Keep the newest version of the deny list that was ever heard of."""
        with self._lock:
            if version > self.deny_list_version:
                self.deny_list_version = version
                self._write()

    def set_alarm(self, alarm: str) -> bool:
        """Note why the switch is not believed any more, or "" that it is; whether that is new."""
        with self._lock:
            if alarm == self.alarm:
                return False
            self.alarm = alarm
            self._write()
            return True

    def begin_anew(self, receipts: Sequence[Signed], places: Sequence[LogPlace]) -> str:
        """Forget the places that an accepted restore has lost; what to tell of it, or "".

        It is kept until `take_notice`, too.
        """
        lost = [
            (_place(receipt), place)
            for receipt, place in zip(receipts, places, strict=False)
            if place.state == LOG_PLACE_STATE_LOST
        ]
        if not lost:
            return ""
        at, place = lost[0]
        when = place.restore_time.ToDatetime().strftime("%Y-%m-%d %H:%M UTC")
        told = (
            f"the switch was restored at {when} and lost rows {place.kept_sequence + 1} to "
            f"{at.sequence} or more of shard {at.shard}; its operator accepted that"
        )
        with self._lock:
            for at, _ in lost:
                self._receipts.pop(at.shard, None)
            self.notice = told
            self._write()
        return told

    def take_notice(self) -> str:
        """What is to be told to the owner and was not yet, once."""
        with self._lock:
            notice, self.notice = self.notice, ""
            if notice:
                self._write()
        return notice

    def pages(self) -> Iterator[list[Signed]]:
        """The receipts to ask for, at most PAGE at a time."""
        receipts = [self._receipts[shard] for shard in sorted(self._receipts)]
        for start in range(0, len(receipts), PAGE):
            yield receipts[start : start + PAGE]

    def _read(self) -> None:
        with suppress(OSError, ValueError, KeyError, TypeError, DecodeError):
            content = read_json(self._path)
            receipts = [Signed.FromString(base64.b64decode(each)) for each in content["receipts"]]
            self._receipts = {_place(receipt).shard: receipt for receipt in receipts}
            self.deny_list_version = int(content["deny_list_version"])
            self.alarm = str(content["alarm"])
            self.notice = str(content.get("notice", ""))

    def _write(self) -> None:
        kept = [base64.b64encode(each.SerializeToString()) for each in self._receipts.values()]
        content = {
            "receipts": [text.decode() for text in kept],
            "deny_list_version": self.deny_list_version,
            "alarm": self.alarm,
            "notice": self.notice,
        }
        with suppress(OSError):
            write_durably(self._path, json.dumps(content).encode(), private=True)


def first_difference(receipts: Sequence[Signed], places: Sequence[LogPlace]) -> LogPosition | None:
    """The first place that is not in the log as a receipt says; None if all are, or told LOST."""
    for receipt, place in zip(receipts, places, strict=False):
        at = _place(receipt)
        if place.state == LOG_PLACE_STATE_LOST:
            continue
        if place.state != LOG_PLACE_STATE_PRESENT or place.chain_hash != at.chain_hash:
            return at
    return _place(receipts[len(places)]) if len(places) < len(receipts) else None


def _place(receipt: Signed) -> LogPosition:
    """A receipt's place; one with row 0 if it has none, or cannot be read."""
    try:
        return read_verified(receipt, Receipt).log_position
    except DecodeError:
        return LogPosition()
