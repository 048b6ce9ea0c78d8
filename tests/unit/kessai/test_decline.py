"""The registry of declines: whole sentences, no jargon, and an answer to a reason of tomorrow."""

from __future__ import annotations

import pytest

from kessai.decline import MEANINGS, Meaning, meaning_of, name_of
from kessai.holder import HolderRefused
from kessai.ticket import TicketRefused
from kessai.v1 import decline_pb2
from kessai.v1.decline_pb2 import DeclineReason


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(DeclineReason.values()) - {0}


@pytest.mark.parametrize("reason", MEANINGS, ids=name_of)
def test_people_read_whole_sentences(reason: DeclineReason.ValueType) -> None:
    """Short enough for a display of a register and a screen of a phone."""
    meaning = meaning_of(reason)
    for text in (meaning.customer, meaning.cashier):
        assert text[0].isupper()
        assert text.endswith(".")
        assert 10 <= len(text) <= 90
        assert "_" not in text
    assert name_of(reason).isupper()
    assert not name_of(reason).startswith("DECLINE")


def test_a_forged_document_is_never_blamed_on_the_customer() -> None:
    said = meaning_of(decline_pb2.DECLINE_REASON_REQUEST_SIGNATURE_INVALID).customer
    assert said == "This payment could not be trusted. No money was moved."


def test_a_reason_of_a_newer_switch_is_a_plain_refusal() -> None:
    newer: DeclineReason.ValueType = 999  # type: ignore[assignment]
    assert name_of(newer) == "999"
    assert str(HolderRefused(newer)) == str(TicketRefused(newer)) == "999"
    assert meaning_of(newer) == Meaning("The payment was declined.", "The payment was declined.")
