"""The hub: one of a venue's entrance agents counts for all of them, on the venue's own network.

gRPC with mutual TLS, by the device certificates that pairing gave: the caller must be a terminal of
the same merchant whose certificate is good (`doors`), or nothing of it is read. It works with the
switch out of reach, and what it answered is on the disk. The other doors call it through
`hub_line`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from edge_agents.entrance.book import EntranceBook
from edge_agents.entrance.doors import DoorRefused, Doors
from edge_agents.serving_port import (
    MAX_LINES,
    MAX_PORT,
    CannotListen,
    ServingCertificate,
    listen_on,
    received,
)
from kessai.channel import LINES_OPTION, RELAY_OPTIONS
from kessai.complaint import Complaint
from kessai.envelope import PublicKey
from kessai.request_id import RequestIdError, parse_request_id
from kessai.ticket import MAX_PERSONS, TicketRefused, open_ticket
from kessai.v1 import decline_pb2 as d
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.ticket_pb2_grpc import (
    EntranceHubServiceServicer,
    add_EntranceHubServiceServicer_to_server,
)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_PORT = re.compile(r"(.+):([0-9]{1,5})")


class EntranceHub(EntranceHubServiceServicer):
    """Counts entries in the hub's book, for terminals of one merchant."""

    def __init__(
        self, book: EntranceBook, doors: Doors, merchant_id: str, switch_key: PublicKey
    ) -> None:
        self._book, self._doors, self._merchant_id = book, doors, merchant_id
        self._switch_key = switch_key

    async def CountIn(self, request: pb.CountInRequest, context: Context) -> pb.CountInResponse:
        """Count persons in."""
        request_id = await _request_id(request.request_id, context)
        if not 1 <= request.persons <= MAX_PERSONS:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "persons: 1 to 100")
        try:
            ticket = open_ticket(request.ticket, self._switch_key)
        except TicketRefused as refused:
            return pb.CountInResponse(decline_reason=refused.reason)
        if ticket.offer.merchant_id != self._merchant_id:
            return pb.CountInResponse(decline_reason=d.DECLINE_REASON_TICKET_INVALID)
        left = self._book.count_in(
            request_id, ticket.ticket_id, request.persons, ticket.offer.admits, request.happened
        )
        if left is None:
            return pb.CountInResponse(decline_reason=d.DECLINE_REASON_TICKET_USED)
        return pb.CountInResponse(persons_left=left)

    async def TakeBack(self, request: pb.TakeBackRequest, context: Context) -> pb.TakeBackResponse:
        """Take back what was counted."""
        self._book.take_back(await _request_id(request.request_id, context))
        return pb.TakeBackResponse()

    async def require_own_terminal(self, context: Context) -> None:
        """End a call with PERMISSION_DENIED unless a door of the venue makes it."""
        certificates = [*context.auth_context().get("x509_pem_cert", ())]
        try:
            self._doors.require(certificates[0] if certificates else b"")
        except DoorRefused as refused:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refused))


class _Intake(grpc.aio.ServerInterceptor):
    """Reads requests, of the venue's doors alone and in time.

    Says INVALID_ARGUMENT of bytes that are no request, where gRPC itself says UNKNOWN.
    """

    def __init__(self, require_own_terminal: Callable[[Context], Awaitable[None]]) -> None:
        self._require = require_own_terminal

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401
        """Read the request within the call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None

        async def answer(requests: AsyncIterator[bytes], context: Context) -> Any:  # noqa: ANN401
            await self._require(context)
            raw = await received(requests)
            if raw is None:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request did not come")
            try:
                request = handler.request_deserializer(raw)
            except DecodeError:
                what = "the request is not the message of this method"
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, what)
            return await handler.unary_unary(request, context)

        return grpc.stream_unary_rpc_method_handler(
            answer, response_serializer=handler.response_serializer
        )


async def serve_hub(
    hub: EntranceHub, listen: str, certificate: ServingCertificate
) -> grpc.aio.Server:
    """Serve on HOST:PORT; Complaint if that cannot be."""
    if _PORT.fullmatch(listen) is None or int(listen.rpartition(":")[2]) > MAX_PORT:
        raise Complaint(f'hub_listen is wrong: "{listen}" is not HOST:PORT.')
    server = grpc.aio.server(
        interceptors=[_Intake(hub.require_own_terminal)],
        options=[*RELAY_OPTIONS, (LINES_OPTION, MAX_LINES)],
    )
    add_EntranceHubServiceServicer_to_server(hub, server)
    try:
        listen_on(server, listen, certificate)
    except CannotListen:
        raise Complaint(
            f"The hub cannot listen on {listen}: another program may have the port. Nobody was let "
            "in. Change hub_listen, or stop the other one."
        ) from None
    await server.start()
    return server


async def _request_id(text: str, context: Context) -> bytes:
    try:
        return parse_request_id(text)
    except RequestIdError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"request_id: {error}")
        raise
