"""Health on the wire: the library's service, and `List`, which the library leaves out."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc.aio
from grpc_health.v1 import health, health_pb2

_SERVING = health_pb2.HealthCheckResponse.SERVING

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]  # it has no types
    """The health of the switch ("") and of each service."""

    def __init__(self, services: tuple[str, ...]) -> None:
        super().__init__()
        self._names = ("", *services)

    async def serve_all(self) -> None:
        """Say of the switch and all its services that they serve."""
        for name in self._names:
            await self.set(name, _SERVING)

    async def List(
        self, request: health_pb2.HealthListRequest, context: Context
    ) -> health_pb2.HealthListResponse:
        """The state of the switch and of each of its services."""
        states = {
            name: await self.Check(health_pb2.HealthCheckRequest(service=name), context)
            for name in self._names
        }
        return health_pb2.HealthListResponse(statuses=states)
