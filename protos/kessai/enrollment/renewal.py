"""Renewal: a device asks for its next certificate when two thirds of this one's life are over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.channel import CALL_TIMEOUT_S
from kessai.complaint import Complaint
from kessai.device_identity import CHAIN_FILE, MERCHANT_FILE, DeviceIdentity, load_identity
from kessai.durable_file import write_durably
from kessai.enrollment.answer import AnswerRefused, check_chain, check_merchant
from kessai.enrollment.tls_key import next_key, signing_request
from kessai.request_id import format_request_id, new_request_id
from kessai.v1.device_pb2 import RenewCertificateRequest, RenewCertificateResponse
from kessai.v1.device_pb2_grpc import DeviceServiceStub


async def renew_if_due(
    folder: Path, now_us: Callable[[], int], channel: grpc.aio.Channel
) -> DeviceIdentity | None:
    """Renew the certificate if it is time; None if it is not.

    The identity that comes back is written already: open a new channel with it. Complaint if the
    answer does not hold, or the disk takes nothing; grpc.aio.AioRpcError if the switch refuses or
    is not there: try later.
    """
    identity = load_identity(folder)
    if not identity.is_renewal_due(now_us()):
        return None
    try:
        return await _renew(folder, identity, channel)
    except OSError as error:
        raise Complaint(
            f"The certificate of {identity.device} cannot be renewed in {folder} "
            f"({error.strerror or error}). The present one stays in use; look at the disk."
        ) from None


async def _renew(
    folder: Path, identity: DeviceIdentity, channel: grpc.aio.Channel
) -> DeviceIdentity:
    key = next_key(folder)
    request = _request(identity, key)
    stub = DeviceServiceStub(channel)
    response = await stub.RenewCertificate(request, timeout=CALL_TIMEOUT_S)
    _install(folder, identity, key, response)
    return load_identity(folder)


def _request(identity: DeviceIdentity, key: ec.EllipticCurvePrivateKey) -> RenewCertificateRequest:
    # The id follows from what is asked, so a repeat after a crash is the same request.
    content = signing_request(key)
    request_id = new_request_id(
        identity.begin_us // 1000, lambda length: hashlib.sha256(content).digest()[:length]
    )
    return RenewCertificateRequest(
        request_id=format_request_id(request_id), certificate_signing_request=content
    )


def _install(
    folder: Path,
    identity: DeviceIdentity,
    key: ec.EllipticCurvePrivateKey,
    response: RenewCertificateResponse,
) -> None:
    merchant = response.merchant_certificate
    try:
        check_chain(response.certificate_chain, identity.root_pem, identity.identity, key)
        if identity.merchant_certificate is not None:
            check_merchant(merchant, identity)
    except AnswerRefused as error:
        raise Complaint(
            f"The switch renewed {identity.device} wrongly: {error}. The present certificate "
            "stays in use; tell the operator."
        ) from None
    if identity.merchant_certificate is not None:
        write_durably(folder / MERCHANT_FILE, merchant.SerializeToString())
    # From here on the new key counts: load_identity finds it by the certificate.
    write_durably(folder / CHAIN_FILE, response.certificate_chain)
