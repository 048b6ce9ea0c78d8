"""Pairing: a pairing code becomes an identity folder.

The switch is known by the fingerprint of its root in the code: it must match before anything secret
is sent. A pairing that was cut off is repeated with the same code, and gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from kessai.channel import is_line_lost
from kessai.complaint import Complaint, Interrupted
from kessai.device_identity import DeviceIdentity, write_identity
from kessai.durable_file import make_folder
from kessai.enrollment.answer import AnswerRefused, read_answer
from kessai.enrollment.switch_root import fetch_root
from kessai.enrollment.tls_key import next_key, signing_request
from kessai.envelope import PrivateKey, raw_public_key, sign_bytes
from kessai.pairing_code import PairingCode
from kessai.patience import told_if_slow
from kessai.v1.device_pb2 import EnrollDeviceRequest, EnrollDeviceResponse
from kessai.v1.device_pb2_grpc import EnrollmentServiceStub

_PROOF_CONTEXT = b"kessai/enroll/v1\0"
_AFTERWARDS = "Nothing was changed."


class PairingUnsure(Complaint):
    """The answer was lost: the switch may have paired this device."""


def pair(
    pairing: PairingCode,
    folder: Path,
    signing_key: PrivateKey,
    software_version: str,
    timeout_s: float = 10.0,
) -> DeviceIdentity:
    """Pair this device, and write its identity folder; an identity it had before is replaced.

    Complaint if the switch cannot be reached, is another than the code names, refuses the code, or
    answers something that does not hold; PairingUnsure if the answer was lost.
    """
    with told_if_slow(f"the switch at {pairing.server}"):
        return _pair(pairing, folder, signing_key, software_version, timeout_s)


@contextmanager
def cleared_if_refused(folder: Path) -> Iterator[None]:
    """Take away what was made in a folder, and the folder if it was, when a pairing fails.

    Unless the switch may have paired this device: then the same code is good for the same keys.
    """
    before = set(folder.iterdir()) if folder.is_dir() else None
    try:
        yield
    except PairingUnsure:
        raise
    except Complaint:
        for path in set(folder.glob("*")) - (before or set()):
            path.unlink(missing_ok=True)
        if before is None and folder.is_dir():
            folder.rmdir()
        raise
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; the outcome is unknown. Pair again with the same code, into {folder}: it is "
            "done once at most, and the code stays good for ten minutes."
        ) from None


def _pair(
    pairing: PairingCode,
    folder: Path,
    signing_key: PrivateKey,
    software_version: str,
    timeout_s: float,
) -> DeviceIdentity:
    root_pem = fetch_root(pairing, timeout_s)
    make_folder(folder)
    key = next_key(folder)
    content = signing_request(key)
    request = EnrollDeviceRequest(
        pairing_code=pairing.code,
        certificate_signing_request=content,
        signing_public_key=raw_public_key(signing_key.public_key()),
        signing_key_proof=sign_bytes(_PROOF_CONTEXT + content, signing_key),
        software_version=software_version,
    )
    response = _enroll(pairing, root_pem, request, timeout_s)
    try:
        identity = read_answer(response, pairing, root_pem, key, signing_key)
    except AnswerRefused as error:
        raise Complaint(
            f"The switch at {pairing.server} answered what does not hold: {error}. {_AFTERWARDS}"
        ) from None
    write_identity(folder, identity)
    return identity


def _enroll(
    pairing: PairingCode, root_pem: bytes, request: EnrollDeviceRequest, timeout_s: float
) -> EnrollDeviceResponse:
    credentials = grpc.ssl_channel_credentials(root_pem)
    with grpc.secure_channel(pairing.server, credentials) as channel:
        stub = EnrollmentServiceStub(channel)
        try:
            return stub.EnrollDevice(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise _complaint(pairing.server, error) from None


def _complaint(server: str, error: grpc.RpcError) -> Complaint:
    assert isinstance(error, grpc.Call)  # noqa: S101
    if is_line_lost(error):
        return PairingUnsure(
            f"The switch at {server} did not answer. Check the network, and pair again with the "
            "same code: it stays good for ten minutes."
        )
    return Complaint(f"The switch at {server} refused to pair: {error.details()}. {_AFTERWARDS}")
