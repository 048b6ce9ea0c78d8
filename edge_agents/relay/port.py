"""The port of a fleet's server, towards its machines: gRPC with mutual TLS, one method, as bytes.

What a machine sent goes on byte for byte, and so does what the switch answered. Lines, bytes, calls
at once and the time of a call are bounded; of a stranger nothing is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio

from edge_agents.events import Events
from edge_agents.relay.machines import MachineRefused, Machines
from edge_agents.relay.sales import told_of
from edge_agents.relay.switch_line import SwitchLine
from edge_agents.serving_port import (
    MAX_LINES,
    CannotListen,
    ServingCertificate,
    listen_on,
    received,
)
from kessai.channel import LINES_OPTION, RELAY_OPTIONS, is_line_lost
from kessai.complaint import Complaint
from kessai.envelope import PublicKey
from kessai.relayed import RELAY_METHOD, RELAY_SERVICE

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

CALLS_AT_ONCE = 64
# Less than a machine waits for an attempt, so that it hears why there was no answer.
PASS_S, LEAST_S = 2.5, 0.05


class RelayPort:
    """Passes what machines ask."""

    def __init__(
        self, machines: Machines, line: SwitchLine, switch_key: PublicKey, events: Events
    ) -> None:
        self._machines, self._line = machines, line
        self._switch_key, self._events = switch_key, events

    async def pass_call(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        """Pass one call on, and give the answer back, both as they came."""
        certificates = [*context.auth_context().get("x509_pem_cert", ())]
        try:
            pace = self._machines.require(certificates[0] if certificates else b"")
            with pace:
                request = await received(requests)
                if request is None:
                    raise MachineRefused("the call did not come", later=True)
                response = await self._pass(request, context)
        except MachineRefused as refused:
            later = grpc.StatusCode.UNAVAILABLE
            code = later if refused.later else grpc.StatusCode.PERMISSION_DENIED
            await context.abort(code, str(refused))
        told = told_of(request, response, self._switch_key)
        self._events.emit("passed", None, machine=pace.machine, **told)
        return response

    async def _pass(self, request: bytes, context: Context) -> bytes:
        left_s = context.time_remaining()
        limit_s = PASS_S if left_s is None else min(PASS_S, left_s * PASS_S / 3)
        try:
            return await self._line.pass_on(request, max(LEAST_S, limit_s))
        except grpc.aio.AioRpcError as error:
            await _pass_error(error, context)


async def _pass_error(error: grpc.aio.AioRpcError, context: Context) -> NoReturn:
    """Tell a machine what the call ended with here: nobody's word, so it asks again."""
    if is_line_lost(error):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the switch does not answer")
    await context.abort(error.code(), error.details() or "")
    raise error


async def open_port(
    port: RelayPort, listen: str, certificate: ServingCertificate
) -> tuple[grpc.aio.Server, int]:
    """Serve on HOST:PORT; the server, and its port's number. Complaint if that cannot be."""
    options = [*RELAY_OPTIONS, (LINES_OPTION, MAX_LINES)]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=CALLS_AT_ONCE)
    # Without a parser and a serializer what comes and goes is bytes.
    handler: grpc.RpcMethodHandler[bytes, bytes]
    handler = grpc.stream_unary_rpc_method_handler(port.pass_call)
    methods = {RELAY_METHOD.rpartition("/")[2]: handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(RELAY_SERVICE, methods),))
    try:
        number = listen_on(server, listen, certificate)
    except CannotListen:
        raise Complaint(
            f"The relay cannot listen on {listen}: another program may have the port, or it is no "
            "HOST:PORT of this machine. Nothing was passed. Change --listen, or stop the other one."
        ) from None
    await server.start()
    return server, number
