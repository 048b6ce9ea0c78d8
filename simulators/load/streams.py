"""A till's stream of batches: sent as fast as the switch reads them, until the time is over.

What the switch does not take in, gRPC's flow control keeps here. Used by `tills.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter

import grpc.aio

from kessai.v1.payment_pb2 import (
    SettlePaymentRequest,
    SettlePaymentResponse,
    SubmitBatchRequest,
    SubmitBatchResponse,
)
from simulators.load.drive import CALL_LIMIT_S, Run
from simulators.load.payments import Payment

BATCH = 100

Submit = grpc.aio.StreamStreamMultiCallable[bytes, bytes]


async def submit_for(submit: Submit, queue: deque[Payment], seconds: float) -> Run[Payment]:
    """Send batches for some seconds or until there are no more, then wait for what was sent."""
    batches = [list(queue)[first : first + BATCH] for first in range(0, len(queue), BATCH)]
    messages = [_message(batch) for batch in batches]
    run = Run[Payment](started=perf_counter())
    call = submit(timeout=seconds + CALL_LIMIT_S)
    sent: dict[bytes, Payment] = {}

    async def send() -> None:
        for batch, message in zip(batches, messages, strict=True):
            if perf_counter() >= run.started + seconds:
                break
            sent.update((payment.request_id, payment) for payment in batch)
            await call.write(message)
        await call.done_writing()

    sending = asyncio.create_task(send())
    try:
        async for response in call:
            _take(response, sent, run)
    except grpc.aio.AioRpcError:
        sending.cancel()
    await asyncio.wait({sending})
    run.unanswered += sent.values()
    return run


def _message(batch: list[Payment]) -> bytes:
    settle = (SettlePaymentRequest.FromString(payment.message) for payment in batch)
    return SubmitBatchRequest(payments=settle).SerializeToString()


def _take(response: bytes, sent: dict[bytes, Payment], run: Run[Payment]) -> None:
    end = perf_counter()
    for result in SubmitBatchResponse.FromString(response).results:
        payment = sent.pop(bytes.fromhex(result.request_id.replace("-", "")))
        if result.HasField("receipt"):
            receipt = SettlePaymentResponse(receipt=result.receipt)
            run.answers.append((payment, receipt.SerializeToString()))
            run.ends.append(end)
        else:
            run.unanswered.append(payment)
