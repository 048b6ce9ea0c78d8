"""The phone's holder key: proves that this phone is here, without PIN and without the switch.

A real phone keeps the key in its secure element; here it is a file of mode 0600 beside the
credential that the switch gave for it. Made and renewed over the phone's own line (`bank_line`),
used by `wallet` at gates, doors and terminals that are cut off (mission rows B4, B10).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.message import DecodeError

from kessai.complaint import Complaint
from kessai.durable_file import write_durably
from kessai.envelope import PublicKey, raw_public_key, sign_bytes
from kessai.holder import Asked, Holder, HolderRefused, key_proof_input, open_credential, prove
from kessai.pem import private_key_of
from kessai.ticket import Entrance, prove_holder
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.holder_pb2 import HolderAnswer
from kessai.v1.tap_pb2 import TicketAnswer

_KEY_FILE, _CREDENTIAL_FILE = "holder.key", "holder.bin"


class HolderKey:
    """The holder key in a phone's folder, and its credential once the switch has given one."""

    def __init__(self, folder: Path, switch_key: PublicKey) -> None:
        """Open it, making the key if there is none; Complaint if it is damaged."""
        self._path = folder / _CREDENTIAL_FILE
        self._switch_key = switch_key
        self._key = _read_or_make(folder / _KEY_FILE)
        self._credential: Signed | None = None
        self.holder: Holder | None = None
        if self._path.exists():
            self._take(self._path.read_bytes())

    @property
    def public_key(self) -> bytes:
        """The raw public key, 65 bytes."""
        return raw_public_key(self._key.public_key())

    def prove_possession(self, request_id: bytes) -> bytes:
        """Sign what proves to the switch that this phone holds the key; 64 bytes."""
        return sign_bytes(key_proof_input(request_id), self._key)

    def is_renewal_due(self, now_us: int) -> bool:
        """Tell whether there is no credential, or a third of its life is over."""
        if self.holder is None:
            return True
        return now_us >= self.holder.issue_us + (self.holder.expire_us - self.holder.issue_us) // 3

    def keep(self, credential: Signed) -> None:
        """Keep a new credential durably; Complaint if it is not the switch's, or another key's."""
        raw = credential.SerializeToString()
        try:
            if open_credential(credential, self._switch_key).public_key != self.public_key:
                raise Complaint("The bank's credential is for another phone. It was not kept.")
        except HolderRefused:
            raise Complaint("The bank's credential does not verify. It was not kept.") from None
        write_durably(self._path, raw)
        self._take(raw)

    def answer(self, asked: Asked, now_us: int) -> HolderAnswer | None:
        """Prove to a terminal that this phone is here; None without a credential in date."""
        if self._credential is None or self.holder is None or now_us >= self.holder.expire_us:
            return None
        return prove(self._credential, self._key, asked)

    def show_ticket(self, ticket: Signed, persons: int, entrance: Entrance) -> TicketAnswer:
        """Show a ticket, and prove that this phone is its holder; needs no credential."""
        return prove_holder(ticket, persons, self._key, entrance)

    def show_certificate(
        self, ticket: Signed, amount_minor: int, counter: Entrance
    ) -> TicketAnswer:
        """Show a gift certificate for an amount, and prove that this phone is its holder."""
        return prove_holder(ticket, 0, self._key, counter, amount_minor)

    def _take(self, raw: bytes) -> None:
        try:
            signed = Signed.FromString(raw)
            holder = open_credential(signed, self._switch_key)
        except (DecodeError, HolderRefused):
            return  # a damaged credential is none: the phone asks for another
        if holder.public_key == self.public_key:
            self._credential, self.holder = signed, holder


def _read_or_make(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = private_key_of(path.read_bytes())
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_durably(path, pem, private=True)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Complaint(
            f"The phone's key {path} is damaged. The money is safe with the bank; what was issued "
            "to this phone must be issued anew: delete the file."
        )
    return key
