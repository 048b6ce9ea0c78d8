"""The `kessai agent unpriced` command: rides that a gate let out without a fare."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from kessai.complaint import Complaint


def unpriced(
    folder: Annotated[Path, typer.Option("--folder", help="The gate's folder.")],
    clear: Annotated[str, typer.Option(help="The ride that the carrier has dealt with.")] = "",
) -> None:
    """List rides that were let out though no feed of the gate had a fare; clear one of them.

    Example: kessai agent unpriced --folder gate
    """
    from edge_agents.gate.main import now_us
    from edge_agents.gate.rides import FILE_NAME, Rides
    from kessai.console import Console, Table, styled
    from kessai.request_id import RequestIdError, format_request_id, parse_request_id

    if not (folder / FILE_NAME).exists():
        raise Complaint(f"There is no gate in {folder}: name the folder that it was paired into.")
    with closing(Rides(folder)) as rides:
        if clear:
            try:
                is_cleared = rides.clear_unpriced(parse_request_id(clear), now_us())
            except RequestIdError:
                is_cleared = False
            if not is_cleared:
                raise Complaint(
                    f'No ride without a fare is called "{clear[:40]}". Nothing changed.'
                )
            Console().print(styled("[green]{} is cleared[/]", clear))
            return
        table = Table("Ride", "Entered at", "Since", "Left", "Rider", box=None, header_style="bold")
        for ride in rides.unpriced():
            admission = ride.admission
            entered = admission.entry_time.ToDatetime(UTC).isoformat(" ", "seconds")
            left = datetime.fromtimestamp(ride.end_us // 1_000_000, UTC).isoformat(" ", "seconds")
            name = format_request_id(admission.admission_id)
            table.add_row(name, admission.station_id, entered, left, admission.rider_category)
        Console().print(table)
