"""`kessai agent`: a terminal is paired, runs as a process, and shows what it knows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.journal import Journal
from edge_agents.receipts import encode_qr
from edge_agents.register.price_list import load_price_list
from edge_agents.terminal import load_or_make_signing_key, open_terminal
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import load_identity, write_identity
from kessai.pairing_code import format_pairing_uri
from simulators.devices.counter import Counter
from tests.unit.edge_agents.parties import (
    WAIT_S,
    make_pending,
    make_receipt,
    make_sealed,
    sign_receipt,
)
from tests.unit.server.ports import DAY_US, Switch, serving
from tests.warm import WarmProcess

PIPE = subprocess.PIPE
END_LIMIT_S = 60.0
AGENT = [str(Path(sys.executable).with_name("kessai")), "agent"]
TILL = "agent/shop/till"


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


async def run(*words: str, text: str = "") -> Ended:
    """Run `kessai agent` to its end."""

    def end() -> Ended:
        with WarmProcess(
            [*AGENT, *words], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env=environment()
        ) as process:
            out, err = process.communicate(text, END_LIMIT_S)
        return Ended(process.returncode, out, err)

    return await asyncio.to_thread(end)


def environment() -> dict[str, str]:
    return os.environ | {"COLUMNS": "160"}


@asynccontextmanager
async def paired(folder: Path) -> AsyncIterator[Switch]:
    """Serve a switch, with a terminal paired in `folder`/till."""
    async with serving(folder / "switch") as switch:
        uri = format_pairing_uri(switch.pairing(TILL))
        ended = await run("pair", "--folder", str(folder / "till"), text=uri)
        assert ended.code == 0, ended.err
        assert "Paired as agent/shop/till" in ended.out
        yield switch


def assert_one_complaint(ended: Ended, *words: str) -> None:
    assert ended.code == 1
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err.replace("\n", "")


async def test_a_register_runs_and_stops_cleanly(tmp_path: Path) -> None:
    """Paired over TLS, with its devices on ptys, until SIGTERM."""
    counter = Counter(tmp_path / "lines")
    async with paired(tmp_path):
        process = await start_register(tmp_path)
        assert process.stdout is not None
        assert await next_event(process.stdout) == "started"
        await asyncio.to_thread(counter.display.wait_for, "Corner Shop")
        await asyncio.to_thread(counter.obey, "9506000134352")
        assert await next_event(process.stdout) == "item_scanned"
        await asyncio.to_thread(counter.obey, "pay")
        assert await next_event(process.stdout) == "waiting_for_tap"
        second = await run(*register_words(tmp_path))
        assert_one_complaint(second, "Another agent runs")
        listed = await run("payments", "--folder", str(tmp_path / "till"))
        assert "requested" in listed.out
        assert "3.49 EUR" in listed.out
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0
        assert counter.display.text == "Closed"
    counter.close()


async def test_what_is_missing_at_start_is_one_complaint(tmp_path: Path) -> None:
    words = register_words(tmp_path)
    assert_one_complaint(await run(*words), "pair it first")
    async with paired(tmp_path):
        assert_one_complaint(await run(*words), "The scanner at", "cannot be opened")
        counter = Counter(tmp_path / "lines")
        counter.obey("unplug printer")
        assert_one_complaint(await run(*words), "The printer at", "cannot be opened")
        counter.obey("plug printer")
        ended = await run(*words, "--reader", "udp:nonsense")
        assert_one_complaint(ended, "udp:nonsense")
        ended = await run(*words, "--price-list", str(tmp_path / "none.csv"))
        assert_one_complaint(ended, "price list")
        counter.close()


async def test_a_wrong_code_or_config_is_one_complaint(tmp_path: Path) -> None:
    folder = str(tmp_path / "till")
    assert_one_complaint(await run("pair", "--folder", folder, text="kessai://pair?x=1"), "pair")
    refused = await run("pair", "--folder", folder, "kessai://pair?x=1")
    assert_one_complaint(refused, "pairing code among the arguments", "--uri-file")
    (tmp_path / "register.toml").write_text("reader = 7")
    ended = await run("register", "--config", str(tmp_path / "register.toml"))
    assert_one_complaint(ended, "register.toml", "reader", "string")
    assert_one_complaint(await run("payments", "--folder", folder), "no journal")


async def test_samples_of_config_and_price_list_are_printed(tmp_path: Path) -> None:
    ended = await run("config")
    assert 'reader = "usb"' in ended.out
    (tmp_path / "prices.csv").write_text((await run("prices")).out)
    assert load_price_list(tmp_path / "prices.csv").currency == "EUR"


async def test_receipts_are_checked_offline(tmp_path: Path) -> None:
    """The switch is gone meanwhile. Own, another's, forged, and no receipt at all."""
    folder = tmp_path / "till"
    async with paired(tmp_path) as switch:
        key = switch.keyring.signing_key
    pending = make_pending()
    receipt = make_receipt(pending)
    good = encode_qr(sign_receipt(receipt, key))
    ended = await run("check-receipt", "--folder", str(folder), good)
    assert ended.code == 0
    assert "PAID  4.34 EUR" in ended.out
    assert "Not a payment of this terminal" in ended.out
    journal = Journal(folder)
    journal.request(pending)
    journal.authorize(pending.request_id, make_sealed(pending))
    journal.close()
    ended = await run("check-receipt", "--folder", str(folder), text=good + "\n")
    assert "Order till-1-000001 of this terminal" in ended.out
    receipt.amount.amount_minor -= 1
    for text in (
        encode_qr(sign_receipt(receipt, key)),
        encode_qr(sign_receipt(make_receipt(pending), Ed25519PrivateKey.generate())),
        "https://example.com",
    ):
        ended = await run("check-receipt", "--folder", str(folder), text)
        assert_one_complaint(ended, "Do not accept this receipt")


async def test_a_certificate_is_renewed_in_time(tmp_path: Path) -> None:
    """The uplink calls with the new one, and the terminal presents its new merchant certificate."""
    folder = tmp_path / "till"
    async with paired(tmp_path) as switch:
        old = load_identity(folder)
        uplink = Uplink(open_channel(old), os.urandom)
        assert await uplink.renew_if_due(folder, switch.clock) is None
        switch.clock.ahead_us = 21 * DAY_US
        new = await uplink.renew_if_due(folder, switch.clock)
        assert new is not None
        assert new == load_identity(folder)
        assert new.expire_us > old.expire_us
        terminal = open_terminal(folder, new)
        assert terminal.merchant_certificate == new.merchant_certificate
        assert terminal.merchant_certificate != old.merchant_certificate
        await uplink.close()


async def test_a_renewal_that_fails_is_a_complaint_and_the_line_stays(tmp_path: Path) -> None:
    folder = tmp_path / "till"
    async with paired(tmp_path) as switch:
        uplink = Uplink(open_channel(load_identity(folder)), os.urandom)
        clock = switch.clock
    clock.ahead_us = 21 * DAY_US
    with pytest.raises(Complaint, match="was not renewed"):
        await uplink.renew_if_due(folder, clock)
    await uplink.close()


async def test_an_expired_certificate_is_one_complaint(tmp_path: Path) -> None:
    """Found at start, and not at the first customer's tap."""
    async with serving(tmp_path / "switch") as switch:
        switch.clock.ahead_us = -40 * DAY_US
        write_identity(tmp_path / "till", switch.identity(TILL))
    assert_one_complaint(await run(*register_words(tmp_path)), "has expired", "pair again")


async def test_a_phone_is_no_terminal(tmp_path: Path) -> None:
    async with serving(tmp_path / "switch") as switch:
        identity = switch.identity("phone/ann/pixel")
    load_or_make_signing_key(tmp_path)
    with pytest.raises(Complaint, match="phone/ann/pixel, not of a terminal"):
        open_terminal(tmp_path, identity)


async def test_another_s_signing_key_is_no_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "till"
    async with paired(tmp_path):
        pass
    identity = load_identity(folder)
    (folder / "signing.key").unlink()
    with pytest.raises(Complaint, match="cannot be read"):
        open_terminal(folder, identity)
    load_or_make_signing_key(folder)
    with pytest.raises(Complaint, match="not the key that was paired"):
        open_terminal(folder, identity)


def register_words(folder: Path) -> list[str]:
    lines = folder / "lines"
    words = [
        "register",
        "--folder",
        str(folder / "till"),
        "--reader",
        f"udp:127.0.0.1:{free_port()}",
    ]
    for device in ("scanner", "display", "printer"):
        words += [f"--{device}", str(lines / device)]
    return words


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start_register(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *AGENT,
        *register_words(folder),
        "--events",
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )


async def next_event(stream: asyncio.StreamReader) -> str:
    """Read the next event of the sale; the fleet's line comes and goes by itself."""
    async with asyncio.timeout(WAIT_S):
        while True:
            event = str(json.loads(await stream.readline())["event"])
            if event not in ("in_touch", "out_of_touch"):
                return event
