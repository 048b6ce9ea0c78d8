"""What is logged of a call: how it ended, and of one that failed for want of a store, why."""

from __future__ import annotations

from typing import Any

import grpc.aio
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from server.identity.refusals import DirectoryUnavailable, Unknown
from server.rpc.call import Call
from server.rpc.telemetry import Telemetry
from server.switch.refused import Unavailable

CALL = Call("/kessai.v1.AccountService/GetAccount", False, False)
CONTEXT: grpc.aio.ServicerContext[Any, Any] = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("error", "code", "why"),
    [
        (Unavailable("shard 3: disk I/O error"), "UNAVAILABLE", "shard 3: disk I/O error"),
        (DirectoryUnavailable("disk full"), "UNAVAILABLE", "disk full"),
        (Unknown("there is no such account"), "NOT_FOUND", None),
    ],
)
async def test_the_cause_of_unavailable_is_logged(
    error: Exception, code: str, why: str | None
) -> None:
    """What a caller may not have done is his affair, and stands in no log."""
    with capture_logs() as logged, pytest.raises(type(error)):
        async with Telemetry(CollectorRegistry()).around(CALL, CONTEXT):
            raise error
    [line] = logged
    assert line["code"] == code
    assert (why in line["why"]) if why else ("why" not in line)
