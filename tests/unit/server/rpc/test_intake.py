"""What is refused unread is not kept: an error lives on with its frames until circles are found."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator

import pytest

from kessai.channel import MAX_REQUEST_BYTES
from server.rpc.call import Call
from server.rpc.errors import RpcError
from server.rpc.intake import Intake


async def test_no_frame_of_a_refusal_holds_the_request() -> None:
    """A device that sent 250 KB again and again had the switch grow by as much each time."""

    async def too_large() -> AsyncIterator[bytes]:
        yield bytes(MAX_REQUEST_BYTES + 1)

    call = Call("/kessai.v1.PaymentService/SettlePayment", False, False)
    with pytest.raises(RpcError, match="65,537 bytes") as raised:
        await Intake().read_one(call, too_large(), None)
    frames = [frame for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
    assert len(frames) > 1
    held = [value for frame in frames for value in frame.f_locals.values()]
    assert not any(isinstance(value, bytes) for value in held)
