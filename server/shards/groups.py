"""A shard's jobs in groups: what fails, fails alone.

Between two moves of slots all jobs are one group and one commit. If it fails at what one of them
does, nothing of it was written; then it is halved until that one stands alone. A command that fails
alone is declined with SWITCH_FAULT, and what cannot even be written down is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import structlog

from server.domain.command import Command
from server.domain.slot_move import MoveIn
from server.shards.carry_out import CommandRefused
from server.shards.jobs import Answer, Arrivals, Job, Sought, Work
from server.shards.lane import Lane
from server.shards.relocate import Depart
from server.shards.settlement_log import LogRow
from server.shards.store import StoreUnavailable

# A commit writes whole pages: the more payments share one, the less each of them costs.
GROUP_LIMIT = 4096

log = structlog.get_logger("shards")

# Of these no job is the cause.
_OF_ALL = (StoreUnavailable, MemoryError)


class Writer(Protocol):
    """What writes a shard: a group in one commit, or nothing of it and an exception."""

    def write(self, group: Sequence[Work], failed: Exception | None = None) -> Sequence[Answer]:
        """Work jobs; if they `failed` before, decline their commands."""
        ...

    def relocate(self, job: Depart | MoveIn) -> LogRow:
        """Let a slot leave or come."""
        ...


WritingLane = Lane[tuple[Writer, Job], Answer]


def writing_lane(name: str) -> WritingLane:
    """Make a lane on which any number of shards write, each its own group in its own commit.

    Shards on the same disk share one: while one thread commits for all of them the next groups
    gather, so there are fewer commits, and fewer threads that want the interpreter. A shard behind
    a network has one of its own, so that none waits for another's server.
    """
    return Lane(name, write_group, GROUP_LIMIT)


def write_group(group: Sequence[tuple[Writer, Job]]) -> list[Answer | Exception]:
    """Write jobs of several shards, a commit for each; what fails fails for its own shard only."""
    answers: list[Answer | Exception] = [None] * len(group)
    positions: dict[Writer, list[int]] = {}
    for position, (shard, _) in enumerate(group):
        positions.setdefault(shard, []).append(position)
    for shard, own in positions.items():
        written = _write_in_order(shard, [group[position][1] for position in own])
        for position, answer in zip(own, written, strict=True):
            answers[position] = answer
    return answers


def _write_in_order(shard: Writer, jobs: Sequence[Job]) -> Iterator[Answer | Exception]:
    """Write a shard's jobs; whatever stands between relocations is one group."""
    run: list[Work] = []
    for job in jobs:
        if not isinstance(job, Depart | MoveIn):
            run.append(job)
            continue
        yield from _write(shard, run)
        run = []
        try:
            yield shard.relocate(job)
        except Exception as error:
            yield error
    yield from _write(shard, run)


def _write(shard: Writer, run: Sequence[Work]) -> Sequence[Answer | Exception]:
    try:
        return shard.write(run) if run else ()
    except _OF_ALL as error:
        return [error] * len(run)
    except Exception as error:
        if len(run) == 1:
            return [_write_alone(shard, run[0], error)]
        half = len(run) // 2
        return [*_write(shard, run[:half]), *_write(shard, run[half:])]


def _write_alone(shard: Writer, job: Work, error: Exception) -> Answer | Exception:
    if isinstance(job, tuple) and len(job) > 1:
        return _write_parts(shard, job)
    if not isinstance(job, tuple | Command | Sought):
        return error
    try:
        [answer] = shard.write([job], failed=error)
    except _OF_ALL as trouble:
        return trouble
    except Exception as trouble:
        log.error("a command cannot be written down", exc_info=trouble)
        refused = CommandRefused(f"it cannot be written into the log ({trouble!r})")
        return (refused,) if isinstance(job, tuple) else refused
    return answer


def _write_parts(shard: Writer, job: tuple[Command, ...]) -> Answer | Exception:
    """Write several commands that came as one job, in two commits instead of one."""
    half, kind = len(job) // 2, Arrivals if isinstance(job, Arrivals) else tuple
    outcomes: list[object] = []
    for part in (kind(job[:half]), kind(job[half:])):
        [answer] = _write(shard, [part])
        outcomes += [answer] * len(part) if isinstance(answer, Exception) else answer  # type: ignore[arg-type]
    return tuple(outcomes)  # type: ignore[arg-type]
