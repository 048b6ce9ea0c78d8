"""What a certificate is about to pay, on the disk before the switch hears of it (design rule 4).

One at a time in a terminal's folder. Used by `desk`.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError

from kessai.complaint import Complaint
from kessai.durable_file import remove_durably, write_durably
from kessai.v1.ticket_pb2 import Redemption

FILE_NAME = "certificate.pending"


class Pending:
    """The file of one redemption; a write is on the disk when the call returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def keep(self, use: Redemption) -> None:
        """Keep it until its result is known; Complaint if the disk does not take it."""
        try:
            write_durably(self._path, use.SerializeToString())
        except OSError as error:
            raise Complaint(
                f"{self._path} cannot be written ({error.strerror}). Nothing was paid."
            ) from None

    def read(self) -> Redemption | None:
        """Give the one whose result is not known; None if there is none."""
        try:
            return Redemption.FromString(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, DecodeError) as error:
            raise Complaint(
                f"{self._path} cannot be read ({error}). Whether that certificate paid, the switch "
                "knows: `kessai ticket show` tells what is left of it. Then remove the file."
            ) from None

    def forget(self) -> None:
        """Remove it, its result being known."""
        remove_durably(self._path)
