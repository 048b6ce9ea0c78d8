"""The concern of identity: at every call, who it is, whether he may, and whether he is revoked.

TLS has verified the chain; gRPC has no revocation lists, so that is done here, against the set that
the directory keeps in memory. A stream that is open when its caller is revoked, or when his
certificate ends, is cut at once, with the same error that his next call gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from kessai.v1 import error_pb2
from server.domain.directory import RevocationList
from server.identity.callers import Caller, Callers, set_current_caller
from server.identity.permissions import is_permitted
from server.identity.refusals import CertificateRefused
from server.rpc.call import Call
from server.rpc.errors import RpcError

_CERTIFICATE = "x509_pem_cert"
_CUT_AFTER_END_S = 0.1


class Guard:
    """Lets in who is known, good and permitted."""

    def __init__(self, callers: Callers, revocations: RevocationList) -> None:
        self._callers = callers
        self._revocations = revocations
        self._streams: dict[int, set[asyncio.Task[Any]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        revocations.on_revoke(self._on_revoke)

    @asynccontextmanager
    async def around(
        self, call: Call, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[None]:
        """Serve the call for a caller who may make it.

        CERTIFICATE_REFUSED for a certificate that is revoked, out of date or not of ours;
        CALLER_NOT_PERMITTED if this kind of caller may not make this call.
        """
        certificate = _certificate_of(context)
        caller = self._callers.read(certificate)
        set_current_caller(caller)
        if call.request_streaming or call.response_streaming:
            self._remember(caller.serial, self._callers.seconds_left(certificate))
        self._require_good(caller)
        if not is_permitted(call.method, caller.kind):
            raise _not_permitted(call, caller)
        try:
            yield
        except asyncio.CancelledError:
            # If it was cut here, one of these says why.
            self._callers.read(certificate)
            self._require_good(caller)
            raise

    def end_streams(self) -> None:
        """Cut all open streams, when the switch stops; from the event loop."""
        for serial in list(self._streams):
            self._cut(serial)

    def _require_good(self, caller: Caller) -> None:
        if self._revocations.is_revoked(caller.serial):
            raise CertificateRefused("this certificate was revoked; ask the operator")

    def _remember(self, serial: int, seconds_left: float) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._loop = task.get_loop()
        self._streams.setdefault(serial, set()).add(task)
        end = self._loop.call_later(seconds_left + _CUT_AFTER_END_S, task.cancel)
        task.add_done_callback(lambda done: self._forget(serial, done, end))

    def _forget(self, serial: int, task: asyncio.Task[Any], end: asyncio.TimerHandle) -> None:
        end.cancel()
        streams = self._streams[serial]
        streams.discard(task)
        if not streams:
            del self._streams[serial]

    def _on_revoke(self, serial: int) -> None:
        # Comes from the thread that wrote the revocation. A stream that begins meanwhile finds
        # itself revoked, because the directory's set was changed before.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut, serial)

    def _cut(self, serial: int) -> None:
        for task in self._streams.get(serial, ()):
            task.cancel()


def _certificate_of(context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    for certificate in context.auth_context().get(_CERTIFICATE, ()):
        return certificate
    raise CertificateRefused("this line shows no certificate")


def _not_permitted(call: Call, caller: Caller) -> RpcError:
    message = f"{caller.device} may not call {call.name}"
    return RpcError(error_pb2.ERROR_REASON_CALLER_NOT_PERMITTED, message)
