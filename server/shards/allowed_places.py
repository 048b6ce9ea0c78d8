"""Where a shard may be added while the switch runs: only where its configuration allows.

A stolen operator's certificate must not make the switch write anywhere on its machine, or connect
to any server. Links and `..` are resolved before a path is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kessai.complaint import Complaint
from server.shards.address import PostgresAddress, ShardAddress, SqliteAddress, driver

_SUFFIX = ".db"


@dataclass(frozen=True)
class AllowedPlaces:
    """Folders and servers for new shards: `shard_roots` and `shard_servers` of kessai.toml.

    The data folder's `shards/` is always a root, and a server that has shards of these books
    already is one of the servers.
    """

    folder: Path
    roots: Sequence[str] = ()
    servers: Sequence[str] = ()

    def check(self, new: ShardAddress, present: Sequence[ShardAddress]) -> None:
        """Complaint if a shard may not be added at an address."""
        if isinstance(new, SqliteAddress):
            self._check_path(new.path)
        if isinstance(new, PostgresAddress):
            self._check_server(new, present)

    def _check_path(self, path: Path) -> None:
        try:
            place = path.resolve()
            roots = [(self.folder / root).resolve() for root in ("shards", *self.roots)]
        except (OSError, ValueError, RuntimeError):
            raise Complaint("the path of a shard cannot be read; nothing was made") from None
        if not any(place.is_relative_to(root) for root in roots):
            raise Complaint(
                "a shard may be added only below the data folder's shards/, or below what "
                "shard_roots in kessai.toml lists; nothing was made"
            )
        if place.suffix != _SUFFIX:
            raise Complaint(f"the file of a shard must end in {_SUFFIX}; nothing was made")

    def _check_server(self, new: PostgresAddress, present: Sequence[ShardAddress]) -> None:
        with driver():
            from server.shards.postgres_url import check_plain, server_of

        check_plain(new.url)
        known = {server_of(at.url) for at in present if isinstance(at, PostgresAddress)}
        if server_of(new.url) not in known.union(self.servers):
            raise Complaint(
                f"a shard may be added only on a server that has shards already, or that "
                f"shard_servers in kessai.toml lists; {server_of(new.url)} is none of them"
            )
