"""The simulated air: who is in it, what a real bluetoothd would say, and its end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from rich.console import Console

from edge_agents.links.ble_place import parse_place
from kessai.complaint import Complaint
from simulators.air.air import Air
from simulators.air.peripheral import Conditions
from simulators.air.picture import draw
from simulators.phone.ble_field import BleField, open_ble_field


@pytest.fixture
def air(tmp_path: Path) -> Air:
    """Give an air."""
    return Air(tmp_path / "air")


def bring(air: Air, options: str = "") -> BleField:
    """Bring a phone."""
    field = open_ble_field(f"unix:path={air.path},code=0417{options}")
    field.bring(field.make_card(lambda message: message))
    return field


async def call(bus: MessageBus, path: str, interface: str, member: str) -> Message:
    """Call a method of bluetoothd that takes nothing."""
    return await bus.call(
        Message(destination="org.bluez", path=path, interface=interface, member=member)
    )


async def test_it_says_no_as_bluetoothd_does(air: Air) -> None:
    """By the names of its errors, whatever is asked."""
    parse_place(f"unix:path={air.path}", ()).enter()
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    for path, interface, member, error in (
        ("/org/bluez/hci0", "org.bluez.Adapter1", "StopDiscovery", "org.bluez.Error.Failed"),
        ("/org/bluez/hci0/dev_0", "org.bluez.Device1", "Connect", "UnknownObject"),
        ("/org/bluez/hci0/dev_0/x", "org.bluez.GattCharacteristic1", "ReadValue", "UnknownObject"),
    ):
        reply = await call(bus, path, interface, member)
        assert reply.message_type is MessageType.ERROR
        assert error in str(reply.error_name)
    air.unplug()
    reply = await call(bus, "/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
    assert "UnknownObject" in str(reply.error_name)
    bus.disconnect()
    air.close()


def test_who_is_in_it(air: Air) -> None:
    """Phones come and go, each with an address of its own; a person can see them."""
    assert air.phones() == []
    near, far = bring(air), bring(air, ",rssi=-88,mtu=23")
    shown = {phone.address: phone.conditions for phone in air.phones()}
    assert list(shown.values()) == [Conditions(), Conditions(rssi=-88, mtu=23)]
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(draw(air.moniker, air.phones()))
    picture = console.export_text()
    assert all(address in picture for address in shown)
    assert "▮▮▮▮▮▮▮▮▯▯" in picture
    assert "▯▯▯▯▯▯▯▯▯▯" in picture
    near.close()
    assert [phone.conditions.rssi for phone in air.phones()] == [-88]
    far.close()
    air.close()


def test_conditions_survive_the_wire() -> None:
    """They go with the registration, where a real bluetoothd passes over them."""
    odd = Conditions(rssi=-77, mtu=99, air_ms=3, drop=5, refuse=True, vanish=True)
    assert Conditions.from_options(odd.to_options()) == odd
    assert Conditions.from_options({"unknown": Variant("s", "")}) == Conditions()


def test_the_air_ends_while_a_phone_is_in_it(air: Air) -> None:
    """The phone is then nowhere, and can still be put away."""
    phone = bring(air)
    air.close()
    assert not air.path.exists()
    phone.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "four digits"),
        (",code=12345", "four digits"),
        (",code=0417,fault=nonsense", "the faults are"),
        (",code=0417,mtu=large", "invalid literal"),
        (",code=0417,colour=red", "is no option"),
    ],
)
def test_a_field_that_means_nothing(options: str, says: str) -> None:
    """One sentence that says what to write."""
    with pytest.raises(Complaint, match=says):
        open_ble_field(f"unix:path=/tmp/air{options}")


def test_no_air(tmp_path: Path) -> None:
    """For a phone without one, and for one that cannot be made."""
    field = open_ble_field(f"unix:path={tmp_path / 'none'},code=0417")
    with pytest.raises(Complaint, match="No phone can be reached"):
        field.bring(field.make_card(lambda message: message))
    field.close()
    with pytest.raises(Complaint, match="No air can be at"):
        Air(tmp_path / "no" / "such" / "folder")
    with pytest.raises(Complaint, match="too long for a socket"):
        Air(tmp_path / ("x" * 100))
