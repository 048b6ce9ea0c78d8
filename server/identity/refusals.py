"""Why identity refuses, and the ErrorReason that the caller gets for it.

Refusal
├── FieldRefused            FIELD_INVALID: a field is malformed; says which
├── NotPermitted            CALLER_NOT_PERMITTED: this caller may not ask this
├── CertificateRefused      CERTIFICATE_REFUSED: revoked, expired, or nobody we know
├── PairingRefused          PAIRING_REFUSED: wrong, used, expired or tried too often
├── DailyLimitReached       DAILY_LIMIT_REACHED: so often in a day, and not more
├── ApprovalNeeded          APPROVAL_NEEDED: a second operator must confirm it
├── TooManyGuesses          OVERLOADED: too many wrong pairing codes in this minute
├── RequestIdReused         REQUEST_ID_REUSED: same id, other content
├── Unknown                 RESOURCE_UNKNOWN: no such merchant or device
├── Exists                  RESOURCE_EXISTS: the merchant exists with other properties
├── InUse                   RESOURCE_IN_USE: something that is in use names it
└── DirectoryUnavailable    STORE_UNAVAILABLE: the directory cannot be written now
"""

from __future__ import annotations

from kessai.v1 import error_pb2
from kessai.v1.error_pb2 import ErrorReason


class Refusal(Exception):
    """Identity refuses; the message is for people, `rule` for machines that must know more."""

    reason: ErrorReason.ValueType
    field: str = ""
    rule: str = ""


class FieldRefused(Refusal):
    """A field of the request is missing, malformed or out of range."""

    reason = error_pb2.ERROR_REASON_FIELD_INVALID

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NotPermitted(Refusal):
    """The caller is of the right kind, and still may not make this call."""

    reason = error_pb2.ERROR_REASON_CALLER_NOT_PERMITTED


class CertificateRefused(Refusal):
    """The caller's certificate was revoked, has expired, or names nobody we know."""

    reason = error_pb2.ERROR_REASON_CERTIFICATE_REFUSED


class PairingRefused(Refusal):
    """The pairing code is no good; which of the reasons it is stays unsaid."""

    reason = error_pb2.ERROR_REASON_PAIRING_REFUSED

    def __init__(self) -> None:
        super().__init__(
            "the pairing code is wrong, used, expired, or was tried too often; "
            "ask the operator for a new one"
        )


class ApprovalNeeded(Refusal):
    """A second operator must confirm this first; the message names the proposal."""

    reason = error_pb2.ERROR_REASON_APPROVAL_NEEDED


class TooManyGuesses(Refusal):
    """Too many wrong pairing codes came in the last minute."""

    reason = error_pb2.ERROR_REASON_OVERLOADED

    def __init__(self) -> None:
        super().__init__("too many wrong pairing codes; try again in a minute")


class DailyLimitReached(Refusal):
    """The caller reached what he may do in a day; the message says what it is."""

    reason = error_pb2.ERROR_REASON_DAILY_LIMIT_REACHED


class RequestIdReused(Refusal):
    """The request id was used before with other content."""

    reason = error_pb2.ERROR_REASON_REQUEST_ID_REUSED

    def __init__(self) -> None:
        super().__init__("this request_id was used before with other content; nothing was done")


class Unknown(Refusal):
    """There is no such merchant or device."""

    reason = error_pb2.ERROR_REASON_RESOURCE_UNKNOWN


class Exists(Refusal):
    """It exists with other properties."""

    reason = error_pb2.ERROR_REASON_RESOURCE_EXISTS


class InUse(Refusal):
    """Something names it still; the message says what."""

    reason = error_pb2.ERROR_REASON_RESOURCE_IN_USE


class DirectoryUnavailable(Refusal):
    """The directory cannot be written now: its disk is full or read-only."""

    reason = error_pb2.ERROR_REASON_STORE_UNAVAILABLE

    def __init__(self, why: str) -> None:
        super().__init__(f"the directory is not available ({why}); nothing was done")
