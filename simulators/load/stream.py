"""The stream bench: signed settlements in batches over streams, against unary calls of one server.

Both take turns in short slices on the same lines; the figures are medians. In the end the switch is
stopped and its books are verified.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import uvloop

from simulators.load.audit import audit
from simulators.load.books import Population
from simulators.load.switch_process import SwitchProcess
from simulators.load.tills import Tills, set_up, signing
from simulators.load.wire_figures import StreamFigures

ROUNDS = 5

# Shares of the seconds: each slice, and the warm-up of each kind before them.
_SLICE, _WARM_UP = 0.08, 0.06


def run_stream(
    folder: Path, seconds: float, accounts: int, tell: Callable[[str], None]
) -> StreamFigures:
    """Measure in an empty folder; Complaint if the books do not show what was acknowledged."""
    population, data = Population(accounts), folder / "data"
    parties = set_up(data, population, tell)
    with SwitchProcess(data) as switch, signing(parties, population) as signers:

        async def measure() -> tuple[Tills, StreamFigures]:
            async with Tills.open(parties, switch, signers) as tills:
                return tills, await _measure(tills, seconds, tell)

        tills, figures = uvloop.run(measure())
        tell("stopping the switch")
        switch.stop()
    tell("verifying the books")
    audit(data, tills.acknowledged)
    return figures


async def _measure(tills: Tills, seconds: float, tell: Callable[[str], None]) -> StreamFigures:
    tell("warming up")
    streamed = await tills.submit(seconds * _WARM_UP)
    unary = await tills.settle(seconds * _WARM_UP)
    by_stream, by_wire = [], []
    for number in range(ROUNDS):
        tell(f"round {number + 1} of {ROUNDS}: {streamed:,.0f} settlements a second")
        streamed = await tills.submit(seconds * _SLICE, streamed)
        unary = await tills.settle(seconds * _SLICE, unary)
        by_stream.append(streamed)
        by_wire.append(unary)
    return StreamFigures(
        settlements_per_second=statistics.median(by_stream),
        wire_per_second=statistics.median(by_wire),
        dropped=tills.dropped,
        acknowledged=tills.acknowledged.payments,
    )
