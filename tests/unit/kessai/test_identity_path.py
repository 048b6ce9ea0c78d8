"""Identities and what is none."""

from __future__ import annotations

import pytest

from kessai.identity_path import (
    IdentityError,
    format_identity,
    is_name,
    parse_device,
    parse_identity,
)


@pytest.mark.parametrize(
    ("device", "names"),
    [
        ("agent/shop-7/till-2", ("shop-7", "till-2")),
        ("phone/ann/pixel", ("ann", "pixel")),
        ("operator/joe", ("joe",)),
        ("server", ()),
    ],
)
def test_an_identity_reads_back(device: str, names: tuple[str, ...]) -> None:
    """Each kind has its number of names."""
    identity = format_identity("bank.example", device)
    assert parse_identity(identity) == ("bank.example", device)
    assert parse_device(device) == (device.partition("/")[0], names)


@pytest.mark.parametrize(
    "device",
    ["", "agent", "agent/a", "agent/a/b/c", "agent/a/B", "agent/a/", "king/a", "server/x", "/a/b"],
)
def test_what_is_no_device(device: str) -> None:
    """Unknown kinds, missing or surplus names, and names with other characters."""
    with pytest.raises(IdentityError):
        parse_device(device)
    with pytest.raises(IdentityError):
        parse_identity(f"spiffe://bank.example/{device}")


@pytest.mark.parametrize(
    "identity",
    ["agent/a/b", "spiffe:///agent/a/b", "spiffe://Bank/agent/a/b", "spiffe://b/agent/a/b\n", ""],
)
def test_what_is_no_identity(identity: str) -> None:
    """The scheme, the domain, and nothing behind."""
    with pytest.raises(IdentityError):
        parse_identity(identity)


def test_names() -> None:
    """1 to 40 of a-z, 0-9 and "-"."""
    assert is_name("a" * 40)
    assert not is_name("a" * 41)
    assert not is_name("")
    assert not is_name("ä")
    assert not is_name("a\n")
