"""The concern of identity: at every call, who it is, whether he may, and whether he is revoked.

TLS has verified the chain; gRPC has no revocation lists, so that is done here, against the set that
the directory keeps in memory. A stream that is open when its caller is revoked, or when his
certificate ends, is cut at once, with the same error that his next call gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from google.rpc import status_pb2  # type: ignore[import-untyped]

from kessai.v1 import error_pb2
from server.domain.directory import RevocationList
from server.identity.callers import Caller, Callers, set_current_caller
from server.identity.permissions import is_permitted
from server.identity.refusals import CertificateRefused
from server.rpc.call import Call
from server.rpc.cutting import Context, Cutter, Stream
from server.rpc.errors import RpcError, status_of

_CERTIFICATE = "x509_pem_cert"
_CUT_AFTER_END_S = 0.1

_REVOKED = "this certificate was revoked; ask the operator"
_STRAY = (
    "this certificate was issued after the backup that these books were restored from, and its "
    "device is revoked or unknown here; ask the operator"
)
_ENDED = "this certificate has ended; renew it, or have the device paired again"
_STOPS = status_pb2.Status(
    code=grpc.StatusCode.UNAVAILABLE.value[0], message="the switch stops; call again"
)


class Guard:
    """Lets in who is known, good and permitted."""

    def __init__(self, callers: Callers, revocations: RevocationList) -> None:
        self._callers = callers
        self._revocations = revocations
        self._streams: dict[Caller, set[Stream]] = {}
        self._cutter = Cutter()
        self._loop: asyncio.AbstractEventLoop | None = None
        revocations.on_revoke(self._on_revoke)

    @asynccontextmanager
    async def around(self, call: Call, context: Context) -> AsyncIterator[None]:
        """Serve the call for a caller who may make it.

        CERTIFICATE_REFUSED for a certificate that is revoked, out of date or not of ours;
        CALLER_NOT_PERMITTED if this kind of caller may not make this call.
        """
        certificate = _certificate_of(context)
        caller = self._callers.read(certificate)
        set_current_caller(caller)
        self._require_good(caller)
        if not is_permitted(call.method, caller.kind):
            raise _not_permitted(call, caller)
        if call.request_streaming or call.response_streaming:
            # By itself, else a status that comes while the first answer is sent would send it too.
            await context.send_initial_metadata(())
            self._remember(context, caller, self._callers.seconds_left(certificate))
            self._require_good(caller)
        yield

    def end_streams(self) -> None:
        """Cut all open streams, when the switch stops; from the event loop."""
        for caller in list(self._streams):
            self._cut(caller, _STOPS)

    def _require_good(self, caller: Caller) -> None:
        if self._revocations.is_revoked(caller.serial):
            raise CertificateRefused(_REVOKED)
        if self._revocations.is_stray(caller.device, caller.serial, caller.begin_us):
            raise CertificateRefused(_STRAY)

    def _remember(self, context: Context, caller: Caller, seconds_left: float) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._loop = task.get_loop()
        stream = Stream(task, context)
        self._streams.setdefault(caller, set()).add(stream)
        after = seconds_left + _CUT_AFTER_END_S
        end = self._loop.call_later(after, self._cutter.cut, stream, _refused(_ENDED))
        task.add_done_callback(lambda _: self._forget(caller, stream, end))

    def _forget(self, caller: Caller, stream: Stream, end: asyncio.TimerHandle) -> None:
        end.cancel()
        streams = self._streams[caller]
        streams.discard(stream)
        if not streams:
            del self._streams[caller]

    def _on_revoke(self, device: str) -> None:
        # Comes from the thread that wrote the revocation. A stream that begins meanwhile finds
        # itself revoked, because the directory's set was changed before.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut_refused, device)

    def _cut_refused(self, device: str) -> None:
        """Cut a device's streams whose certificate is not good any more, known here or not."""
        for caller in [each for each in self._streams if each.device == device]:
            try:
                self._require_good(caller)
            except CertificateRefused as refused:
                self._cut(caller, _refused(str(refused)))

    def _cut(self, caller: Caller, why: status_pb2.Status) -> None:
        for stream in self._streams.get(caller, ()):
            self._cutter.cut(stream, why)


def _refused(message: str) -> status_pb2.Status:
    return status_of(RpcError(error_pb2.ERROR_REASON_CERTIFICATE_REFUSED, message))


def _certificate_of(context: Context) -> bytes:
    for certificate in context.auth_context().get(_CERTIFICATE, ()):
        return certificate
    raise CertificateRefused("this line shows no certificate")


def _not_permitted(call: Call, caller: Caller) -> RpcError:
    message = f"{caller.device} may not call {call.name}"
    return RpcError(error_pb2.ERROR_REASON_CALLER_NOT_PERMITTED, message)
