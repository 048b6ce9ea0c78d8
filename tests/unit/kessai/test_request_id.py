"""Request ids are UUIDv7s: their time can be read, they sort by it, and nothing else passes."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kessai.request_id import (
    RequestIdError,
    check_request_id,
    format_request_id,
    new_request_id,
    parse_request_id,
    time_of,
)

times = st.integers(0, 2**48 - 1)
randoms = st.binary(min_size=10, max_size=10)


@given(times, randoms)
def test_an_id_is_a_uuid_of_version_7(now_ms: int, random: bytes) -> None:
    made = new_request_id(now_ms, lambda _: random)
    read = uuid.UUID(bytes=made)
    assert (read.version, read.variant) == (7, uuid.RFC_4122)
    assert time_of(made) == now_ms
    assert check_request_id(made) == made
    assert parse_request_id(format_request_id(made)) == made


@given(times, times, randoms, randoms)
def test_ids_sort_by_time(first: int, second: int, one: bytes, other: bytes) -> None:
    if first < second:
        assert new_request_id(first, lambda _: one) < new_request_id(second, lambda _: other)


@given(randoms, st.integers(0, 79))
def test_all_74_random_bits_count(random: bytes, bit: int) -> None:
    """Every bit but those of version (4) and variant (2) changes the id."""
    changed = (int.from_bytes(random, "big") ^ 1 << bit).to_bytes(10, "big")
    same = new_request_id(0, lambda _: random) == new_request_id(0, lambda _: changed)
    assert same == (bit in (62, 63, 76, 77, 78, 79))


def test_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6."""
    raw = parse_request_id("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    assert time_of(raw) == 1_645_557_742_000


@given(st.binary(max_size=20))
def test_bytes_that_are_no_uuid_7_are_refused(raw: bytes) -> None:
    try:
        check_request_id(raw)
    except RequestIdError:
        return
    assert uuid.UUID(bytes=raw).version == 7


@pytest.mark.parametrize("version", [0, 1, 4, 6, 8, 15])
def test_other_versions_are_refused(version: int) -> None:
    raw = bytearray(new_request_id(0, bytes))
    raw[6] = version << 4
    with pytest.raises(RequestIdError):
        check_request_id(bytes(raw))
    with pytest.raises(RequestIdError):
        parse_request_id(str(uuid.UUID(bytes=bytes(raw))))


@given(st.text(max_size=40))
def test_only_the_canonical_text_is_read(text: str) -> None:
    with pytest.raises(RequestIdError):
        parse_request_id(text)
