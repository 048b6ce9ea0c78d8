"""Plausible requests for any method, filled in by the names and types of their fields.

So a new method is attacked without a line here, as far as its fields have the house's names.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from kessai.v1.envelope_pb2 import Sealed, Signed
from kessai.v1.money_pb2 import Money
from tests.attack.world import World
from tests.running import fresh_id

_DEEPEST = 4


# What ends the rights of those whom the attack still needs is asked of others.
_ENDINGS = ("Revoke", "Freeze", "Close")


def plausible(request: Message, world: World, depth: int = 0) -> Message:
    """Fill a message in, so that it looks like one that somebody sends in earnest."""
    fields: Sequence[FieldDescriptor] = request.DESCRIPTOR.fields  # type: ignore[assignment]
    for field in fields:
        if field.containing_oneof is not None and request.WhichOneof(field.containing_oneof.name):
            continue
        if field.message_type is not None:
            _fill_message(request, field, world, depth)
        elif (value := _value(field, world)) is not None:
            if field.is_repeated:
                getattr(request, field.name).append(value)
            else:
                setattr(request, field.name, value)
    return request


def _fill_message(request: Message, field: FieldDescriptor, world: World, depth: int) -> None:
    inner = getattr(request, field.name)
    if field.is_repeated:
        inner = inner.add()
    if isinstance(inner, Timestamp):
        inner.FromMicroseconds(time.time_ns() // 1000)
    elif isinstance(inner, Money):
        inner.CopyFrom(Money(amount_minor=100, currency_code="EUR"))
    elif isinstance(inner, Signed):
        inner.CopyFrom(world.terminal.ask()[1])
    elif isinstance(inner, Sealed):
        inner.CopyFrom(world.phone.agree(world.terminal.ask()))
    elif depth < _DEEPEST:
        plausible(inner, world, depth + 1)


def _value(field: FieldDescriptor, world: World) -> Any:  # noqa: ANN401
    ends = field.full_name.split(".")[-2].startswith(_ENDINGS)
    terminal = world.spare_terminal if ends else world.terminal
    account = world.spare_account if ends else world.phone.account_number
    known = {
        "request_id": fresh_id(),
        "payment_id": fresh_id(),
        "account_number": account,
        "account_numbers": account,
        "currency_code": "EUR",
        "merchant_id": world.terminal.merchant_id,
        "terminal_id": world.terminal.terminal_id,
        "wallet_id": "ann",
        "device_id": "phone-1",
        "device": terminal.identity.device,
        "owner": "wallet/ann",
        "category_code": "5411",
    }
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING and field.type != FieldDescriptor.TYPE_BYTES:
        return known.get(field.name, "a")
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return bytes(range(16))
    if kind in (FieldDescriptor.CPPTYPE_BOOL, FieldDescriptor.CPPTYPE_ENUM):
        return None
    return 1
