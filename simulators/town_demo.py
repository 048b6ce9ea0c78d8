"""`kessai demo`: the town on a live screen, or as plain lines where there is no terminal.

Mounted by `cli/main.py`.
"""

from __future__ import annotations

import io
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from kessai.complaint import Complaint
from kessai.money import Money
from simulators.devices.paper_roll import draw_slip
from simulators.town import CURRENCY, Town
from simulators.town_interactive import play as play_yourself
from simulators.town_ledger import trial_lines
from simulators.town_processes import run
from simulators.town_stage import WIDE_COLUMNS, draw_movements
from simulators.town_story import CASH, Figures, Story

PACE_WATCHED = 1.0
PACE_UNWATCHED = 0.1

demo = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@demo.command()
def show(
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Play customer and cashier yourself.")
    ] = False,
    pace: Annotated[
        float | None, typer.Option(min=0, max=10, help="Stretches the pauses; 0: none.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the last scene to this SVG file too.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep data and logs in this new folder.")
    ] = None,
) -> None:
    """Watch a phone pay at a register, from radio to ledger; exit code 0 if everything held."""
    console = Console(highlight=False)
    folder = _make_folder(keep)
    town = Town(folder, (lambda step: None) if console.is_terminal else _say(console))
    try:
        if interactive:
            town.open(CASH)
            play_yourself(town, console)
        else:
            watched = PACE_WATCHED if console.is_terminal else PACE_UNWATCHED
            _tell(town, console, watched if pace is None else pace)
            if picture is not None:
                _draw(town, picture)
    finally:
        town.close()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _tell(town: Town, console: Console, pace: float) -> None:
    begin = time.monotonic()
    with console.status("A switch, a register and two phones are being set up ..."):
        town.open(CASH)
    set_up_s = time.monotonic() - begin
    if console.is_terminal:
        with Live(town.stage, console=console, refresh_per_second=12, transient=True):
            story = Story(town, lambda title, says: None, pace)
            story.play()
    else:
        story = Story(town, lambda title, says: console.print(f"\n{title}: {says}"), pace)
        story.play()
    story_s = time.monotonic() - begin - set_up_s
    _conclude(town, console, story.figures, set_up_s, story_s)


def _conclude(
    town: Town, console: Console, figures: Figures, set_up_s: float, story_s: float
) -> None:
    trial = town.operator.trial_balance()
    verified = run("ledger", "verify", "--data", str(town.data)).strip()
    if not trial.balanced:
        raise Complaint("the trial balance does not balance")
    console.print(town.stage)
    if town.stage.slip is not None:
        console.print(draw_slip(town.stage.slip))
    console.print(draw_movements(town.movements))
    table = Table(title="trial balance", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("kind", style="bold")
    for column in ("debits", "credits", "balance"):
        table.add_column(f"{column} {CURRENCY}", justify="right")
    for line in trial_lines(trial):
        table.add_row(*line)
    console.print(table)
    console.print(verified)
    paid = Money(figures.paid_minor, CURRENCY)
    answer_ms = statistics.median(figures.answers_ms)
    console.print(
        f"[bold green]Everything held:[/] {figures.purchases} purchases, {paid} paid, "
        f"{figures.declined} declined, 1 torn-off tap paid once; the switch answered in "
        f"{answer_ms:.0f} ms; {story_s:.1f} s after {set_up_s:.1f} s of set-up.",
        soft_wrap=True,
    )


def _draw(town: Town, picture: Path) -> None:
    canvas = Console(record=True, width=WIDE_COLUMNS, file=io.StringIO(), force_terminal=True)
    canvas.print(town.stage)
    canvas.save_svg(str(picture), title="kessai demo")


def _make_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="kessai-demo-"))
    try:
        keep.mkdir(parents=True)
    except OSError as error:
        raise Complaint(f"{keep} cannot be made: {error.strerror}. Choose a new folder.") from None
    return keep


class _say:
    """Prints steps as plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, step: str) -> None:
        self._console.print(f"  {step}", soft_wrap=True, markup=False)
