"""Lists for programs: one JSON object a line, with the names and forms of the protos."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def print_json(lines: Iterable[Message | Mapping[str, object]]) -> None:
    """Print each on a line of its own; of a message all fields, also those that are empty.

    Numbers of 64 bits are strings, as protobuf's JSON has them; times are RFC 3339, bytes base64.
    """
    for line in lines:
        plain = line if isinstance(line, Mapping) else as_json(line)
        print(json.dumps(plain))  # noqa: T201


def as_json(message: Message) -> dict[str, object]:
    """A message as protobuf writes it in JSON, with the field names of its proto."""
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
