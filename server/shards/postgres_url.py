"""A shard's postgresql:// address: its parts, how it is shown, and what a caller may set in it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kessai.complaint import Complaint

_PLAIN_PARTS = {"user", "password", "host", "port", "dbname", "sslmode"}
_PORT = 5432


def shown(url: str) -> str:
    """Write a postgresql:// address without its password; Complaint if it is none."""
    parts = parts_of(url)
    host, port = quote(parts.get("host", ""), safe="/"), parts.get("port", "")
    return f"postgresql://{host}{':' if port else ''}{port}/{parts.get('dbname', '')}"


def server_of(url: str) -> str:
    """The server of an address, host:port."""
    parts = parts_of(url)
    return f"{parts.get('host', '')}:{parts.get('port', _PORT)}"


def check_plain(url: str) -> None:
    """Complaint if an address says more than where, who and whether encrypted.

    libpq takes further settings from an address, which could lead elsewhere, or to other files.
    """
    if further := sorted(set(parts_of(url)) - _PLAIN_PARTS):
        raise Complaint(
            f"the address of an added shard may not set {', '.join(further)}: put that into the "
            "server's or libpq's own configuration"
        )


def parts_of(url: str) -> dict[str, Any]:
    """The parts of an address, by libpq's names; Complaint if it is none."""
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError:  # its message may contain the password
        raise Complaint(
            "an address of a shard cannot be read; it must be like postgresql://role@host/database"
        ) from None
