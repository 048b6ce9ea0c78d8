"""Names of enumeration values that came from outside: a newer version may know more of them."""

from __future__ import annotations

from google.protobuf.descriptor import EnumDescriptor


def enum_name(kind: EnumDescriptor, number: int, prefix: str) -> str:
    """The name of a number, without its prefix; one that is not known here reads as itself."""
    known = kind.values_by_number.get(number)
    return str(number) if known is None else known.name.removeprefix(prefix)
