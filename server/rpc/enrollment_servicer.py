"""EnrollmentService, on the pairing port: a device with a pairing code asks for its identity."""

from __future__ import annotations

from typing import Any

import grpc.aio

from kessai.account_number import format_account
from kessai.identity_path import format_identity
from kessai.v1.device_pb2 import EnrollDeviceRequest, EnrollDeviceResponse, TrustBundle
from kessai.v1.device_pb2_grpc import EnrollmentServiceServicer
from kessai.v1.envelope_pb2 import Signed
from server.identity.directory_call import in_thread
from server.identity.enrollment import Application, Enrollment
from server.rpc.peer import network_of


class EnrollmentServicer(EnrollmentServiceServicer):
    """Translates; `Enrollment` decides."""

    def __init__(
        self, enrollment: Enrollment, trust: TrustBundle, domain: str, main_address: str
    ) -> None:
        self._enrollment = enrollment
        self._trust = trust
        self._domain = domain
        self._main_address = main_address

    async def EnrollDevice(
        self, request: EnrollDeviceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> EnrollDeviceResponse:
        """Pair a device: FIELD_INVALID, PAIRING_REFUSED, OVERLOADED."""
        application = Application(
            request.pairing_code,
            request.certificate_signing_request,
            request.signing_public_key,
            request.signing_key_proof,
            request.software_version,
        )
        issued, accounts = await in_thread(
            self._enrollment.enroll, application, network_of(context.peer())
        )
        response = EnrollDeviceResponse(
            certificate_chain=issued.chain,
            trust_bundle=self._trust,
            account_numbers=[format_account(account) for account in accounts],
            server_address=self._main_address,
            identity=format_identity(self._domain, issued.device),
        )
        if issued.merchant_certificate:
            response.merchant_certificate.CopyFrom(Signed.FromString(issued.merchant_certificate))
        return response
