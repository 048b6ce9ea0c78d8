"""What a shard's writer may be asked to do, and what it answers.

Made by `router.py`, `server/switch/depositor.py` and the moving of slots; done by `shard.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.domain.command import ACCEPTED, Command
from server.shards.carry_out import CommandRefused
from server.shards.relocate import Copied, Depart, SlotMoved, Swept
from server.shards.settlement_log import LogRow, RequestIdReused


@dataclass(frozen=True, slots=True)
class Sought:
    """A command that stands in the log of no former home of its slot, up to its newest move.

    `generation` counts the moves that whoever looked knows of. If there are more, the shard answers
    SlotMoved: another switch has moved the slot, and the command may have been done elsewhere.
    """

    command: Command
    generation: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """All outbox rows up to a log sequence have arrived and can go, but for those in `but`."""

    log_sequence: int
    but: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Tied:
    """The directory has noted places of all shards under this number (`tie_book.py`)."""

    number: int


Several = tuple[Command, ...]


class Arrivals(Several):
    """Several commands whose rows nobody reads: None comes back for each that was accepted."""

    __slots__ = ()


Work = Command | Several | Sought | Delivered | Tied | Copied | Swept
Job = Work | Depart
Outcome = LogRow | RequestIdReused | SlotMoved | CommandRefused
Answer = Outcome | tuple[Outcome | None, ...] | None


def commands_of(job: Work) -> Several:
    """List the commands of a job."""
    if isinstance(job, tuple):
        return job
    if isinstance(job, Sought):
        return (job.command,)
    return (job,) if isinstance(job, Command) else ()


def unless_accepted(outcome: Outcome) -> Outcome | None:
    """Give what came of a command, but None if it was accepted."""
    return None if isinstance(outcome, LogRow) and outcome.decline == ACCEPTED else outcome
