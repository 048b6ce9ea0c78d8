"""What an interceptor knows of a call before it is served: its method and its shape."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import grpc.aio


@dataclass(frozen=True, slots=True)
class Call:
    """A method, "/kessai.v1.PaymentService/SettlePayment", and whether either side streams."""

    method: str
    request_streaming: bool
    response_streaming: bool

    @property
    def service(self) -> str:
        """The service: "kessai.v1.PaymentService"."""
        return self.method[1:].rpartition("/")[0]

    @property
    def name(self) -> str:
        """The method alone: "SettlePayment"."""
        return self.method.rpartition("/")[2]

    @property
    def grpc_type(self) -> str:
        """The shape, as metrics conventionally name it."""
        if self.request_streaming:
            return "bidi_stream" if self.response_streaming else "client_stream"
        return "server_stream" if self.response_streaming else "unary"


class Concern(Protocol):
    """One thing that is done around every call: identity, errors, or telemetry."""

    @property
    def around(
        self,
    ) -> Callable[[Call, grpc.aio.ServicerContext[Any, Any]], AbstractAsyncContextManager[None]]:
        """Enter before the call is served, leave when it has ended."""
