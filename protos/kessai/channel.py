"""The line to the switch: mutual TLS, keepalive and size limits that both ends must set alike.

Devices and the operator's commands open it with `open_channel`; the server's two ports take
SERVER_OPTIONS and PAIRING_OPTIONS, a fleet's server and a venue's hub RELAY_OPTIONS. Every call on
it needs a deadline: `timeout=CALL_TIMEOUT_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from kessai.device_identity import DeviceIdentity
from kessai.line_trouble import SILENT, trouble_in

# A deadline for every call, and how a caller that must know the outcome asks again. A line that has
# lost its switch waits up to RETRY_LONGEST_S before it looks for it again, so whoever may outlive a
# switch calls with `wait_for_ready` and this deadline.
CALL_TIMEOUT_S = 5.0
RETRY_FIRST_S = 0.2
RETRY_LONGEST_S = 5.0
RETRY_FACTOR = 2.0

# What a switch takes in one message, bytes: in a message of SubmitBatch, and in any other; and what
# a device takes.
MAX_BATCH_BYTES = 256 * 1024
MAX_REQUEST_BYTES = 64 * 1024
MAX_RESPONSE_BYTES = 1024 * 1024

# The most lines that a port of the server takes.
LINES_OPTION = "grpc.max_allowed_incoming_connections"

# A dead line is noticed within 20 s. The server must allow pings this often, or it ends the line
# with "too_many_pings".
_KEEPALIVE_MS = 15_000
_KEEPALIVE_TIMEOUT_MS = 5_000

# How long a line may take to its end of the handshake, and how long it may then do nothing.
_HANDSHAKE_MS = 10_000
_IDLE_MS, _PAIRING_IDLE_MS = 1_800_000, 60_000

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_send_message_length", MAX_BATCH_BYTES),
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ("grpc.max_reconnect_backoff_ms", int(RETRY_LONGEST_S * 1000)),
    ("grpc.initial_reconnect_backoff_ms", int(RETRY_FIRST_S * 1000)),
    ("grpc.min_reconnect_backoff_ms", 1000),
)
_SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_MS // 2),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", _KEEPALIVE_MS // 2),
    ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
    ("grpc.max_concurrent_streams", 100),
    ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
    # Or what is sent and not read yet may fill megabytes of the server, for each line.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.so_reuseport", 0),
)
SERVER_OPTIONS = (
    *_SERVER_OPTIONS,
    ("grpc.max_connection_idle_ms", _IDLE_MS),
    ("grpc.max_receive_message_length", MAX_BATCH_BYTES),
)
# The port of a fleet's server, towards its machines, and of a venue's hub, towards its doors.
RELAY_OPTIONS = (
    *_SERVER_OPTIONS,
    ("grpc.max_connection_idle_ms", _IDLE_MS),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
)
PAIRING_OPTIONS = (
    *_SERVER_OPTIONS,
    ("grpc.max_connection_idle_ms", _PAIRING_IDLE_MS),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
)

_HEALTH = "/grpc.health.v1.Health/Check"

# How gRPC says UNKNOWN of a line that broke, or brought nonsense, while an answer was coming.
_BROKE = "Stream removed"

Answer = TypeVar("Answer")


def open_channel(identity: DeviceIdentity) -> grpc.aio.Channel:
    """Open the line of a device. It connects by itself, and again after every loss.

    The switch is accepted only with a server certificate below the identity's root and for its
    address. The certificate is read here: open a new channel after a renewal.
    """
    return grpc.aio.secure_channel(identity.server_address, _credentials(identity), CHANNEL_OPTIONS)


def open_blocking_channel(identity: DeviceIdentity) -> grpc.Channel:
    """Open the same line for calls that block their thread, as a phone's own threads make them."""
    return grpc.secure_channel(
        identity.server_address, _credentials(identity), list(CHANNEL_OPTIONS)
    )


async def ask_why(channel: grpc.aio.Channel) -> str:
    """Why a line does not serve, a sentence after one more try; "" if nobody is there."""
    call = channel.unary_unary(_HEALTH, request_serializer=bytes, response_deserializer=bytes)
    try:
        await call(b"", timeout=CALL_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return SILENT
        return trouble_in(error.details())
    return ""


def is_line_lost(error: grpc.RpcError) -> bool:
    """Whether a failed call has no answer: nobody was there, in time, or the line broke.

    A switch that says so itself, with an ErrorInfo, has the same codes.
    """
    call = cast(grpc.Call, error)
    if call.code() is grpc.StatusCode.UNKNOWN:
        return (call.details() or "").startswith(_BROKE)
    return call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def ask_until_answered(method: Callable[..., Answer], request: Message, limit_s: float) -> Answer:
    """The answer to a blocking call, asked again with the same bytes while the switch is away.

    grpc.RpcError if it refuses, or is away for `limit_s` seconds. The request carries its own
    request id, or changes nothing.
    """
    deadline = time.monotonic() + limit_s
    while True:
        left_s = max(0.0, deadline - time.monotonic())
        try:
            return method(request, timeout=left_s, wait_for_ready=True)
        except grpc.RpcError as error:
            late = cast(grpc.Call, error).code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if late or not is_line_lost(error) or left_s <= RETRY_FIRST_S:
                raise
        time.sleep(RETRY_FIRST_S)


def _credentials(identity: DeviceIdentity) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(identity.root_pem, identity.key_pem, identity.chain_pem)
