"""Faults of the switch itself: what nobody foresaw ends one document or command, and no other.

Each is told to the operator at once, with its traceback, under an incident number: the request id
of the payment that it befell. The sender learns the same number, and nothing else of it.
"""

from __future__ import annotations

import structlog

from kessai.request_id import format_request_id
from kessai.v1 import decline_pb2, error_pb2
from kessai.v1.decline_pb2 import DeclineReason
from server.identity.refusals import Refusal
from server.shards.carry_out import CommandRefused
from server.shards.store import StoreUnavailable
from server.switch.documents import Declined
from server.switch.refused import NotBookable, Unavailable

_log = structlog.get_logger("kessai.switch")


class Failed(Refusal):
    """The switch failed at one command, and does not know what became of it."""

    reason = error_pb2.ERROR_REASON_INTERNAL

    def __init__(self, incident: str) -> None:
        super().__init__(
            f"internal error {incident}; the outcome is unknown: ask again with the same"
            " request_id, and give the operator this number"
        )


def unless_foreseen(error: Exception, request_id: bytes) -> Exception:
    """What a document that could not be verified is answered with.

    Itself if it is a Declined, or the store's trouble; a decline with SWITCH_FAULT for anything
    else, which is a fault of ours.
    """
    if isinstance(error, Declined | StoreUnavailable):
        return error
    return Declined(declined_fault(error, request_id))


def declined_fault(error: Exception, request_id: bytes) -> DeclineReason.ValueType:
    """The reason SWITCH_FAULT, for a document that raised what nobody foresaw."""
    _tell("a document failed", error, request_id)
    return decline_pb2.DECLINE_REASON_SWITCH_FAULT


def refusal_of(error: Exception, request_id: bytes) -> Refusal:
    """The Refusal that a command is answered with which raised an error on its way."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, StoreUnavailable):
        return Unavailable(str(error))
    if isinstance(error, CommandRefused):
        return NotBookable(str(error))
    return Failed(_tell("a command failed", error, request_id))


def _tell(event: str, error: Exception, request_id: bytes) -> str:
    incident = format_request_id(request_id) if len(request_id) == 16 else request_id.hex()
    _log.error(event, incident=incident, exc_info=error)
    return incident
