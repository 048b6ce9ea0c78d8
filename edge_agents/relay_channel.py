"""The line of a machine that has none to the switch: every call goes through its fleet's server.

To whoever calls it is a channel like that to the switch. Each call is signed with the terminal's
key, and of what comes back only the switch's signed answer to that very call counts, also for an
error. What the fleet's server says itself is no answer: the call failed, the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from edge_agents.relay_address import RelayAddress
from kessai.channel import CHANNEL_OPTIONS, ask_why
from kessai.device_identity import DeviceIdentity
from kessai.envelope import RELAYED_ANSWER, RELAYED_CALL, EnvelopeError, open_signed, sign
from kessai.identity_path import relay_host
from kessai.relayed import PACKAGE, RELAY_METHOD, RELAYED_METHODS, call_hash
from kessai.request_id import new_request_id
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.relay_pb2 import PassCallRequest, PassCallResponse, RelayedAnswer, RelayedCall

_DETAILS = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}

Serialize = Callable[[Any], bytes]
Parse = Callable[[bytes], Any]


class RelayChannel(grpc.aio.Channel):
    """A channel to the switch through a fleet's server, for the calls that are passed on."""

    def __init__(
        self,
        relay: RelayAddress,
        identity: DeviceIdentity,
        signing_key: Ed25519PrivateKey,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._relay, self._signing_key = relay, signing_key
        self._switch_key = identity.switch_key
        self._now_us, self._random_bytes = now_us, random_bytes
        credentials = grpc.ssl_channel_credentials(
            identity.root_pem, identity.key_pem, identity.chain_pem
        )
        host = ("grpc.ssl_target_name_override", relay_host(relay.fleet_id))
        self._line = grpc.aio.secure_channel(relay.address, credentials, (*CHANNEL_OPTIONS, host))
        self._pass: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        self._pass = self._line.unary_unary(RELAY_METHOD)

    def unary_unary(  # type: ignore[override]
        self,
        method: str,
        request_serializer: Serialize | None = None,
        response_deserializer: Parse | None = None,
        _registered_method: bool | None = False,
    ) -> Callable[..., Awaitable[Any]]:
        """A call of the switch; one that is not passed on fails with UNIMPLEMENTED."""
        name = method.removeprefix(PACKAGE)
        serialize, parse = request_serializer or bytes, response_deserializer or bytes
        if name not in RELAYED_METHODS:
            return self.unary_stream(method)

        async def call(
            request: Any,  # noqa: ANN401
            *,
            timeout: float | None = None,  # noqa: ASYNC109
            wait_for_ready: bool | None = None,
        ) -> Any:  # noqa: ANN401
            signed = self._sign(name, serialize(request))
            message = PassCallRequest(call=signed).SerializeToString()
            try:
                answer = await self._pass(message, timeout=timeout, wait_for_ready=wait_for_ready)
            except grpc.aio.AioRpcError as error:
                raise _unsigned(error) from None
            return parse(self._open(answer, signed))

        return call

    def unary_stream(self, method: str, *_: Any, **__: Any) -> Callable[..., NoReturn]:  # type: ignore[override]  # noqa: ANN401
        """A call that is not passed on: it fails with UNIMPLEMENTED."""

        def call(*_: Any, **__: Any) -> NoReturn:  # noqa: ANN401
            name = method.removeprefix(PACKAGE)
            raise _error(
                grpc.StatusCode.UNIMPLEMENTED, f"{name} does not go through a fleet's server"
            )

        return call

    stream_unary = stream_stream = unary_stream  # type: ignore[assignment]

    async def close(self, grace: float | None = None) -> None:
        """Close the line to the fleet's server."""
        await self._line.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The state of the line to the fleet's server."""
        return self._line.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the line to the fleet's server is in another state."""
        await self._line.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the line to the fleet's server stands."""
        await self._line.channel_ready()

    async def ask_why(self) -> str:
        """Why the line does not open, as far as certificates are at fault; else ""."""
        return await ask_why(self._line)

    async def __aenter__(self) -> RelayChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _sign(self, method: str, request: bytes) -> Signed:
        now_us = self._now_us()
        call = RelayedCall(
            call_id=new_request_id(now_us // 1000, self._random_bytes),
            fleet_id=self._relay.fleet_id,
            method=method,
            request=request,
        )
        call.create_time.FromMicroseconds(now_us)
        return sign(RELAYED_CALL, call, self._signing_key)

    def _open(self, answer: bytes, call: Signed) -> bytes:
        """The response that the switch signed for a call; AioRpcError if there is none."""
        try:
            signed = PassCallResponse.FromString(answer).answer
            opened = open_signed(signed, RELAYED_ANSWER, self._switch_key, RelayedAnswer.FromString)
        except (DecodeError, EnvelopeError) as error:
            raise _error(
                grpc.StatusCode.DATA_LOSS, f"the fleet's server altered the bank's answer ({error})"
            ) from None
        if opened.call_hash != call_hash(call):
            raise _error(
                grpc.StatusCode.DATA_LOSS, "the fleet's server gave the answer to another call"
            )
        if opened.WhichOneof("result") == "status":
            raise _signed_error(opened.status)
        return opened.response


def _signed_error(content: bytes) -> grpc.aio.AioRpcError:
    """The error that the switch signed, as a call on a line of one's own ends with it."""
    status = Status.FromString(content)
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return _error(code, status.message, grpc.aio.Metadata((_DETAILS, content)))


def _unsigned(error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
    """An error that nobody signed: whatever reason it names is not the switch's word."""
    return _error(error.code(), error.details() or "")


def _error(
    code: grpc.StatusCode, details: str, trailing: grpc.aio.Metadata | None = None
) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing or grpc.aio.Metadata(), details)
