"""Hostile parties: they hold good certificates and keys, and say and sign whatever they like.

`Attacker.call` makes any call with any content; `HostileTerminal` and `HostilePhone` make documents
that verify, altered before they are signed. `World` (`world.py`) pairs them with a real switch.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from edge_agents.uplink import reason_of
from kessai.account_number import parse_account
from kessai.channel import open_blocking_channel
from kessai.device_identity import DeviceIdentity
from kessai.envelope import (
    PAYMENT_AUTHORIZATION,
    PAYMENT_REQUEST,
    RELAYED_ANSWER,
    RELAYED_CALL,
    PrivateKey,
    open_signed,
    sign,
)
from kessai.relayed import RELAY_METHOD, call_hash
from kessai.request_id import format_request_id, new_request_id
from kessai.seal import seal
from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentRequest, SettlePaymentRequest
from kessai.v1.relay_pb2 import PassCallRequest, RelayedAnswer, RelayedCall
from simulators.load.documents import agree, ask

LIMIT_S = 30.0
# A stream that has nothing to say is left after so long.
PATIENCE_S = 0.25

Said = TypeVar("Said", bound=Message)
Alter = Callable[[Said], object]


def nothing(_: object) -> None:
    """Leave a document as it is."""


@dataclass(frozen=True)
class Answer:
    """The end of a call: its status, the ErrorReason that it names, and the first response."""

    code: grpc.StatusCode
    reason: str = ""
    response: Any = None


def method_named(full_name: str) -> MethodDescriptor:
    """The descriptor of "/package.Service/Method"."""
    service, _, method = full_name.removeprefix("/").partition("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]


class Attacker:
    """A caller with a certificate, who calls any method with any bytes."""

    def __init__(self, identity: DeviceIdentity) -> None:
        self.identity = identity
        self._channel = open_blocking_channel(identity)

    def close(self) -> None:
        """Close the line."""
        self._channel.close()

    def call(self, method: str, *requests: Message | bytes) -> Answer:
        """Call a method, streaming or not, and wait for its first response or its end."""
        descriptor = method_named(method)
        content = [r if isinstance(r, bytes) else r.SerializeToString() for r in requests]
        parse = GetMessageClass(descriptor.output_type).FromString
        if not (descriptor.client_streaming or descriptor.server_streaming):
            ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method)
            try:
                response = ask(content[0], timeout=LIMIT_S)
            except grpc.RpcError as error:
                return _ended(error)
            return Answer(grpc.StatusCode.OK, response=parse(response))
        return self._first_of(method, descriptor, content, parse)

    def _first_of(
        self,
        method: str,
        descriptor: MethodDescriptor,
        content: list[bytes],
        parse: Callable[[bytes], Message],
    ) -> Answer:
        upload: grpc.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(method)
        follow: grpc.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(method)
        if descriptor.client_streaming:
            call = upload(iter(content), timeout=LIMIT_S)
        else:
            call = follow(content[0], timeout=PATIENCE_S)
        try:
            first = next(iter(call), None)
        except grpc.RpcError as error:
            if _is_silence(error):
                return Answer(grpc.StatusCode.OK)
            return _ended(error)
        finally:
            call.cancel()
        return Answer(grpc.StatusCode.OK, response=None if first is None else parse(first))


class HostileTerminal(Attacker):
    """A terminal whose software is the attacker's own."""

    def __init__(self, identity: DeviceIdentity, key: PrivateKey) -> None:
        super().__init__(identity)
        self.key = key
        _, self.merchant_id, self.terminal_id = identity.device.split("/")

    def ask(
        self, price_minor: int = 100, alter: Alter[PaymentRequest] = nothing
    ) -> tuple[PaymentRequest, Signed]:
        """A payment request, altered and then well signed."""
        request = ask(self.merchant_id, self.terminal_id, price_minor)
        alter(request)
        return request, sign(PAYMENT_REQUEST, request, self.key)

    def settlement(self, asked: tuple[PaymentRequest, Signed], sealed: Sealed) -> Any:  # noqa: ANN401
        """What a terminal sends to have a payment settled."""
        request_id = asked[0].request_id
        return SettlePaymentRequest(
            request_id=format_request_id(request_id) if len(request_id) == 16 else "",
            payment_request=asked[1],
            sealed_authorization=sealed,
        )

    def signed_call(
        self,
        method: str,
        request: Message,
        fleet_id: str = "fleet",
        alter: Alter[RelayedCall] = nothing,
    ) -> Signed:
        """A call for a fleet's server to pass on, altered and then well signed."""
        now_us = time.time_ns() // 1000
        call = RelayedCall(
            call_id=new_request_id(now_us // 1000, os.urandom),
            fleet_id=fleet_id,
            method=method,
            request=request.SerializeToString(),
        )
        call.create_time.FromMicroseconds(now_us)
        alter(call)
        return sign(RELAYED_CALL, call, self.key)


class HostileRelay(Attacker):
    """A fleet's server whose software is the attacker's own; its key signs nothing in earnest."""

    def __init__(self, identity: DeviceIdentity, key: PrivateKey) -> None:
        super().__init__(identity)
        self.key = key

    def pass_call(self, call: Signed) -> Answer:
        """Pass a signed call to the switch."""
        return self.call(RELAY_METHOD, PassCallRequest(call=call))

    def answer(self, call: Signed) -> RelayedAnswer:
        """What the switch signed for a call that it takes."""
        passed = self.pass_call(call)
        assert passed.response is not None, passed
        signed, key = passed.response.answer, self.identity.switch_key
        answer = open_signed(signed, RELAYED_ANSWER, key, RelayedAnswer.FromString)
        assert answer.call_hash == call_hash(call)
        return answer


class HostilePhone(Attacker):
    """A phone whose wallet is the attacker's own."""

    def __init__(self, identity: DeviceIdentity, key: PrivateKey, account_number: str) -> None:
        super().__init__(identity)
        self.key, self.account_number = key, account_number

    def agree(
        self,
        asked: tuple[PaymentRequest, Signed],
        alter: Alter[PaymentAuthorization] = nothing,
        key: PrivateKey | None = None,
    ) -> Sealed:
        """An authorisation of a request: altered, signed with the phone's key, sealed."""
        authorization = agree(*asked, parse_account(self.account_number))
        alter(authorization)
        return self.sealed(sign(PAYMENT_AUTHORIZATION, authorization, key or self.key), asked[1])

    def sealed(self, signed: Signed, signed_request: Signed) -> Sealed:
        """Any signed document, sealed to the switch for a request."""
        info = hashlib.sha256(signed_request.payload).digest()
        return seal(signed.SerializeToString(), self.identity.sealing_key, info)


def _ended(error: grpc.RpcError) -> Answer:
    return Answer(error.code(), reason_of(error))  # type: ignore[arg-type]


def _is_silence(error: grpc.RpcError) -> bool:
    return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
