"""Any value in any field of what a terminal or the switch signs: the phone answers, and goes on.

`KESSAI_EXAMPLES` sets how many are tried for each document.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from kessai.envelope import ADMISSION, EXIT_NOTE, sign
from kessai.v1 import tap_pb2
from kessai.v1.fare_pb2 import Admission, ExitNote
from kessai.v1.tap_pb2 import AskForAdmission, CloseAdmission, GrantAdmission
from tests.unit.server.switch.test_extreme_documents import EXAMPLES, spoil
from tests.unit.simulators.phone.conftest import Pocket, PocketMaker
from tests.unit.simulators.phone.counter import SECOND_US, Counter, read

NOTE = Admission(admission_id=b"a" * 16, merchant_id="bakery", terminal_id="till-1")
FARE = ExitNote(admission_id=b"a" * 16, merchant_id="bakery", terminal_id="till-1")


@pytest.fixture
def pocket(make_pocket: PocketMaker) -> Pocket:
    """A phone."""
    return make_pocket()


def spoiling(data: st.DataObject) -> Callable[[Message], None]:
    """What spoils a document in one to three places before it is signed."""

    def change(document: Message) -> None:
        for _ in range(data.draw(st.integers(1, 3))):
            spoil(document, data.draw)

    return change


def answered(pocket: Pocket, message: bytes) -> str:
    """Have a message answered; the status, which is one of the protocol's."""
    return tap_pb2.TapStatus.Name(read(pocket.wallet.answer(message)).status)


@EXAMPLES
@given(data=st.data(), of_certificate=st.booleans())
def test_a_purchase(
    counter: Counter, pocket: Pocket, data: st.DataObject, of_certificate: bool
) -> None:
    change = spoiling(data)
    if of_certificate:
        message = counter.present(counter.request(), counter.certificate(change))
    else:
        message = counter.present(counter.request(change))
    assert answered(pocket, message)


@EXAMPLES
@given(data=st.data())
def test_a_receipt(counter: Counter, pocket: Pocket, data: st.DataObject) -> None:
    receipt = counter.receipt(counter.request(), spoiling(data))
    assert answered(pocket, counter.deliver(receipt))


@EXAMPLES
@given(data=st.data(), of_note=st.booleans())
def test_a_ride(counter: Counter, pocket: Pocket, data: st.DataObject, of_note: bool) -> None:
    """An admission, and the note that closes it."""
    admission, note, change = Admission(), ExitNote(), spoiling(data)
    admission.CopyFrom(NOTE)
    note.CopyFrom(FARE)
    admission.holder_public_key = pocket.holder_key.public_key
    admission.entry_time.FromMicroseconds(counter.now_us)
    admission.expire_time.FromMicroseconds(counter.now_us + 3_600 * SECOND_US)
    note.fare.amount_minor, note.fare.currency_code = 250, "EUR"
    change(note if of_note else admission)
    ask = AskForAdmission(nonce=b"n" * 32, merchant_certificate=counter.certificate())
    grant = GrantAdmission(admission=sign(ADMISSION, admission, counter.terminal_key))
    close = CloseAdmission(exit_note=sign(EXIT_NOTE, note, counter.terminal_key))
    assert answered(pocket, counter.message(ask_for_admission=ask))
    assert answered(pocket, counter.message(grant_admission=grant))
    assert answered(pocket, counter.message(close_admission=close))
