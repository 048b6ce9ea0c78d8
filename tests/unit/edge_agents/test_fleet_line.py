"""The line to the fleet's operator, against a switch's real ports: what is said, and heard."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc.aio
import pytest
from cryptography.x509 import load_pem_x509_certificate

from edge_agents import fleet_line
from edge_agents.accepted import HolderMark
from edge_agents.agent_state import AgentState
from edge_agents.deny_list import CREDENTIAL, DenyList
from edge_agents.events import Events
from edge_agents.fleet_line import FleetLine
from edge_agents.fleet_member import FleetMember
from edge_agents.journal import Journal
from edge_agents.remote_settings import RemoteSettings
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fleet_pb2 import READER_STATE_LOST, READER_STATE_READY
from kessai.v1.holder_pb2 import HolderAnswer
from server.domain.directory import DenyKind, DeviceEntry, IssuedCertificate
from tests.unit.edge_agents.parties import NOW_US, Field, make_pending, make_sealed, make_terminal
from tests.unit.server.ports import Switch, serving

TILL = "agent/shop/till"
LIMIT_S = 60.0


class Member:
    """An agent's fleet parts in a folder."""

    def __init__(self, folder: Path, uplink: Uplink) -> None:
        self.told = io.StringIO()
        self.radio, self.journal = Field(), Journal(folder)
        self.denied, self.settings = DenyList(folder), RemoteSettings(folder)
        self.state = AgentState(
            self.radio, self.journal, self.denied, self.settings, lambda: NOW_US
        )
        events = Events(lambda: NOW_US, self.told)
        self.now_us = NOW_US
        self.line = FleetLine(
            uplink, self.state, self.denied, self.settings, events, lambda: self.now_us
        )

    def events(self) -> list[str]:
        """Name what was told."""
        return [json.loads(line)["event"] for line in self.told.getvalue().splitlines()]


def enter(switch: Switch, serial: int = 1) -> None:
    """Enter the till in the directory."""
    entered = IssuedCertificate(serial, TILL, b"r" * 16, b"", b"", b"", switch.clock() + 10**12)
    switch.directory.enroll(DeviceEntry(entered, b"k" * 16, b"", "kessai 1", switch.clock()))


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


async def stop(task: asyncio.Task[None]) -> None:
    """End a loop."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_agent_is_in_touch(tmp_path: Path) -> None:
    """It says how it is, and hears what is denied and set; each at once."""
    async with serving(tmp_path / "switch") as switch:
        enter(switch)
        async with open_channel(switch.identity(TILL)) as channel:
            member = Member(_folder(tmp_path), Uplink(channel, os.urandom))
            task = asyncio.create_task(member.line.run())
            await until(lambda: switch.fleet.state(TILL).attached)
            await until(lambda: member.denied.as_of_us == NOW_US)
            member.state.say("no paper")
            await until(lambda: switch.fleet.state(TILL).report.state == "no paper")
            switch.deny_list.deny(DenyKind.CREDENTIAL, b"c" * 16, switch.clock() + 10**12)
            await until(lambda: member.denied.is_denied(CREDENTIAL, b"c" * 16))
            await until(lambda: switch.fleet.state(TILL).report.deny_list_version == 1)
            switch.fleet.configure(TILL, {"offline_waiting_count": 7})
            await until(lambda: member.settings.values == {"offline_waiting_count": 7})
            await until(lambda: switch.fleet.state(TILL).report.config_version == 1)
            assert member.events() == ["in_touch", "deny_list_grew", "configured"]
            await stop(task)
            await until(lambda: not switch.fleet.state(TILL).attached)


async def test_a_list_that_a_wrong_clock_emptied_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock goes a year ahead and comes back while the agent is in touch."""
    monkeypatch.setattr(fleet_line, "FIRST_PAUSE_S", 0.02)
    lost, year_us = b"c" * 16, 365 * 24 * 3600 * 10**6
    async with serving(tmp_path / "switch") as switch:
        enter(switch)
        switch.deny_list.deny(DenyKind.CREDENTIAL, lost, switch.clock() + year_us // 2)
        async with open_channel(switch.identity(TILL)) as channel:
            member = Member(_folder(tmp_path), Uplink(channel, os.urandom))
            member.now_us = switch.clock()
            task = asyncio.create_task(member.line.run())
            await until(lambda: member.denied.is_denied(CREDENTIAL, lost))
            member.now_us += year_us
            await until(lambda: not member.denied.is_denied(CREDENTIAL, lost))
            member.now_us -= year_us
            await until(lambda: member.denied.is_denied(CREDENTIAL, lost))
            await until(lambda: not member.denied.is_stale(10**6, member.now_us))
            assert "deny_list_anew" in member.events()
            await stop(task)


async def test_a_revoked_agent_knows_it_for_good(tmp_path: Path) -> None:
    """Its list counts as too old from then on, also for who cuts its line and starts it anew."""
    folder = _folder(tmp_path)
    async with serving(tmp_path / "switch") as switch:
        identity = switch.identity(TILL)
        enter(switch, load_pem_x509_certificate(identity.chain_pem).serial_number)
        async with open_channel(identity) as channel:
            member = Member(folder, Uplink(channel, os.urandom))
            task = asyncio.create_task(member.line.run())
            await until(lambda: member.denied.as_of_us == NOW_US)
            switch.fleet.revoke(TILL)
            await until(lambda: "refused_by_switch" in member.events())
            await stop(task)
    member.denied.close()
    assert DenyList(folder).is_refused


async def test_in_touch_is_said_when_all_is_known(tmp_path: Path) -> None:
    """Whoever hears it may cut the line: the terminal has its settings and the whole list."""
    async with serving(tmp_path / "switch") as switch:
        enter(switch)
        switch.fleet.configure(TILL, {"offline_waiting_count": 7})
        switch.deny_list.deny(DenyKind.CREDENTIAL, b"c" * 16, switch.clock() + 10**12)
        async with open_channel(switch.identity(TILL)) as channel:
            member = Member(_folder(tmp_path), Uplink(channel, os.urandom))
            task = asyncio.create_task(member.line.run())
            await until(lambda: "in_touch" in member.events())
            assert member.events()[:2] == ["configured", "in_touch"]
            assert (member.denied.as_of_us, member.denied.version) == (NOW_US, 1)
            await stop(task)


async def test_an_agent_out_of_touch_says_so_once_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch cuts the line by silence: it attaches again, with what it has."""
    monkeypatch.setattr(fleet_line, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(fleet_line, "SILENCE_S", 0.1)  # the switch speaks every 0.2 s
    async with serving(tmp_path / "switch") as switch:
        enter(switch)
        async with open_channel(switch.identity(TILL)) as channel:
            member = Member(_folder(tmp_path), Uplink(channel, os.urandom))
            task = asyncio.create_task(member.line.run())
            await until(lambda: member.events().count("in_touch") == 3)
            await stop(task)
    events = member.events()
    first = events.index("in_touch")  # the very first answer may come too late, too
    assert events[first : first + 4] == ["in_touch", "out_of_touch"] * 2


async def test_a_line_that_is_exchanged_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a renewal of the certificate: the agent goes on, over the new line."""
    monkeypatch.setattr(fleet_line, "FIRST_PAUSE_S", 0.02)
    async with serving(tmp_path / "switch") as switch:
        enter(switch)
        former = open_channel(switch.identity(TILL))
        async with open_channel(switch.identity(TILL)) as following:
            uplink = Uplink(former, os.urandom)
            member = Member(_folder(tmp_path), uplink)
            task = asyncio.create_task(member.line.run())
            await until(lambda: "in_touch" in member.events())
            uplink._channel = following
            await former.close()
            await until(lambda: member.events().count("in_touch") == 2)
            assert not task.done()
            await stop(task)


async def test_while_nobody_answers_it_tells_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on trying, and the log is not filled with it."""
    monkeypatch.setattr(fleet_line, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(fleet_line, "LONGEST_PAUSE_S", 0.02)
    async with serving(tmp_path / "switch") as switch:
        identity = switch.identity(TILL)
    async with open_channel(identity) as channel:
        member = Member(_folder(tmp_path), Uplink(channel, os.urandom))
        task = asyncio.create_task(member.line.run())
        await until(lambda: "out_of_touch" in member.events())
        await asyncio.sleep(0.2)
        await stop(task)
    assert member.events() == ["out_of_touch"]


def test_a_report_is_of_its_moment(tmp_path: Path) -> None:
    """What waits, the reader, and at most 120 characters of words."""

    class NoLine(Uplink):
        def __init__(self) -> None:
            pass

    member = Member(tmp_path, NoLine())
    assert member.state.report().waiting_payments == 0
    pending = make_pending()
    member.journal.request(pending)
    member.journal.authorize(pending.request_id, make_sealed(pending))
    member.radio.is_ready = False
    member.state.say("x" * 200)
    report = member.state.report()
    assert (report.waiting_payments, report.waiting_total.amount_minor) == (1, 434)
    assert (report.lost_payments, report.HasField("lost_total")) == (0, False)
    assert report.reader_state == READER_STATE_LOST
    assert len(report.state) == 120
    member.journal.accept(pending.request_id, HolderMark(b"c" * 16), HolderAnswer(), NOW_US)
    member.journal.conclude(pending.request_id, Signed(payload=b"declined"), settled=False)
    report = member.state.report()
    assert (report.lost_payments, report.lost_total.amount_minor) == (1, 434)
    assert (report.unpaid_payments, report.HasField("unpaid_total")) == (0, False)
    member.journal.note_unpaid(NOW_US, pending)
    member.journal.note_unpaid(NOW_US, None)
    report = member.state.report()
    assert (report.unpaid_payments, report.unpaid_total.amount_minor) == (2, 434)
    member.radio.is_ready = True
    assert member.state.report().reader_state == READER_STATE_READY


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "till"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("said", ["", "letting in"])
async def test_an_agent_that_serves_does_not_say_that_it_is_starting(
    tmp_path: Path, said: str
) -> None:
    """It is in service, unless it said something of its own."""
    uplink = Uplink(grpc.aio.insecure_channel("127.0.0.1:9"), os.urandom)
    member = FleetMember(
        tmp_path, make_terminal(), Field(), Journal(tmp_path), uplink, Events(lambda: NOW_US),
        lambda: NOW_US,
    )  # fmt: skip
    assert member.state.report().state == "starting"
    if said:
        member.state.say(said)
    serving_ = asyncio.create_task(member.run())
    await asyncio.wait_for(member.state.changed.wait(), LIMIT_S)
    assert member.state.report().state == (said or "in service")
    serving_.cancel()
    await asyncio.wait([serving_])
    await uplink.close()
    member.close()
