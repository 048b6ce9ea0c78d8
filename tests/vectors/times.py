"""Times that no document may hold, though protobuf carries any number."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

OUT_OF_RANGE = {
    "2^62 seconds": (2**62, 0),
    "-2^62 seconds": (-(2**62), 0),
    "a second before 1970": (-1, 0),
    "a second after 9999-12-31T00:00:00Z": (253_402_214_401, 0),
    "nanos -1": (1_767_268_800, -1),
    "nanos 2*10^9": (1_767_268_800, 2_000_000_000),
    "finer than a microsecond": (1_767_268_800, 1),
    "finer than a microsecond, at the end of a second": (1_767_268_800, 999_999_999),
}


def bad_times(document: Message) -> dict[str, bytes]:
    """Payloads of a document, each with one of its times out of range, by name."""
    found = {}
    copy = type(document)()
    copy.CopyFrom(document)
    for path, time in _times(copy):
        kept = (time.seconds, time.nanos)
        for name, (time.seconds, time.nanos) in OUT_OF_RANGE.items():
            found[f"{path}: {name}"] = copy.SerializeToString(deterministic=True)
        time.seconds, time.nanos = kept
    return found


def _times(message: Message) -> Iterator[tuple[str, Timestamp]]:
    for field, value in message.ListFields():
        if isinstance(value, Timestamp):
            yield field.name, value
        elif field.message_type is not None and not field.is_repeated:
            yield from ((f"{field.name}.{path}", time) for path, time in _times(value))
