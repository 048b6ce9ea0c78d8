"""Options that several of the switch's commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
