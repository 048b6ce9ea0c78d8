"""Verifying money between shards: what is owed arrived once or is in an outbox, and nothing else.

Called by `verify.py`, once all logs were decided again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from server.domain.arrival import arrival_id
from server.shards.suspect import Suspect
from server.shards.transit import Transit


@dataclass(slots=True)
class TransitFit:
    """How many debts have not arrived, and what does not fit."""

    on_the_way: int = 0
    faults: list[str] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)


def transit_fits(transit: Transit, read_to: Mapping[int, int]) -> TransitFit:
    """Compare debts, arrivals and outboxes of all shards.

    `read_to` gives, by shard, the log sequence up to which it was read.
    """
    fit = TransitFit()
    fit.faults += (f"{arrival_id(i).hex()} arrived twice" for i in transit.arrived_twice())
    fit.faults += _outbox_faults(transit)
    _look_at_debts(transit, read_to, fit)
    _look_at_strays(transit, read_to, fit)
    return fit


def _outbox_faults(transit: Transit) -> Iterator[str]:
    for shard, row, debt in transit.wrong_in_outbox():
        if debt is None:
            yield f"shard {shard}: {row} was never owed"
        else:
            yield f"shard {shard}: the outbox owes {row}, not {debt}"


def _look_at_debts(transit: Transit, read_to: Mapping[int, int], fit: TransitFit) -> None:
    for shard, debt, is_in_outbox, is_id_taken in transit.on_the_way():
        fit.on_the_way += 1
        if is_id_taken:
            fit.faults.append(f"shard {shard}: another payment has the id of {debt}")
        elif not is_in_outbox:
            fault = f"shard {shard}: {debt} never arrived"
            fit.suspects.append(Suspect(fault, arrival_id(debt.request_id), read_to))


def _look_at_strays(transit: Transit, read_to: Mapping[int, int], fit: TransitFit) -> None:
    for shard, sequence, source, claimed, debt in transit.strays():
        never_owed = f"shard {shard}: log row {sequence} arrived and was never owed"
        if debt is not None:
            fit.faults.append(f"shard {shard}: log row {sequence} is not {debt}")
        elif source not in read_to:
            fit.faults.append(f"{never_owed}: there is no shard {source}")
        else:
            source_to = {source: read_to[source]}
            fit.suspects.append(Suspect(never_owed, claimed.request_id, source_to))
