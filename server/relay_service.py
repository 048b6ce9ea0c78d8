"""The relay's service put together: which methods of which servicers a fleet's server reaches."""

from __future__ import annotations

import grpc.aio

from kessai import relayed
from kessai.v1.device_pb2 import RenewCertificateRequest
from kessai.v1.payment_pb2 import (
    CapturePaymentRequest,
    GetPaymentRequest,
    SettlePaymentRequest,
    VoidPaymentRequest,
)
from kessai.v1.relay_pb2_grpc import add_RelayServiceServicer_to_server
from server.identity.keyring import Keyring
from server.identity.relays import Relays
from server.rpc.device_servicer import DeviceServicer
from server.rpc.payment_servicer import PaymentServicer
from server.rpc.relay_servicer import RelayServicer
from server.rpc.relayed_calls import Around, Method, RelayedCalls


def add_relay_service(
    main: grpc.aio.Server,
    around: Around,
    relays: Relays,
    keyring: Keyring,
    payments: PaymentServicer,
    devices: DeviceServicer,
) -> None:
    """Add RelayService, which serves terminals' calls by the servicers that serve them directly."""
    methods = {
        relayed.SETTLE_PAYMENT: Method(SettlePaymentRequest.FromString, payments.SettlePayment),
        relayed.GET_PAYMENT: Method(GetPaymentRequest.FromString, payments.GetPayment),
        relayed.CAPTURE_PAYMENT: Method(CapturePaymentRequest.FromString, payments.CapturePayment),
        relayed.VOID_PAYMENT: Method(VoidPaymentRequest.FromString, payments.VoidPayment),
        relayed.RENEW_CERTIFICATE: Method(
            RenewCertificateRequest.FromString, devices.RenewCertificate
        ),
    }
    servicer = RelayServicer(relays, RelayedCalls(around, methods), keyring.signing_key)
    add_RelayServiceServicer_to_server(servicer, main)
