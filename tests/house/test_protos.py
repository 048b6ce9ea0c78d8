"""The protos are the manual of the wire: every element is explained, and named as AIP has it.

Compiles protos/kessai/v1 with protoc, source information included, and reads the descriptors.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from kessai.decline import MEANINGS
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.error_pb2 import ErrorReason
from tests.house.tree import ROOT, plant, report

CHANGING_VERBS = (
    "Create", "Open", "Distribute", "Deposit", "Withdraw", "Settle", "Capture", "Void",
    "Revoke", "Renew", "Refund", "Add", "Rebalance", "Freeze", "Unfreeze", "Close", "Update",
)  # fmt: skip

# Field numbers of descriptor.proto, of which the path to a comment is made.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM = 2, 3, 4
_ENUM_VALUE, _SERVICE_METHOD = 2, 2

_TIMESTAMP = ".google.protobuf.Timestamp"
_ERRORS = re.compile(r"Errors: (.*?)(?:\n\n|$)", re.DOTALL)
_DECLINES = re.compile(r"Decline reasons: (.*?)\.(?:\s|$)", re.DOTALL)
_NAME = re.compile(r"\b[A-Z][A-Z_]{3,}\b")


@dataclass
class Source:
    """A compiled proto file, with the comment and the line of each element by its path."""

    name: str
    proto: FileDescriptorProto
    comments: dict[tuple[int, ...], str] = field(default_factory=dict)
    lines: dict[tuple[int, ...], int] = field(default_factory=dict)

    def where(self, path: tuple[int, ...]) -> str:
        """Write "protos/kessai/v1/x.proto:12"."""
        return f"protos/{self.name}:{self.lines.get(path, 0) + 1}"


def read_protos(folder: Path) -> list[Source]:
    """Compile every proto below a folder's kessai/v1."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("kessai/v1/*.proto"))
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", "-I", str(folder)),
        *("-I", str(files("grpc_tools") / "_proto")),
        *("--include_source_info", "--descriptor_set_out=/dev/stdout"),
        *names,
    ]
    compiled = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    sources = [Source(proto.name, proto) for proto in FileDescriptorSet.FromString(compiled).file]
    for source in sources:
        for location in source.proto.source_code_info.location:
            path = tuple(location.path)
            source.comments[path] = re.sub(r"(?m)^ ", "", location.leading_comments).strip()
            source.lines.setdefault(path, location.span[0])
    return sources


def violations(folder: Path) -> list[str]:
    """List what is not explained or not named as it should be."""
    found: list[str] = []
    for source in read_protos(folder):
        for index, message in enumerate(source.proto.message_type):
            found += _message(source, (_FILE_MESSAGE, index), message)
        for index, enum in enumerate(source.proto.enum_type):
            found += _enum(source, (_FILE_ENUM, index), enum)
        for index, service in enumerate(source.proto.service):
            path = (_FILE_SERVICE, index)
            found += _comment(source, path, service.name)
            methods = {method.name for method in service.method}
            for number, method in enumerate(service.method):
                found += _rpc(source, (*path, _SERVICE_METHOD, number), method, methods)
    return found


def _comment(source: Source, path: tuple[int, ...], name: str) -> Iterator[str]:
    comment = source.comments.get(path, "")
    if len(comment) < 8 or comment[-1] not in ".:?":
        yield f"{source.where(path)}: explain {name} in a sentence above it"


def _message(source: Source, path: tuple[int, ...], message: DescriptorProto) -> Iterator[str]:
    yield from _comment(source, path, message.name)
    for index, part in enumerate(message.field):
        inner = (*path, _MESSAGE_FIELD, index)
        yield from _comment(source, inner, part.name)
        yield from _field(source.where(inner), part)
    for index, nested in enumerate(message.nested_type):
        yield from _message(source, (*path, _MESSAGE_NESTED, index), nested)
    for index, enum in enumerate(message.enum_type):
        yield from _enum(source, (*path, _MESSAGE_ENUM, index), enum)


def _field(where: str, part: FieldDescriptorProto) -> Iterator[str]:
    if (part.type_name == _TIMESTAMP) != part.name.endswith("_time"):
        yield f"{where}: a point in time is a Timestamp and its name ends with _time: {part.name}"
    if part.type in (FieldDescriptorProto.TYPE_FLOAT, FieldDescriptorProto.TYPE_DOUBLE):
        yield f"{where}: no float goes over the wire: {part.name}"


def _enum(source: Source, path: tuple[int, ...], enum: EnumDescriptorProto) -> Iterator[str]:
    yield from _comment(source, path, enum.name)
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper()
    if enum.value[0].name != f"{prefix}_UNSPECIFIED" or enum.value[0].number != 0:
        yield f"{source.where(path)}: {enum.name} begins with {prefix}_UNSPECIFIED = 0"
    for index, value in enumerate(enum.value):
        yield from _comment(source, (*path, _ENUM_VALUE, index), value.name)


def _rpc(
    source: Source, path: tuple[int, ...], method: MethodDescriptorProto, siblings: set[str]
) -> Iterator[str]:
    where, name = source.where(path), method.name
    yield from _comment(source, path, name)
    expected = (f".kessai.v1.{name}Request", f".kessai.v1.{name}Response")
    if (method.input_type, method.output_type) != expected:
        yield f"{where}: {name} takes {name}Request and returns {name}Response"
    if name.startswith(CHANGING_VERBS) and not _has_request_id(source, method.input_type):
        yield f"{where}: {name} changes something, so {name}Request needs a request_id"
    comment = source.comments.get(path, "")
    yield from _named(where, name, _ERRORS.findall(comment), "ERROR_REASON_", siblings)
    yield from _named(where, name, _DECLINES.findall(comment), "DECLINE_REASON_", siblings)
    if not _ERRORS.search(comment):
        yield f'{where}: say below "Errors:" which ErrorReasons {name} can fail with'


def _has_request_id(source: Source, type_name: str) -> bool:
    message = next(
        (m for m in source.proto.message_type if type_name == f".kessai.v1.{m.name}"), None
    )
    return message is not None and any(part.name == "request_id" for part in message.field)


def _named(
    where: str, name: str, lists: list[str], prefix: str, siblings: set[str]
) -> Iterator[str]:
    registry = ErrorReason.keys() if prefix.startswith("ERROR") else DeclineReason.keys()
    for text in lists:
        reasons = _NAME.findall(text)
        other = re.match(r"as (\w+)", text)
        if not reasons and not (other and other[1] in siblings):
            yield f"{where}: {name} names no reason in: {text}"
        for reason in reasons:
            if prefix + reason not in registry:
                yield f"{where}: {name} names {reason}, which the registry does not have"


def test_the_protos_explain_themselves() -> None:
    """Comments, names, request ids and errors of every message, enum and rpc."""
    found = violations(ROOT / "protos")
    assert not found, report(found)


def test_every_decline_reason_has_a_meaning() -> None:
    """What the wire can say, people can read."""
    reasons = {value for value in DeclineReason.values() if value}
    assert MEANINGS.keys() == reasons


_GOOD = """syntax = "proto3";
package kessai.v1;
import "google/protobuf/timestamp.proto";
// Keeps the things.
service ThingService {
  // Opens a thing.
  //
  // Errors: FIELD_INVALID.
  rpc OpenThing(OpenThingRequest) returns (OpenThingResponse);
}
// Request of OpenThing.
message OpenThingRequest {
  // UUIDv7 made by the caller.
  string request_id = 1;
  // When it is to open.
  google.protobuf.Timestamp open_time = 2;
}
// Response of OpenThing.
message OpenThingResponse {
  // How it stands.
  ThingState state = 1;
}
// How a thing stands.
enum ThingState {
  // Never sent.
  THING_STATE_UNSPECIFIED = 0;
}
"""


def test_a_good_proto_passes(tmp_path: Path) -> None:
    """The proto that the next test damages is good."""
    plant(tmp_path, "kessai/v1/thing.proto", _GOOD)
    assert violations(tmp_path) == []


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        ("  // How it stands.\n", "", "explain state"),
        ("// Keeps the things.\n", "", "explain ThingService"),
        ("  // Never sent.\n", "", "explain THING_STATE_UNSPECIFIED"),
        ("  // Opens a thing.\n  //\n  // Errors: FIELD_INVALID.\n", "", "explain OpenThing"),
        ("THING_STATE_UNSPECIFIED = 0", "THING_STATE_OPEN = 0", "THING_STATE_UNSPECIFIED = 0"),
        ("open_time = 2", "opened = 2", "ends with _time"),
        ("google.protobuf.Timestamp open_time", "int64 open_time", "ends with _time"),
        ("string request_id = 1", "string other = 1", "needs a request_id"),
        ("google.protobuf.Timestamp open_time", "double weight", "no float"),
        ("Errors: FIELD_INVALID", "Errors: FIELD_WRONG", "FIELD_WRONG"),
        ("Errors: FIELD_INVALID", "Errors: as ShutThing", "names no reason"),
        ("FIELD_INVALID.", "FIELD_INVALID. Decline reasons: BAD_LUCK.", "BAD_LUCK"),
        ("Errors: FIELD_INVALID", "May fail", '"Errors:"'),
        ("returns (OpenThingResponse)", "returns (OpenThingRequest)", "OpenThingResponse"),
    ],
)
def test_a_bad_proto_is_found(tmp_path: Path, good: str, bad: str, complaint: str) -> None:
    """Each rule fails on its own violation, and names the line."""
    assert good in _GOOD
    plant(tmp_path, "kessai/v1/thing.proto", _GOOD.replace(good, bad, 1))
    found = violations(tmp_path)
    assert any(complaint in line for line in found), found
    assert all(line.startswith("protos/kessai/v1/thing.proto:") for line in found)
