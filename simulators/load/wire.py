"""The wire bench: signed settlements over mutual TLS against no-op calls of the same server.

Fills a data folder, starts `kessai serve` on it, and drives it from this process. Settlements and
no-ops take turns in short slices, so that whatever else the machine does meets both alike; the
figures are medians. Then payments arrive at half the measured throughput, for the latency. In the
end the switch is stopped and its books are verified: they must show every acknowledged payment.
Called by `cli.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import uvloop

from kessai.complaint import Complaint
from simulators.load.audit import audit
from simulators.load.books import Population
from simulators.load.figures import percentile
from simulators.load.switch_process import SwitchProcess
from simulators.load.tills import Tills, set_up, signing
from simulators.load.wire_figures import WireFigures

ROUNDS = 5

# Shares of the seconds: each slice, the warm-up of each kind before them, and the open loop.
_SLICE, _WARM_UP, _OPEN_LOOP = 0.06, 0.05, 0.3


def run_wire(
    folder: Path, seconds: float, accounts: int, tell: Callable[[str], None]
) -> WireFigures:
    """Measure in an empty folder; Complaint if the books do not show what was acknowledged.

    `tell` is told what is being done. About `seconds` of load, and the set-up before it.
    """
    population, data = Population(accounts), folder / "data"
    parties = set_up(data, population, tell)
    with SwitchProcess(data) as switch, signing(parties, population) as signers:

        async def measure() -> tuple[Tills, WireFigures]:
            async with Tills.open(parties, switch, signers) as tills:
                return tills, await _measure(tills, switch, seconds, tell)

        tills, figures = uvloop.run(measure())
        tell("stopping the switch")
        switch.stop()
    tell("verifying the books")
    audit(data, tills.acknowledged)
    return figures


async def _measure(
    tills: Tills, switch: SwitchProcess, seconds: float, tell: Callable[[str], None]
) -> WireFigures:
    settled, no_ops = await _throughput(tills, seconds, tell)
    tell(f"latency at {settled / 2:,.0f} payments a second")
    latencies = await tills.latencies_ms(settled / 2, seconds * _OPEN_LOOP)
    if not latencies:
        raise Complaint("no payment was answered in time: measure longer, with --seconds")
    resident_mb, peak_mb = switch.memory_mb()
    return WireFigures(
        settlements_per_second=settled,
        noop_per_second=no_ops,
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        rss_mb=resident_mb,
        peak_mb=peak_mb,
        dropped=tills.dropped,
        acknowledged=tills.acknowledged.payments,
    )


async def _throughput(
    tills: Tills, seconds: float, tell: Callable[[str], None]
) -> tuple[float, float]:
    tell("warming up")
    rate = await tills.settle(seconds * _WARM_UP)
    await tills.no_op(seconds * _WARM_UP)
    settled, no_ops = [], []
    for number in range(ROUNDS):
        tell(f"round {number + 1} of {ROUNDS}: {rate:,.0f} settlements a second")
        rate = await tills.settle(seconds * _SLICE, rate)
        settled.append(rate)
        no_ops.append(await tills.no_op(seconds * _SLICE))
    return statistics.median(settled), statistics.median(no_ops)
