"""What a terminal that uploads puts into one message: all in order, and no more than is taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agents.batch_line import BATCH, messages_of
from kessai.channel import MAX_BATCH_BYTES
from kessai.v1.payment_pb2 import SettlePaymentRequest


@given(st.lists(st.integers(0, 60_000), max_size=120))
async def test_messages_hold_all_payments_and_none_is_too_large(sizes: list[int]) -> None:
    payments = [SettlePaymentRequest(request_id=str(n)) for n in range(len(sizes))]
    for payment, size in zip(payments, sizes, strict=True):
        payment.sealed_authorization.ciphertext = bytes(size)
    messages = [message async for message in messages_of(payments)]
    assert [payment for message in messages for payment in message.payments] == payments
    for message in messages:
        assert 1 <= len(message.payments) <= BATCH
        assert message.ByteSize() <= MAX_BATCH_BYTES
