"""Callers as they are read from certificates (refusals over real TLS: rpc/test_guard.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from server.identity.callers import (
    Caller,
    CallerKind,
    Callers,
    current_caller,
    current_device,
    set_current_caller,
)
from server.identity.refusals import CertificateRefused
from tests.unit.server.ports import DAY_US, Switch


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch."""
    made = Switch(tmp_path)
    yield made
    made.directory.close()


@pytest.mark.parametrize(
    ("device", "kind", "path"),
    [
        ("agent/shop/till", CallerKind.AGENT, ("shop", "till")),
        ("phone/ann/pixel", CallerKind.PHONE, ("ann", "pixel")),
        ("operator/joe", CallerKind.OPERATOR, ("joe",)),
    ],
)
def test_a_caller_is_read(
    switch: Switch, device: str, kind: CallerKind, path: tuple[str, ...]
) -> None:
    """Kind, names and serial number; the second time from memory."""
    leaf = switch.authority.issue(device, ec.generate_private_key(ec.SECP256R1()).public_key())
    callers = Callers(switch.authority, switch.clock)
    caller = callers.read(leaf.chain)
    assert caller == Caller(kind, path, leaf.serial)
    assert caller.device == device
    assert callers.read(leaf.chain) is caller


def test_the_date_is_checked_every_time(switch: Switch) -> None:
    """Also for a certificate that was read before."""
    leaf = switch.authority.issue(
        "operator/joe", ec.generate_private_key(ec.SECP256R1()).public_key()
    )
    callers = Callers(switch.authority, switch.clock)
    callers.read(leaf.chain)
    for ahead_us in (366 * DAY_US, -DAY_US):
        switch.clock.ahead_us = ahead_us
        with pytest.raises(CertificateRefused):
            callers.read(leaf.chain)
    switch.clock.ahead_us = 0
    callers.read(leaf.chain)


@pytest.mark.parametrize("pem", [b"", b"nonsense"])
def test_what_is_no_certificate(switch: Switch, pem: bytes) -> None:
    """Is nobody."""
    with pytest.raises(CertificateRefused):
        Callers(switch.authority, switch.clock).read(pem)


async def test_each_call_has_its_own_caller() -> None:
    """What one call's task sets, no other sees."""

    async def call(name: str) -> str:
        set_current_caller(Caller(CallerKind.OPERATOR, (name,), 1))
        await asyncio.sleep(0)
        return current_caller().device

    ann, joe = await asyncio.gather(call("ann"), call("joe"))
    assert (ann, joe) == ("operator/ann", "operator/joe")
    assert current_device() == "-"
    with pytest.raises(LookupError):
        current_caller()
