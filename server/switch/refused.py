"""Why the switch fails a call, beside what identity refuses (`server/identity/refusals.py`).

Refusal
├── RequestIdStale      REQUEST_ID_STALE: a new request under an old or a future id
├── Unavailable         STORE_UNAVAILABLE: a shard cannot take or give anything now
├── Overloaded          OVERLOADED: too many requests are waiting
└── NotBookable         FIELD_INVALID: no row of the log can hold the request
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kessai.request_id import time_of
from kessai.v1 import error_pb2
from server.identity.refusals import Refusal
from server.shards.carry_out import CommandRefused
from server.shards.lane import LaneClosed, LaneFull
from server.shards.store import StoreUnavailable


class RequestIdStale(Refusal):
    """A request that the log does not know came under an id that is too old, or in the future."""

    reason = error_pb2.ERROR_REASON_REQUEST_ID_STALE

    def __init__(self, request_id: bytes, now_us: int) -> None:
        in_future = time_of(request_id) * 1000 > now_us
        self.rule = "in_future" if in_future else "too_old"
        when = "in the future" if in_future else "more than 150 s ago"
        super().__init__(
            f"this request_id is not known, and was made {when}, by the switch's clock; "
            "nothing was done: check your clock and make a new one"
        )


class Unavailable(Refusal):
    """The account store cannot do it now."""

    reason = error_pb2.ERROR_REASON_STORE_UNAVAILABLE

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the account store is not available ({why}); "
            "the outcome is unknown: ask again with the same request_id"
        )


class Overloaded(Refusal):
    """Too many requests are waiting for a shard."""

    reason = error_pb2.ERROR_REASON_OVERLOADED

    def __init__(self) -> None:
        super().__init__("too many requests are waiting; nothing was done: try again later")


class NotBookable(Refusal):
    """The settlement log cannot hold a request."""

    reason = error_pb2.ERROR_REASON_FIELD_INVALID

    def __init__(self, why: str) -> None:
        super().__init__(f"the request cannot be booked: {why}; nothing was done")


@contextmanager
def refusing_store_trouble() -> Iterator[None]:
    """Turn what the shards cannot do now, or at all, into Unavailable, Overloaded, NotBookable."""
    try:
        yield
    except StoreUnavailable as error:
        raise Unavailable(str(error)) from None
    except LaneClosed:
        raise Unavailable("the switch is stopping") from None
    except LaneFull:
        raise Overloaded from None
    except CommandRefused as error:
        raise NotBookable(str(error)) from None
