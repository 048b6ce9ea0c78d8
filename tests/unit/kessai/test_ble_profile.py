"""The BLE profile: services by code, and messages in fragments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.ble_profile import (
    MAX_MESSAGE_BYTES,
    MAX_VALUE_BYTES,
    FragmentError,
    Reassembler,
    fragments,
    is_code,
    service_uuid,
)


@given(st.binary(max_size=3_000), st.integers(2, 600))
def test_a_message_comes_out_as_it_went_in(message: bytes, value_bytes: int) -> None:
    """At every size of a value; each fits, and only the last says that it is the last."""
    values = list(fragments(message, value_bytes))
    assert max(map(len, values)) <= min(value_bytes, MAX_VALUE_BYTES)
    assert [value[0] for value in values] == [1] * (len(values) - 1) + [0]
    incoming = Reassembler()
    assert [incoming.feed(value) for value in values] == [None] * (len(values) - 1) + [message]
    assert incoming.feed(b"\x00next") == b"next"


@pytest.mark.parametrize("value", [b"", b"\x02", b"\xffmessage"])
def test_what_is_no_fragment(value: bytes) -> None:
    """It is refused, and what came before is forgotten."""
    incoming = Reassembler()
    assert incoming.feed(b"\x01half") is None
    with pytest.raises(FragmentError):
        incoming.feed(value)
    assert incoming.feed(b"\x00whole") == b"whole"


def test_a_message_without_end() -> None:
    """At most 64 KiB are kept."""
    incoming = Reassembler()
    for _ in range(MAX_MESSAGE_BYTES // 512):
        assert incoming.feed(b"\x01" + bytes(512)) is None
    with pytest.raises(FragmentError):
        incoming.feed(b"\x01\x00")
    exact = list(fragments(bytes(MAX_MESSAGE_BYTES), 512))
    assert [incoming.feed(value) for value in exact][-1] == bytes(MAX_MESSAGE_BYTES)


def test_a_code_stands_for_a_service() -> None:
    """The same at both ends and for ever, and another one for each code."""
    assert service_uuid("0417") == "2624504b-2e3c-53c8-9764-f7708de7d7a4"
    assert len({service_uuid(f"{code:04}") for code in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("text", "good"),
    [("0417", True), ("417", False), ("04170", False), ("o417", False), ("", False),
     ("٠٤١٧", False), ("-417", False)],
)  # fmt: skip
def test_a_code_has_four_digits(text: str, good: bool) -> None:
    """As people read them off a display."""
    assert is_code(text) is good
