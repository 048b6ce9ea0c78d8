"""The gate bench: from the touch of a phone to the open barrier, on line and off, and a soak.

A real switch, an entry and an exit of the sample line, and a phone that rides between them without
a PIN. Over nfcpy's UDP field the figure is ours; over the PN532 model every byte takes its time on
the serial line (921,600 baud) and in the air. Off line the switch is stopped: the gate decides by
itself. Every tenth tap is by somebody without an admission, for whom no gate may open. Called by
`tap.py` and `cli.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agents.payment_request import Terminal
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity, load_identity, write_identity
from kessai.money import Money
from kessai.request_id import new_request_id
from kessai.v1.envelope_pb2 import Signed
from server import main
from simulators.load import books, parties
from simulators.load.books import CURRENCY, Population, merchant_name, wallet_name
from simulators.load.fields import OpenField, open_pn532, open_udp
from simulators.load.figures import percentile
from simulators.load.parties import Office
from simulators.load.station import StationGate
from simulators.load.switch_process import SwitchProcess
from simulators.load.wire_figures import GateFigures
from simulators.phone.admissions import Admissions
from simulators.phone.bank_line import open_bank_line
from simulators.phone.customer import Approving
from simulators.phone.holder_key import HolderKey
from simulators.phone.phone import Phone, choose_account
from simulators.phone.screen import View
from simulators.phone.vault import Vault

SEED = 20_261_120
FARE = "3.20 EUR"

_TRAINS = "4111"
_PIN = "2580"
_SMALL = Money(1_000, CURRENCY)
_POPULATION = Population(accounts=2, wallets=2, merchants=1)
_LONGEST_PAUSE_S = 0.06
_LINGER_S = 0.03
_STRANGER_EVERY = 10


@dataclass
class _Line:
    """Who meets at the gates, and what came of it."""

    terminals: list[tuple[Terminal, DeviceIdentity]]
    rider: Phone
    rider_folder: Path
    stranger: Phone
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311
    taps: int = 0
    wrong: int = 0

    def pause_s(self) -> float:
        """Draw when the next phone comes: at any moment of the reader's polling."""
        return self.dice.uniform(0, _LONGEST_PAUSE_S)


def run_gates(folder: Path, rides: int, tell: Callable[[str], None]) -> GateFigures:
    """Measure in an empty folder: so many rides over UDP, a quarter as many with air time.

    Complaint if a gate does not open at all.
    """

    async def work(line: _Line, switch: SwitchProcess) -> GateFigures:
        return await _measure(line, switch, folder, rides, tell)

    return _with_line(folder, tell, work)


def run_soak(folder: Path, minutes: float, rate: int, tell: Callable[[str], None]) -> GateFigures:
    """Let passengers through an entry and an exit, so many a minute through each of them."""

    async def work(line: _Line, switch: SwitchProcess) -> GateFigures:
        return await _soak(line, folder, minutes, rate, tell)

    return _with_line(folder, tell, work)


def _with_line(
    folder: Path,
    tell: Callable[[str], None],
    work: Callable[[_Line, SwitchProcess], Coroutine[object, object, GateFigures]],
) -> GateFigures:
    data = folder / "data"
    tell("setting up a line")
    books.create_folder(data)
    with ThreadPoolExecutor() as threads:
        for shard in books.fill(data, _POPULATION, threads):
            shard.result()
    merchant, account = merchant_name(0), _POPULATION.merchant_account(0)
    with Office.open(data) as office:
        gates = [
            office.terminal(merchant, account, name, _TRAINS, _SMALL) for name in ("entry", "exit")
        ]
        phones = [_pair(office, folder, number) for number in range(2)]
    with SwitchProcess(data) as switch:
        address = switch.running.address
        for phone in phones:
            asyncio.run(_certify(phone, address))
        rider, stranger = (
            Phone(phone, Approving(_PIN), lambda page: None, linger_s=_LINGER_S) for phone in phones
        )
        terminals = [
            (_terminal(gate), replace(gate.identity, server_address=address)) for gate in gates
        ]
        with closing(rider), closing(stranger):
            return asyncio.run(work(_Line(terminals, rider, phones[0], stranger), switch))


def _pair(office: Office, folder: Path, number: int) -> Path:
    phone = folder / f"phone-{number}"
    phone.mkdir(parents=True)
    vault = Vault.create(phone, _PIN, os.urandom)
    account, _ = _POPULATION.account(number)
    write_identity(phone, office.phone(wallet_name(number), vault.unlock(_PIN), (account,)))
    vault.allow_small(_PIN, _SMALL, os.urandom)
    return phone


async def _certify(phone: Path, address: str) -> None:
    identity = replace(load_identity(phone), server_address=address)
    write_identity(phone, identity)
    key = HolderKey(phone, identity.switch_key)
    async with open_bank_line(phone, main.now_us) as line:
        request_id = new_request_id(main.now_us() // 1000, os.urandom)
        await line.certify(key, choose_account(identity, ""), request_id)


def _terminal(party: parties.Terminal) -> Terminal:
    certificate = party.identity.merchant_certificate
    if certificate is None:
        raise Complaint("the switch gave the gate no merchant certificate")
    return Terminal(
        party.merchant_id,
        party.terminal_id,
        f"Shop {party.merchant_id}",
        Ed25519PrivateKey.from_private_bytes(party.signing_key),
        certificate,
        party.identity.switch_key,
    )


async def _measure(
    line: _Line, switch: SwitchProcess, folder: Path, rides: int, tell: Callable[[str], None]
) -> GateFigures:
    async with AsyncExitStack() as stack:
        entry, leave = await _open_gates(stack, line, folder / "udp", open_udp)
        plain = await _ride_often(line, entry, leave, rides, tell)
    async with AsyncExitStack() as stack:
        entry, leave = await _open_gates(stack, line, folder / "pn532", open_pn532)
        air = await _ride_often(line, entry, leave, max(2, rides // 4), tell)
        tell("stopping the switch")
        await asyncio.to_thread(switch.stop)
        await entry.until_in_touch(False)
        edge = await _enter_often(line, entry, max(4, rides // 4), tell)
    return GateFigures(
        gate_p50_ms=percentile(plain, 50),
        gate_p99_ms=percentile(plain, 99),
        gate_p99_air_ms=percentile(air, 99),
        p99_edge_air_ms=percentile(edge, 99),
        passages=line.taps,
        wrong_decisions=line.wrong,
    )


async def _soak(
    line: _Line, folder: Path, minutes: float, rate: int, tell: Callable[[str], None]
) -> GateFigures:
    times: list[float] = []
    async with AsyncExitStack() as stack:
        entry, leave = await _open_gates(stack, line, folder / "soak", open_udp)
        start, number = perf_counter(), 0
        while (due := start + number * 60 / rate) < start + minutes * 60:
            await asyncio.sleep(max(0.0, due - perf_counter()))
            number += 1
            tell(f"passenger {number}, {line.wrong} wrong")
            times += await _ride(line, entry, leave)
        late_s = max(0.0, perf_counter() - start - minutes * 60)
    if late_s > 60 / rate:
        raise Complaint(f"the gates do not keep up with {rate} passengers a minute")
    times.sort()
    return GateFigures(
        gate_p50_ms=percentile(times, 50),
        gate_p99_ms=percentile(times, 99),
        gate_p99_air_ms=None,
        p99_edge_air_ms=None,
        passages=line.taps,
        wrong_decisions=line.wrong,
    )


async def _open_gates(
    stack: AsyncExitStack, line: _Line, folder: Path, open_field: OpenField
) -> tuple[StationGate, StationGate]:
    gates = []
    places = (("entry", "harbour"), ("exit", "airport"))
    for (direction, station), (terminal, identity) in zip(places, line.terminals, strict=True):
        moniker, held = stack.enter_context(open_field())
        gate = StationGate(
            folder / direction, terminal, identity, direction, station, moniker, held
        )
        gates.append(await stack.enter_async_context(gate))
        await gate.until_in_touch(True)
    return gates[0], gates[1]


async def _ride_often(
    line: _Line, entry: StationGate, leave: StationGate, rides: int, tell: Callable[[str], None]
) -> list[float]:
    times = []
    for number in range(rides + 1):
        tell(f"ride {number + 1} of {rides + 1}, {line.wrong} wrong")
        took = await _ride(line, entry, leave)
        times += took if number else []  # the first warms up
    return sorted(times)


async def _ride(line: _Line, entry: StationGate, leave: StationGate) -> list[float]:
    """Let the rider in and out, and now and then somebody who may not out."""
    came, page = await entry.let_through(line.rider, line.pause_s())
    line.wrong += page.view is not View.ADMITTED
    left, page = await leave.let_through(line.rider, line.pause_s())
    line.wrong += (page.view, page.total) != (View.RIDE_OVER, FARE)
    line.taps += 2
    if line.taps // 2 % _STRANGER_EVERY == 0:
        line.wrong += not await leave.turn_away(line.stranger, line.pause_s())
    return [came, left]


async def _enter_often(
    line: _Line, entry: StationGate, times: int, tell: Callable[[str], None]
) -> list[float]:
    took = []
    for number in range(times + 1):
        tell(f"entry {number + 1} of {times + 1} without the switch, {line.wrong} wrong")
        came, page = await entry.let_through(line.rider, line.pause_s())
        line.wrong += page.view is not View.ADMITTED
        line.taps += 1
        took += [came] if number else []
        with closing(Admissions(line.rider_folder)) as rides:
            for ride in rides.history(2):  # the ride counts as over: nobody is at the other end
                rides.close_ride(ride.admission.admission_id, Signed())
    return sorted(took)
