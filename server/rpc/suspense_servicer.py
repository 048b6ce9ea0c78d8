"""SuspenseService on the wire: translates, decides nothing."""

from __future__ import annotations

import re
from typing import Any

import grpc.aio

from kessai.account_number import format_account
from kessai.request_id import format_request_id
from kessai.v1 import suspense_pb2 as pb
from kessai.v1.account_pb2 import EntryKind
from kessai.v1.suspense_pb2_grpc import SuspenseServiceServicer
from server.identity.callers import current_caller
from server.identity.directory_call import in_thread
from server.identity.four_eyes import FourEyes
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch.suspense import Suspended, Suspense

DEFAULT_PAGE, LARGEST_PAGE = 100, 500

_TOKEN = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)

Context = grpc.aio.ServicerContext[Any, Any]


class SuspenseServicer(SuspenseServiceServicer):
    """Serves operators."""

    def __init__(self, suspense: Suspense, four_eyes: FourEyes) -> None:
        self._suspense, self._four_eyes = suspense, four_eyes

    async def ListSuspense(
        self, request: pb.ListSuspenseRequest, context: Context
    ) -> pb.ListSuspenseResponse:
        """List what lies in suspense."""
        size = fields.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE)
        listed = await self._suspense.page(_place(request.page_token), size + 1)
        more = len(listed) > size
        return pb.ListSuspenseResponse(
            entries=map(_entry, listed[:size]),
            next_page_token="{}.{}".format(*listed[size - 1].at) if more else "",
        )

    async def ReleaseSuspense(
        self, request: pb.ReleaseSuspenseRequest, context: Context
    ) -> pb.ReleaseSuspenseResponse:
        """Pay an entry out."""
        request_id = fields.request_id(request.request_id)
        fields.request_id(request.entry_request_id, "entry_request_id")
        fields.account(request.account_number)
        fields.positive_money(request.amount)
        caller, method = current_caller(), "SuspenseService/ReleaseSuspense"
        await in_thread(self._four_eyes.require, caller, method, request)
        decline = await self._suspense.release(request, request_id, caller.path[0])
        return pb.ReleaseSuspenseResponse(decline_reason=decline)


def _place(token: str) -> tuple[int, int]:
    if not token:
        return 0, 0
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise field_invalid("page_token", "is not one that this service gave")
    return int(found[1]), int(found[2])


def _entry(suspended: Suspended) -> pb.SuspenseEntry:
    message = pb.SuspenseEntry(
        entry_request_id=format_request_id(suspended.cause),
        amount=suspended.amount.to_proto(),
        payer_account_number=format_account(suspended.payer),
        payee_account_number=format_account(suspended.payee),
        kind=EntryKind.ValueType(suspended.code),
    )
    message.book_time.FromMicroseconds(suspended.book_us)
    return message
