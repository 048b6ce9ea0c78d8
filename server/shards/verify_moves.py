"""Verifying that slots which moved came as they left: the logs of both shards prove each other.

Called by `verify.py`, once all logs were decided again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kessai.v1.shard_pb2 import SlotMove
from server.domain.arrival import payment_id
from server.domain.slot_move import without_digests
from server.shards.placement import Moved
from server.shards.replay import Left, Replay
from server.shards.store import Reader
from server.shards.suspect import Suspect


def moves_are_as_stored(reader: Reader, replay: Replay) -> Iterator[str]:
    """Compare what a shard has written down of slots that came or went with what its log gives."""
    stored = {moved.slot: _known(moved) for moved in reader.moved()}
    for slot in stored.keys() | replay.place.moved.keys():
        known = replay.place.moved.get(slot)
        if known is None or stored.get(slot) != _known(known):
            yield f"slot {slot}: stored {stored.get(slot)}, the log gives {known}"
    for account_id in replay.books.accounts:
        if not replay.place.is_here(account_id):
            yield f"account {account_id} was left behind when its slot went"
    for document in replay.documents.values():
        if not replay.place.is_here(document.account):
            yield f"document {document.id.hex()} was left behind when its slot went"


def moves_fit(replays: Sequence[Replay]) -> tuple[list[str], list[Suspect]]:
    """Find what came and never left, or came otherwise than it left."""
    faults: list[str] = []
    suspects: list[Suspect] = []
    for shard, replay in enumerate(replays):
        for row_id, came in replay.came.items():
            source, name = came.move.source_shard, _name(came.move)
            if not 0 <= source < len(replays) or came.move.target_shard != shard:
                faults.append(f"shard {shard}: {name} came to the wrong shard")
                continue
            left = replays[source].left.get(row_id)
            if left is None:
                read_to = {source: replays[source].sequence}
                fault = f"shard {shard}: {name} came and never left"
                suspects.append(Suspect(fault, payment_id(row_id), read_to))
            elif without_digests(came.move) != left.move:
                faults.append(f"shard {shard}: {name} did not come as it left")
            elif _digests(came.move) != left.digests:
                faults.append(f"shard {shard}: {name} came with other entries than it left with")
    return faults, suspects


def on_their_way(replays: Sequence[Replay]) -> list[Left]:
    """List the slots that left a shard and have not come to another."""
    came = {row_id for replay in replays for row_id in replay.came}
    return [
        left for replay in replays for row_id, left in replay.left.items() if row_id not in came
    ]


def _known(moved: Moved) -> Moved:
    return moved._replace(is_clean=0)


def _digests(move: SlotMove) -> Mapping[int, bytes]:
    return {a.id: a.entry_digest for a in move.accounts if a.entry_digest}


def _name(move: SlotMove) -> str:
    return f"slot {move.slot}, move {move.generation} from shard {move.source_shard},"
