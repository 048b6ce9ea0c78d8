"""How a call fails: an ErrorReason, its gRPC code, and google.rpc.Status details (AIP-193).

Servicers raise RpcError, identity a Refusal; `ErrorTranslation` turns both into the status of the
call. Anything else that escapes a servicer is a fault of ours: the caller gets INTERNAL and a
number, the log the traceback under the same number. Errors are for what is malformed,
unauthenticated, in conflict or unavailable; a decline is a result (design rule 6).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import grpc.aio
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from kessai.v1 import error_pb2 as e
from kessai.v1.error_pb2 import ErrorReason
from server.identity.refusals import Refusal
from server.rpc.call import Call

DOMAIN = "kessai"

CODES: dict[ErrorReason.ValueType, grpc.StatusCode] = {
    e.ERROR_REASON_FIELD_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    e.ERROR_REASON_REQUEST_ID_REUSED: grpc.StatusCode.ALREADY_EXISTS,
    e.ERROR_REASON_REQUEST_ID_STALE: grpc.StatusCode.FAILED_PRECONDITION,
    e.ERROR_REASON_CERTIFICATE_REFUSED: grpc.StatusCode.UNAUTHENTICATED,
    e.ERROR_REASON_CALLER_NOT_PERMITTED: grpc.StatusCode.PERMISSION_DENIED,
    e.ERROR_REASON_RESOURCE_UNKNOWN: grpc.StatusCode.NOT_FOUND,
    e.ERROR_REASON_PAIRING_REFUSED: grpc.StatusCode.PERMISSION_DENIED,
    e.ERROR_REASON_STORE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    e.ERROR_REASON_OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    e.ERROR_REASON_RESOURCE_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    e.ERROR_REASON_INTERNAL: grpc.StatusCode.INTERNAL,
    e.ERROR_REASON_DAILY_LIMIT_REACHED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    e.ERROR_REASON_APPROVAL_NEEDED: grpc.StatusCode.FAILED_PRECONDITION,
    e.ERROR_REASON_SLOTS_MOVING: grpc.StatusCode.FAILED_PRECONDITION,
    e.ERROR_REASON_RESOURCE_IN_USE: grpc.StatusCode.FAILED_PRECONDITION,
}

_INCIDENT_BYTES = 6
_log = structlog.get_logger("kessai.rpc")


class FieldViolation(NamedTuple):
    """A field of the request, by its name in the proto, and what is wrong with it."""

    field: str
    description: str


class RpcError(Exception):
    """The call fails with a reason, a message for people, and the fields that are at fault.

    `retry_s`: when to try again, in seconds; 0: that is not known. `rule`: which of a reason's
    rules is broken, for machines.
    """

    def __init__(
        self,
        reason: ErrorReason.ValueType,
        message: str,
        violations: Sequence[FieldViolation] = (),
        retry_s: float = 0.0,
        rule: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.retry_s, self.rule = retry_s, rule


def field_invalid(field: str, description: str) -> RpcError:
    """Make the error for one bad field (FIELD_INVALID)."""
    violation = FieldViolation(field, description)
    return RpcError(e.ERROR_REASON_FIELD_INVALID, f"{field}: {description}", [violation])


def from_refusal(refusal: Refusal) -> RpcError:
    """Translate a refusal of identity."""
    if refusal.field:
        return field_invalid(refusal.field, str(refusal))
    return RpcError(refusal.reason, str(refusal), rule=refusal.rule)


def code_of(error: Exception) -> grpc.StatusCode:
    """Tell which code a call ends with when this escapes its servicer."""
    if isinstance(error, RpcError | Refusal):
        return CODES[error.reason]
    # gRPC does not tell which code somebody else, such as the health service, aborted with.
    unexpected = not isinstance(error, grpc.aio.AbortError)
    return grpc.StatusCode.INTERNAL if unexpected else grpc.StatusCode.UNKNOWN


def status_of(error: RpcError) -> status_pb2.Status:
    """Write the error as google.rpc.Status with ErrorInfo, BadRequest for bad fields, RetryInfo."""
    name = ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")
    metadata = {"rule": error.rule} if error.rule else {}
    info = error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN, metadata=metadata)
    status = status_pb2.Status(code=CODES[error.reason].value[0], message=error.message)
    status.details.append(_packed(info))
    if error.violations:
        bad_request = error_details_pb2.BadRequest()
        for field, description in error.violations:
            bad_request.field_violations.add(field=field, description=description)
        status.details.append(_packed(bad_request))
    if error.retry_s:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_s * 1000))
        status.details.append(_packed(retry))
    return status


class ErrorTranslation:
    """The concern of a call's errors (see `interceptors`)."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    @asynccontextmanager
    async def around(
        self, call: Call, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[None]:
        """Serve the call; what it raises becomes its status."""
        try:
            yield
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            status = status_of(self.told(call, error))
            await context.abort_with_status(rpc_status.to_status(status))

    def told(self, call: Call, error: Exception) -> RpcError:
        """What the caller is told of an error that is being handled.

        Of a fault of ours the log has the traceback.
        """
        if isinstance(error, RpcError):
            return error
        if isinstance(error, Refusal):
            return from_refusal(error)
        incident = self._random_bytes(_INCIDENT_BYTES).hex()
        _log.exception("internal error", method=call.method, incident=incident)
        return RpcError(
            e.ERROR_REASON_INTERNAL,
            f"internal error {incident}; the outcome is unknown: ask again with the same"
            " request_id, and give the operator this number",
        )


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
