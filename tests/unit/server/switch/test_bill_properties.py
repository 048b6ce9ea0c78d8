"""Whatever is done to a bill on its way, it is paid as it was signed, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kessai.request_id import RequestIdError, parse_request_id
from kessai.v1.bill_pb2 import SettleBillRequest
from server.identity.refusals import FieldRefused
from server.switch.bill_documents import AgreedBill, BillSubmission, open_bill
from server.switch.documents import Declined
from server.switch.followers import read_token, write_token
from tests.unit.server.shards.parts import shards_in
from tests.unit.server.switch.counter import ANN, Counter
from tests.unit.server.switch.test_bills import BOB, Friends

FIXTURE = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
SEQUENCES = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8)


@pytest.fixture
def friends(tmp_path: Path) -> Iterator[Friends]:
    """Ann and Bob, who are enrolled."""
    counter = Counter(tmp_path)
    with shards_in(tmp_path, 1, counter.clock) as shards:
        both = Friends(counter, shards)
        yield both
        both.bills.close()
    counter.directory.close()


def opened(friends: Friends, raw: bytes) -> AgreedBill | None:
    """Verify what came over Bob's line; None if it is not to be paid."""
    try:
        message = SettleBillRequest.FromString(raw)
        submission = BillSubmission(message, parse_request_id(message.request_id), "bob")
        return open_bill(submission, friends.counter.directory, friends.counter.sealing_key)
    except (DecodeError, RequestIdError, Declined):
        return None


@FIXTURE
@given(data=st.data())
def test_flipped_bits_change_nothing_that_is_paid(friends: Friends, data: st.DataObject) -> None:
    """Any bits of what is submitted, in documents, seals, envelopes and around them."""
    good = friends.agree(300).SerializeToString(deterministic=True)
    raw = bytearray(good)
    for bit in data.draw(st.sets(st.integers(0, len(raw) * 8 - 1), min_size=1, max_size=3)):
        raw[bit // 8] ^= 1 << bit % 8
    agreed = opened(friends, bytes(raw))
    if agreed is not None:
        said = (agreed.payer, agreed.payee, agreed.bill.amount.amount_minor)
        assert said == (ANN, BOB, 300)
        assert (agreed.payer_wallet, agreed.payee_wallet) == ("ann", "bob")
    assert opened(friends, good) is not None


@FIXTURE
@given(first=st.integers(1, 10**9), second=st.integers(1, 10**9), swap=st.booleans())
def test_parts_of_two_bills_make_no_third(
    friends: Friends, first: int, second: int, swap: bool
) -> None:
    """One bill with another's answer, under either id, is never paid."""
    one, other = friends.agree(first), friends.agree(second)
    mixed = SettleBillRequest(
        request_id=other.request_id if swap else one.request_id,
        bill=one.bill,
        sealed_authorization=other.sealed_authorization,
    )
    assert opened(friends, mixed.SerializeToString()) is None


@given(positions=SEQUENCES)
def test_a_token_reads_as_it_was_written(positions: list[int]) -> None:
    assert read_token(write_token(positions), len(positions)) == positions


@given(token=st.binary(max_size=80), shards=st.integers(1, 8))
def test_other_bytes_are_no_token(token: bytes, shards: int) -> None:
    """They are refused, or have exactly the shape of a token; nothing else happens."""
    try:
        positions = read_token(token, shards)
    except FieldRefused:
        return
    assert write_token(positions) == token
