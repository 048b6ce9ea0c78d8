"""Times out of range are found wherever they stand, in every message that there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from kessai.time_range import LATEST_S, bad_time, is_in_range
from server.main_services import MAIN_SERVICES

FILES = sorted(
    {
        descriptor_pool.Default().FindServiceByName(name).file.name
        for name in (*MAIN_SERVICES, "kessai.v1.EnrollmentService")
    }
)


def every_message() -> list[Descriptor]:
    """Every message of the project's protos."""
    files = (descriptor_pool.Default().FindFileByName(name) for name in FILES)
    return [kind for file in files for kind in file.message_types_by_name.values()]


def times_in(message: Message, depth: int = 0) -> Iterator[tuple[str, Timestamp]]:
    """Give each time that a message can hold, one after another, with its path."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None or depth > 6:
            continue
        value = getattr(message, field.name)
        inner = value.add() if field.is_repeated else value
        if isinstance(inner, Timestamp):
            inner.SetInParent()
            yield field.name, inner
            continue
        yield from ((f"{field.name}.{path}", time) for path, time in times_in(inner, depth + 1))


@pytest.mark.parametrize("kind", every_message(), ids=lambda kind: kind.name)
def test_no_time_is_overlooked(kind: Descriptor) -> None:
    """Also deep within, and in a list."""
    message = GetMessageClass(kind)()
    for path, time in times_in(message):
        assert bad_time(message) == ""
        time.nanos = -1
        assert bad_time(message) == path
        time.nanos = 0


def test_there_are_such_messages() -> None:
    paths = {
        f"{kind.name}.{path}"
        for kind in every_message()
        for path, _ in times_in(GetMessageClass(kind)())
    }
    assert {
        "PaymentAuthorization.expire_time",
        "RedeemTicketsRequest.redemptions.redeem_time",
        "CreateTicketOfferRequest.offer.valid_until_time",
        "AttachRequest.report.report_time",
    } <= paths


def test_times_are_timestamps_and_maps_are_none() -> None:
    """The check knows no other type of time, and walks no maps."""
    for kind in every_message():
        for field in kind.fields:
            inner = field.message_type
            if inner is not None:
                assert not inner.GetOptions().map_entry, field.full_name
                assert inner.file.package != "google.protobuf" or inner.name == "Timestamp"


@pytest.mark.parametrize(
    ("seconds", "nanos", "good"),
    [
        (0, 0, True),
        (LATEST_S, 999_999_000, True),
        (LATEST_S, 999_999_999, False),
        (0, 1, False),
        (0, 999, False),
        (0, 1_000, True),
        (0, 123_456_001, False),
        (-1, 0, False),
        (LATEST_S + 1, 0, False),
        (2**62, 0, False),
        (-(2**62), 0, False),
        (0, -1, False),
        (0, 1_000_000_000, False),
    ],
)
def test_the_range(seconds: int, nanos: int, good: bool) -> None:
    assert is_in_range(Timestamp(seconds=seconds, nanos=nanos)) is good


def test_the_last_time_can_be_shown_everywhere() -> None:
    """Local time is at most 14 hours ahead."""
    last = Timestamp(seconds=LATEST_S).ToDatetime()
    assert (last.year, last.month, last.day, last.hour) == (9999, 12, 31, 0)
