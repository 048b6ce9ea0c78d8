"""The tap bench: from the touch of a phone to the till's verdict, over two radios.

A real switch, the terminal's real tap desk on nfcpy, and the simulated phone whose customer agrees
at once. First over nfcpy's UDP field, which takes no time of its own, so the figure is ours; then
over the PN532 model, where every byte takes its time on the serial line (921,600 baud) and in the
air (106 kbit/s), so the figure is a customer's. Called by `cli.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.journal import Journal
from edge_agents.links.radio import open_radio
from edge_agents.payment_request import Terminal
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, write_identity
from simulators.load import books
from simulators.load.audit import Acknowledged, audit
from simulators.load.books import Population, merchant_name, wallet_name
from simulators.load.counter import PRICE_MINOR, Counter
from simulators.load.fields import OpenField, open_pn532, open_udp
from simulators.load.figures import percentile
from simulators.load.parties import Office
from simulators.load.switch_process import SwitchProcess
from simulators.load.wire_figures import TapFigures
from simulators.phone.customer import Approving
from simulators.phone.field import Field
from simulators.phone.phone import Phone
from simulators.phone.vault import Vault

AIR_SHARE = 4
SEED = 20_260_102

_PIN = "2580"
_POPULATION = Population(accounts=1, wallets=1, merchants=1)
_WARM_UP_TAPS = 4
# In turn, because a reader takes 0.15 s to be sure that a phone has left.
_COUNTERS = 2
# The phone comes at any moment of the reader's polling, and leaves soon after its receipt.
_LONGEST_PAUSE_S = 0.06
_LINGER_S = 0.03


@dataclass(frozen=True, slots=True)
class _Shop:
    """Who meets at the counter."""

    terminal: Terminal
    identity: DeviceIdentity
    phone_folder: Path


def run_tap(folder: Path, taps: int, tell: Callable[[str], None]) -> TapFigures:
    """Measure in an empty folder: so many taps, a quarter of them with air time.

    Complaint if a tap does not end with money, or the books do not show them all.
    """
    data = folder / "data"
    tell("setting up a shop")
    shop = _set_up(data, folder / "phone")
    with SwitchProcess(data) as switch:
        figures = asyncio.run(_measure(shop, folder, switch.running.address, taps, tell))
        switch.stop()
    tell("verifying the books")
    audit(data, Acknowledged(payments=figures.sold, minor=figures.sold * PRICE_MINOR))
    return figures


def _set_up(data: Path, phone_folder: Path) -> _Shop:
    books.create_folder(data)
    with ThreadPoolExecutor() as threads:
        for shard in books.fill(data, _POPULATION, threads):
            shard.result()
    phone_folder.mkdir()
    vault = Vault.create(phone_folder, _PIN, os.urandom)
    account, _ = _POPULATION.account(0)
    with Office.open(data) as office:
        party = office.terminal(merchant_name(0), _POPULATION.merchant_account(0))
        phone = office.phone(wallet_name(0), vault.unlock(_PIN), (account,))
    write_identity(phone_folder, phone)
    certificate = party.identity.merchant_certificate
    if certificate is None:
        raise Complaint("the switch gave the terminal no merchant certificate")
    terminal = Terminal(
        party.merchant_id,
        party.terminal_id,
        f"Shop {party.merchant_id}",
        Ed25519PrivateKey.from_private_bytes(party.signing_key),
        certificate,
        party.identity.switch_key,
    )
    return _Shop(terminal, party.identity, phone_folder)


async def _measure(
    shop: _Shop, folder: Path, address: str, taps: int, tell: Callable[[str], None]
) -> TapFigures:
    uplink = Uplink(open_channel(replace(shop.identity, server_address=address)), os.urandom)
    phone = Phone(shop.phone_folder, Approving(_PIN), lambda page: None, linger_s=_LINGER_S)
    try:
        bench = _TapBench(shop.terminal, uplink, phone, tell)
        with_air = max(1, taps // AIR_SHARE)
        plain = await bench.run("udp", open_udp, folder, taps - with_air or 1)
        air = await bench.run("pn532", open_pn532, folder, with_air)
    finally:
        phone.close()
        await uplink.close()
    return TapFigures(
        p50_ms=percentile(plain, 50),
        p99_ms=percentile(plain, 99),
        p50_air_ms=percentile(air, 50),
        p99_air_ms=percentile(air, 99),
        taps=len(plain) + len(air),
        sold=bench.sold,
    )


class _TapBench:
    """One phone that goes from counter to counter."""

    def __init__(
        self, terminal: Terminal, uplink: Uplink, phone: Phone, tell: Callable[[str], None]
    ) -> None:
        self._terminal, self._uplink, self._phone, self._tell = terminal, uplink, phone, tell
        self._dice = random.Random(SEED)  # noqa: S311
        self.sold = 0

    async def run(self, name: str, open_field: OpenField, folder: Path, taps: int) -> list[float]:
        """Tap so often, after a warm-up; milliseconds from touch to verdict, sorted."""
        times = []
        async with AsyncExitStack() as stack:
            counters = []
            for number in range(_COUNTERS):
                journal = folder / f"{name}-{number}"
                journal.mkdir()
                counters.append(await self._open_counter(stack, open_field, journal))
            for number in range(_WARM_UP_TAPS + taps):
                self._tell(f"{name}: tap {number + 1} of {_WARM_UP_TAPS + taps}")
                counter, field = counters[number % _COUNTERS]
                pause_s = self._dice.uniform(0, _LONGEST_PAUSE_S)
                times.append(await counter.sell(self._phone, field, pause_s))
                self.sold += 1
        return sorted(times[_WARM_UP_TAPS:])

    async def _open_counter(
        self, stack: AsyncExitStack, open_field: OpenField, folder: Path
    ) -> tuple[Counter, Field]:
        moniker, field = stack.enter_context(open_field())
        journal = stack.enter_context(closing(Journal(folder)))
        radio = open_radio(moniker)
        counter = Counter(self._terminal, journal, self._uplink, radio)
        return await stack.enter_async_context(counter), field
