"""BillService on the wire: translates, decides nothing.

What is decided is decided in `server/switch/bills.py` and `server/identity/wallets.py`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio

from kessai.v1 import bill_pb2 as pb
from kessai.v1.bill_pb2_grpc import BillServiceServicer
from server.identity.callers import current_caller
from server.identity.directory_call import in_thread
from server.identity.wallets import Wallets
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.bills import Bills

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class BillServicer(BillServiceServicer):
    """Serves phones; whose it is stands in the line's certificate."""

    def __init__(self, bills: Bills, wallets: Wallets) -> None:
        self._bills, self._wallets = bills, wallets

    async def SettleBill(
        self, request: pb.SettleBillRequest, context: Context
    ) -> pb.SettleBillResponse:
        """Settle a bill; a decline comes back as a receipt."""
        request_id = fields.request_id(request.request_id)
        if not request.HasField("bill"):
            raise field_invalid("bill", "is missing")
        if not request.HasField("sealed_authorization"):
            raise field_invalid("sealed_authorization", "is missing")
        wallet_id = current_caller().path[0]
        return pb.SettleBillResponse(
            receipt=await self._bills.settle(request, request_id, wallet_id)
        )

    async def GetWalletCertificate(
        self, request: pb.GetWalletCertificateRequest, context: Context
    ) -> pb.GetWalletCertificateResponse:
        """Certify the calling phone's key under its wallet's name."""
        signed = await in_thread(self._wallets.certify, current_caller())
        return pb.GetWalletCertificateResponse(wallet_certificate=signed)
