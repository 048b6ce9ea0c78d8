"""A door's line to the venue's hub. See `counting.Counter`, which it fills.

The hub's certificate must be that of the terminal that the configuration names: a machine that only
has the hub's address cannot count.
"""

from __future__ import annotations

import grpc
import grpc.aio

from edge_agents.entrance.book import Entry
from edge_agents.entrance.counting import HubAway, HubFailed
from kessai.channel import is_line_lost
from kessai.device_identity import DeviceIdentity
from kessai.identity_path import terminal_host
from kessai.request_id import format_request_id
from kessai.ticket import TicketRefused
from kessai.v1 import decline_pb2 as d
from kessai.v1.ticket_pb2 import CountInRequest, TakeBackRequest
from kessai.v1.ticket_pb2_grpc import EntranceHubServiceStub

ANSWER_S = 1.0

_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # also the time that a handshake may take
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class HubLine:
    """Asks the hub at HOST:PORT, a terminal of the same merchant."""

    def __init__(self, address: str, terminal_id: str, identity: DeviceIdentity) -> None:
        self._address, self._terminal_id = address, terminal_id
        self._open(identity)

    def _open(self, identity: DeviceIdentity) -> None:
        name = terminal_host(identity.names[0], self._terminal_id)
        credentials = grpc.ssl_channel_credentials(
            identity.root_pem, identity.key_pem, identity.chain_pem
        )
        options = [*_OPTIONS, ("grpc.ssl_target_name_override", name)]
        self._channel = grpc.aio.secure_channel(self._address, credentials, options)
        self._stub = EntranceHubServiceStub(self._channel)

    async def renew(self, identity: DeviceIdentity) -> None:
        """Call with a renewed certificate from now on."""
        former = self._channel
        self._open(identity)
        await former.close(grace=2 * ANSWER_S)

    async def close(self) -> None:
        """Close the line."""
        await self._channel.close()

    async def count_in(self, entry: Entry, admits: int, happened: bool = False) -> int | None:
        """Have the hub count an entry, or one that `happened` while it was away.

        TicketRefused if the hub does not take it for a ticket of the venue.
        """
        request = CountInRequest(
            request_id=format_request_id(entry.request_id),
            ticket=entry.ticket,
            persons=entry.persons,
            happened=happened,
        )
        try:
            answer = await self._stub.CountIn(request, timeout=ANSWER_S)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        if answer.decline_reason == d.DECLINE_REASON_TICKET_USED:
            return None
        if answer.decline_reason != d.DECLINE_REASON_UNSPECIFIED:
            raise TicketRefused(answer.decline_reason)
        return answer.persons_left

    async def take_back(self, request_id: bytes) -> None:
        """Have the hub take an entry back."""
        request = TakeBackRequest(request_id=format_request_id(request_id))
        try:
            await self._stub.TakeBack(request, timeout=ANSWER_S)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None


def _failure(error: grpc.aio.AioRpcError) -> HubAway:
    why = error.details() or error.code().name
    return HubAway(why) if is_line_lost(error) else HubFailed(why)
