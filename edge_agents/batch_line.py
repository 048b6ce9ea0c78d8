"""Uploading many payments over one stream, when the line is back (`PaymentService.SubmitBatch`).

Called by `settlements`, oldest first. Each payment is answered singly, in whatever order; what was
not answered when the stream ends stays unknown and is sent again later, under the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
import grpc.aio

from edge_agents.loops import is_being_cancelled
from edge_agents.uplink import FINAL, OVERWHELMED, NotTaken, Unknown, is_away
from kessai.channel import MAX_BATCH_BYTES
from kessai.enum_name import enum_name
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.error_pb2 import ErrorReason
from kessai.v1.payment_pb2 import (
    PaymentResult,
    SettlePaymentRequest,
    SubmitBatchRequest,
    SubmitBatchResponse,
)
from kessai.v1.payment_pb2_grpc import PaymentServiceStub

BATCH = 50

# The message adds to a payment at most its field's number and length.
_FRAME_BYTES = 8

Answered = tuple[str, Signed | NotTaken | Unknown]


class LineAway(Exception):
    """Nobody answers: what was not answered is to be sent again later."""


async def submit_batch(
    channel: grpc.aio.Channel, payments: Sequence[SettlePaymentRequest], silence_s: float
) -> AsyncIterator[Answered]:
    """Send payments in order; give each payment's id with its answer, as they come.

    Ends early if the switch fails, or is silent for `silence_s` seconds; LineAway if it is away.
    """
    call = PaymentServiceStub(channel).SubmitBatch(messages_of(payments), wait_for_ready=True)
    try:
        while True:
            async with asyncio.timeout(silence_s):
                response = await call.read()
            if not isinstance(response, SubmitBatchResponse):
                return
            for result in response.results:
                yield result.request_id, _answer(result)
    except grpc.aio.AioRpcError as error:
        if is_away(error):
            raise LineAway from None
    except TimeoutError:
        if channel.get_state() is not grpc.ChannelConnectivity.READY:
            raise LineAway from None
    except asyncio.CancelledError:
        # gRPC cancels the call by itself if its sending side fails; that is a broken line, too.
        if is_being_cancelled():
            raise
        raise LineAway from None
    finally:
        call.cancel()


async def messages_of(
    payments: Sequence[SettlePaymentRequest],
) -> AsyncIterator[SubmitBatchRequest]:
    """Messages with all payments in order, each as large as the switch takes at most."""
    batch, size = SubmitBatchRequest(), 0
    for payment in payments:
        payment_size = payment.ByteSize() + _FRAME_BYTES
        full = len(batch.payments) == BATCH or size + payment_size > MAX_BATCH_BYTES
        if batch.payments and full:
            yield batch
            batch, size = SubmitBatchRequest(), 0
        batch.payments.append(payment)
        size += payment_size
    if batch.payments:
        yield batch


def _answer(result: PaymentResult) -> Signed | NotTaken | Unknown:
    if result.HasField("receipt"):
        return result.receipt
    reason = enum_name(ErrorReason.DESCRIPTOR, result.error.reason, "ERROR_REASON_")
    why = f"{reason}, {result.error.message}"
    return NotTaken(why) if reason in FINAL else Unknown(why, is_away=reason in OVERWHELMED)
