"""The deny list: told in order, to those whom it concerns, also from a file of a former version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from server.domain.directory import DenyEntry, DenyKind, DeviceEntry, IssuedCertificate
from server.identity import deny_list as deny_list_module
from server.identity.deny_list import DenyList
from server.shards.directory_tables import STEPS
from tests.unit.server.ports import Clock, Switch

HOUR_US = 3_600_000_000
YEAR_US = 365 * 24 * HOUR_US


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """The parts of a switch."""
    made = Switch(tmp_path)
    yield made
    made.directory.close()


def enter(switch: Switch, device: str, serial: int) -> None:
    """Enter a device with a certificate."""
    request_id = serial.to_bytes(20, "big")[-16:]
    end_us = switch.clock() + HOUR_US
    issued = IssuedCertificate(serial, device, request_id, b"", b"", b"", end_us)
    switch.directory.enroll(DeviceEntry(issued, request_id, b"", "1", switch.clock()))


def told(switch: Switch, merchant_id: str, version: int = 0) -> list[tuple[DenyKind, bytes]]:
    """What a merchant's terminals are told that have a version."""
    entries, _ = switch.deny_list.page_after(version, merchant_id)
    return [(entry.kind, entry.id) for entry in entries]


def serial_bytes(serial: int) -> bytes:
    """A serial number as the deny list has it."""
    return serial.to_bytes(20, "big")


def test_it_tells_what_is_new(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pages, in order, without what expired a day ago; also after a restart; nothing twice."""
    monkeypatch.setattr(deny_list_module, "PAGE", 2)
    heard: list[int] = []
    end = switch.deny_list.listen(lambda: heard.append(1))
    now_us = switch.clock()
    assert switch.deny_list.page_after(0, "shop") == ([], 0)
    for name in (b"a", b"b", b"c", b"a"):
        switch.deny_list.deny(DenyKind.TICKET, name, now_us + HOUR_US)
    switch.deny_list.deny(DenyKind.TICKET, b"old", now_us - 24 * HOUR_US)
    end()
    switch.deny_list.deny(DenyKind.CREDENTIAL, b"a", now_us + HOUR_US)
    assert len(heard) == 4  # not again
    after_restart = DenyList(switch.directory.denied, switch.clock)
    first, version = after_restart.page_after(0, "shop")
    second, newest = after_restart.page_after(version, "shop")
    assert [entry.id for entry in first + second] == [b"a", b"b", b"c", b"a"]
    assert second[-1].kind is DenyKind.CREDENTIAL
    third, final = after_restart.page_after(newest, "shop")
    assert (third, final) == ([], after_restart.page_after(final, "shop")[1])
    assert after_restart.is_denied(DenyKind.TICKET, b"c")
    assert not after_restart.is_denied(DenyKind.CREDENTIAL, b"c")


def test_tickets_are_told_to_their_own_merchant_alone(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both merchants' versions come to the same end; each step from any version tells all."""
    monkeypatch.setattr(deny_list_module, "PAGE", 2)
    end_us = switch.clock() + HOUR_US
    expected: dict[str, list[bytes]] = {"shop": [], "zoo": []}
    for number in range(12):
        name = bytes([number])
        if number % 3 == 0:
            switch.deny_list.deny(DenyKind.CREDENTIAL, name, end_us)
            for ids in expected.values():
                ids.append(name)
        else:
            merchant = ("shop", "zoo")[number % 3 - 1]
            switch.deny_list.deny(DenyKind.TICKET, name, end_us, merchant)
            expected[merchant].append(name)
    for merchant, ids in expected.items():
        for had in range(13):
            entries, version = list[DenyEntry](), had
            while True:
                page, version = switch.deny_list.page_after(version, merchant)
                entries += page
                if len(page) < 2:
                    break
            assert version == 12
            assert [entry.id for entry in entries] == [i for i in ids if i[0] >= had]


def test_revoked_terminals_are_told_to_their_own_merchant_alone(switch: Switch) -> None:
    """Each certificate that is no longer good: of one that was revoked, or was paired anew."""
    heard: list[int] = []
    switch.deny_list.listen(lambda: heard.append(1))
    for serial, device in enumerate(("agent/shop/a", "agent/shop/b", "agent/zoo/c"), 1):
        enter(switch, device, serial)
    enter(switch, "phone/ann/pixel", 4)
    assert heard == []
    enter(switch, "agent/shop/a", 5)  # paired anew
    switch.fleet.revoke("agent/shop/b")
    switch.fleet.revoke("agent/zoo/c")
    switch.fleet.revoke("phone/ann/pixel")
    assert len(heard) == 3
    assert told(switch, "shop") == [
        (DenyKind.CERTIFICATE, serial_bytes(1)),
        (DenyKind.CERTIFICATE, serial_bytes(2)),
    ]
    assert told(switch, "zoo") == [(DenyKind.CERTIFICATE, serial_bytes(3))]
    assert not switch.deny_list.is_denied(DenyKind.CERTIFICATE, serial_bytes(5))


def test_a_list_of_the_former_version_is_brought_right(tmp_path: Path) -> None:
    """What a terminal has stays good, and it hears of terminals that were revoked before."""
    old = apsw.Connection(str(tmp_path / "directory.db"))
    old.execute(STEPS[0])
    old.pragma("user_version", 1)
    end_us = Switch(tmp_path / "new").clock() + HOUR_US
    for kind, name in ((2, b"ticket"), (1, b"phone")):
        old.execute(
            "INSERT INTO deny_entry (kind, id, expire_us) VALUES (?, ?, ?)", (kind, name, end_us)
        )
    for serial, device, revoked in ((1, "agent/shop/a", 1), (2, "agent/shop/b", 0)):
        row = (serial_bytes(serial), device, bytes([serial]), b"", b"", b"", end_us, revoked)
        old.execute("INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    old.close()
    switch = Switch(tmp_path)
    assert told(switch, "shop", 2) == [(DenyKind.CERTIFICATE, serial_bytes(1))]
    assert told(switch, "zoo", 2) == []
    assert [name for _, name in told(switch, "zoo")] == [b"ticket", b"phone"]
    switch.directory.close()


def test_what_a_clock_ahead_left_out_is_told_when_it_is_right(tmp_path: Path) -> None:
    """Started a year ahead, it left out a lost phone; terminals then knew a version beyond it."""
    before = Switch(tmp_path)
    before.deny_list.deny(DenyKind.CREDENTIAL, b"lost", before.clock() + 24 * HOUR_US)
    before.directory.close()
    ahead = Switch(tmp_path, Clock(YEAR_US))
    entries, version = ahead.deny_list.page_after(0, "shop")
    assert (entries, version) == ([], 1)
    ahead.directory.close()
    right = Switch(tmp_path)
    for _ in range(2):
        entries, newer = right.deny_list.page_after(version, "shop")
        assert [entry.id for entry in entries] == [b"lost"]
    assert newer > version
    assert right.deny_list.page_after(newer, "shop") == ([], newer)
    right.directory.close()
    again = Switch(tmp_path)
    assert told(again, "shop") == [(DenyKind.CREDENTIAL, b"lost")]
    assert again.deny_list.page_after(newer, "shop") == ([], newer)
    again.directory.close()


def test_a_clock_that_is_corrected_while_it_serves_tells_it(switch: Switch) -> None:
    """As an operator's word may; a clock that is a day ahead leaves out nothing that is good."""
    switch.deny_list.deny(DenyKind.TICKET, b"stolen", switch.clock() + HOUR_US)
    switch.clock.ahead_us = 24 * HOUR_US
    assert told(switch, "shop") == [(DenyKind.TICKET, b"stolen")]
    switch.clock.ahead_us = YEAR_US
    entries, version = switch.deny_list.page_after(0, "shop")
    assert entries == []
    switch.clock.ahead_us = 0
    assert told(switch, "shop", version) == [(DenyKind.TICKET, b"stolen")]


def test_a_phone_revoked_by_a_clock_ahead_is_denied(switch: Switch) -> None:
    """Its credentials have expired by that clock, and are good by the right one."""
    now_us = switch.clock()
    switch.directory.file.rows(
        "INSERT INTO holder_credential VALUES (?, ?, ?, ?, ?, ?, ?)",
        b"c" * 16, b"r" * 16, "phone/ann/pixel", 1, b"k", b"s", now_us + HOUR_US,
    )  # fmt: skip
    switch.clock.ahead_us = YEAR_US
    switch.directory.revoke("phone/ann/pixel", switch.clock())
    switch.clock.ahead_us = 0
    assert told(switch, "shop") == [(DenyKind.CREDENTIAL, b"c" * 16)]


def test_a_certificate_that_was_revoked_stays_so_if_the_clock_was_ahead_at_the_start(
    tmp_path: Path,
) -> None:
    """It had ended by that clock; by the right one it has not."""
    before = Switch(tmp_path)
    enter(before, "agent/shop/till", 7)
    before.directory.revoke("agent/shop/till", before.clock())
    before.directory.close()
    ahead = Switch(tmp_path, Clock(YEAR_US))
    assert ahead.directory.is_revoked(7)
    ahead.directory.close()


def test_versions_that_a_restore_lost_are_never_given_again(switch: Switch) -> None:
    """A terminal that had more is told all; once the loss is accepted, new ones lie beyond."""
    end_us = switch.clock() + HOUR_US
    switch.deny_list.deny(DenyKind.TICKET, b"a", end_us)
    assert told(switch, "shop", 900) == [(DenyKind.TICKET, b"a")]
    switch.directory.denied.begin_after_loss()
    switch.deny_list.deny(DenyKind.TICKET, b"b", end_us)
    assert told(switch, "shop", 900) == [(DenyKind.TICKET, b"b")]
    assert switch.directory.denied.version() > 1_000_000_000
