"""A certificate that is out of date is said to be so, by whichever clock; never "no switch"."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agents.uplink import describe
from kessai.channel import ask_why, open_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, write_identity
from kessai.enrollment.tls_key import key_pem
from kessai.line_trouble import trouble_in
from kessai.v1.account_pb2 import GetTrialBalanceRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from server.commands import operator_line
from simulators.phone.bank_line import open_bank_line
from tests.unit.server.switch.in_process import (
    CONFIG,
    DOMAIN,
    LIMIT_S,
    Served,
    make_folder,
    now_us,
    served,
)

DAY_US = 86_400_000_000
AHEAD, BEHIND = 400 * DAY_US, -400 * DAY_US


async def trial(channel: grpc.aio.Channel) -> object:
    """Any call of an operator."""
    return await AccountServiceStub(channel).GetTrialBalance(
        GetTrialBalanceRequest(), timeout=LIMIT_S
    )


async def operators_words(folder: Path) -> str:
    """What an operator's command complains of."""
    with pytest.raises(Complaint) as complaint:
        await asyncio.to_thread(operator_line.call, folder, None, trial)
    return str(complaint.value)


def of_the_past(switch: Served) -> DeviceIdentity:
    """A phone whose certificate ended a year ago."""
    authority = replace(switch.switch._authority, now_us=lambda: now_us() + BEHIND)
    key = ec.generate_private_key(ec.SECP256R1())
    chain = authority.issue("phone/ann/pixel", key.public_key()).chain
    identity = f"spiffe://{DOMAIN}/phone/ann/pixel"
    return replace(switch.operator, identity=identity, key_pem=key_pem(key), chain_pem=chain)


async def terminals_words(switch: Served) -> str:
    """What a terminal says of the line that it lost."""
    async with open_channel(switch.operator) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await trial(channel)
    return describe(failed.value)


@pytest.mark.parametrize(("ahead_us", "said"), [(AHEAD, "is not valid yet"), (BEHIND, "has ended")])
async def test_a_switch_whose_clock_is_wrong(tmp_path: Path, ahead_us: int, said: str) -> None:
    """Its certificate is of another year: operator, phone and terminal say so."""
    folder = tmp_path / "data"
    make_folder(folder)
    async with served(folder, clock=lambda: now_us() + ahead_us) as switch:
        words = (await operators_words(folder), await terminals_words(switch))
        for told in words:
            assert f"its certificate {said} by this machine's clock" in told
            assert "no switch answers" not in told


async def test_a_switch_under_a_name_that_its_certificate_has_not(tmp_path: Path) -> None:
    """That it is there is said: its `other_hosts` are to be looked at, not its power."""
    elsewhere = CONFIG.model_copy(update={"listen": "127.0.0.2:0"})
    async with served(tmp_path / "data", config=elsewhere) as switch:
        port = switch.operator.server_address.rpartition(":")[2]
        who = replace(switch.operator, server_address=f"127.0.0.2:{port}")
        async with open_channel(who) as channel:
            assert "certificate is for another name" in await ask_why(channel)


async def test_a_phone_says_so_too(tmp_path: Path) -> None:
    """It was paired while the clocks agreed; then the switch's went a year ahead."""
    folder = tmp_path / "data"
    async with served(folder) as switch:
        paired = switch.device("phone/ann/pixel")
    async with served(folder, clock=lambda: now_us() + AHEAD) as later:
        here = replace(paired, server_address=later.running.address)
        write_identity(tmp_path / "ann", here)
        with pytest.raises(Complaint, match="its certificate is not valid yet"):
            async with open_bank_line(tmp_path / "ann", now_us) as line:
                await line.statement("00010000004220", 1)


async def test_who_is_out_of_date_for_the_switch_alone(tmp_path: Path) -> None:
    """It hangs up without a word; that somebody is there is said all the same."""
    async with served(tmp_path / "data") as switch, open_channel(of_the_past(switch)) as channel:
        assert "hold our certificate for out of date" in await ask_why(channel)


async def test_a_switch_that_hangs_up_on_too_many_lines_is_not_called_away(tmp_path: Path) -> None:
    """It answered before, and answers again once the others are gone."""
    said = "UNAVAILABLE: Stream removed (Socket closed)"
    assert "too many lines to it (lines_per_address" in trouble_in(said)
    assert "too many lines" in trouble_in("recvmsg: Connection reset by peer")
    folder = tmp_path / "data"
    limited = CONFIG.model_copy(update={"lines_per_address": 1})
    async with served(folder, config=limited) as switch, open_channel(switch.operator) as first:
        await trial(first)
        told = ""
        async with asyncio.timeout(LIMIT_S):
            while "too many lines" not in told:
                async with open_channel(switch.operator) as second:
                    try:
                        await asyncio.gather(*(trial(second) for _ in range(50)))
                    except grpc.aio.AioRpcError as error:
                        told = trouble_in(error.details())
        assert "no switch answers" not in told


async def test_a_switch_that_hangs_is_not_called_away(tmp_path: Path) -> None:
    """The kernel takes the line, and nobody shakes hands."""
    async with served(tmp_path / "data") as switch:
        who = switch.operator
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        host, port = deaf.getsockname()
        async with open_channel(replace(who, server_address=f"{host}:{port}")) as channel:
            assert "does not answer in time" in await ask_why(channel)


async def test_where_nobody_is_nothing_is_said(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as switch:
        who = switch.operator
    async with open_channel(who) as channel:
        assert await ask_why(channel) == ""
    assert trouble_in(None) == trouble_in("Deadline Exceeded") == ""


async def test_a_certificate_that_has_not_begun_is_named_before_the_first_call(
    tmp_path: Path,
) -> None:
    """As after a machine started with the clock of its firmware."""
    async with served(tmp_path / "data") as switch:
        identity = switch.operator
    identity.require_in_date(now_us())
    with pytest.raises(Complaint, match=r"begins on .*put the clock right"):
        identity.require_in_date(now_us() - DAY_US)
    with pytest.raises(Complaint, match="has expired"):
        identity.require_in_date(now_us() + AHEAD)
