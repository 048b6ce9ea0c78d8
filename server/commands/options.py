"""Options that several of the switch's commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import typer

from kessai.complaint import Complaint

DataFolder = Annotated[
    Path, typer.Option("--data", envvar="KESSAI_DATA", help="The switch's data folder.")
]
Identity = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        envvar="KESSAI_IDENTITY",
        help="The operator's identity folder; without it, that in the data folder.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", envvar="KESSAI_DATA", help="Data folder of a switch on this machine."),
]

AccountNumber = Annotated[str, typer.Argument(help="14 digits, with or without hyphens.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", help="How many, newest first.", min=1, max=500)]
RequestId = Annotated[
    str,
    typer.Option("--request-id", help="Ask again: the id of a request whose outcome is unknown."),
]

ProposalId = Annotated[
    str, typer.Option("--proposal", help="The proposal that a second operator confirmed.")
]


def address_without_password(url: str) -> str:
    """The address of an account store; Complaint if it holds a password."""
    parts = urlsplit(url)
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise Complaint(
            "A password among the arguments can be read by anybody on this machine: leave it to "
            "~/.pgpass, and write postgresql://ROLE@HOST/DATABASE. Nothing was done."
        )
    return url
