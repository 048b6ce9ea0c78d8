"""`kessai demo`: the town on a live screen, or as plain lines where there is no terminal.

Mounted by `cli/main.py`.
"""

from __future__ import annotations

import io
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.live import Live

from kessai.complaint import Complaint
from kessai.console import Console, Table, styled
from simulators.devices.pty_line import NobodyListens
from simulators.town import CURRENCY, Town
from simulators.town_interactive import play as play_yourself
from simulators.town_ledger import trial_lines
from simulators.town_processes import run
from simulators.town_scene import Scene, money
from simulators.town_stage import WIDE_COLUMNS, draw_movements
from simulators.town_story import CASH, SCENES, Story

PACE_WATCHED = 1.0
PACE_UNWATCHED = 0.1
MOVEMENTS_SHOWN = 24

# What devices, places and processes end with if something does not happen in time.
_WHAT_FAILS = (Complaint, OSError, AssertionError, NobodyListens)

demo = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@demo.command()
def show(
    scene: Annotated[
        str, typer.Option(help=f"Play one scene: {', '.join(each.name for each in SCENES)}.")
    ] = "",
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
    """Watch phones pay all over a town, from radio to ledger; exit code 0 if everything held.

    Example: kessai demo --pace 2
    """
    console = Console()
    scenes = _choose(scene, picture)
    folder = _make_folder(keep)
    town = Town(folder, (lambda step: None) if console.is_terminal else _say(console))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if interactive:
            town.open(CASH)
            play_yourself(town, console)
        else:
            watched = PACE_WATCHED if console.is_terminal else PACE_UNWATCHED
            _tell(town, scenes, console, watched if pace is None else pace, picture)
    except _WHAT_FAILS as error:
        why = " ".join(str(error).split())
        raise Complaint(f"the demo did not hold: {why} (no real money is in it)") from error
    finally:
        town.close()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _choose(name: str, picture: Path | None) -> tuple[type[Scene], ...]:
    if picture is not None:  # before minutes are spent on what cannot be kept
        picture.open("ab").close()
    if not name:
        return SCENES
    chosen = tuple(scene for scene in SCENES if scene.name == name)
    if not chosen:
        names = ", ".join(scene.name for scene in SCENES)
        raise Complaint(f'There is no scene "{name}". There are: {names}.')
    return chosen


def _tell(
    town: Town,
    scenes: tuple[type[Scene], ...],
    console: Console,
    pace: float,
    picture: Path | None,
) -> None:
    begin = time.monotonic()

    def announce(title: str, says: str) -> None:
        if not console.is_terminal:
            console.print(f"\n{title}\n{says}")

    story = Story(town, scenes, announce, pace)
    try:
        with console.status("A town is being set up: a switch, its terminals, its phones ..."):
            town.open(CASH)
            story.set_up()
        set_up_s = time.monotonic() - begin
        if console.is_terminal:
            town.stage.rows = console.height
            with Live(town.stage, console=console, refresh_per_second=12, transient=True):
                story.play()
            town.stage.rows = 0
        else:
            story.play()
        story_s = time.monotonic() - begin - set_up_s
        _conclude(town, console, story, set_up_s, story_s)
        if picture is not None:
            _draw(town, picture)
    finally:
        story.close()


def _conclude(town: Town, console: Console, story: Story, set_up_s: float, story_s: float) -> None:
    trial = town.operator.trial_balance()
    verified = run("ledger", "verify", "--data", str(town.data)).strip()
    if not trial.balanced:
        raise Complaint("the trial balance does not balance")
    if console.is_terminal:
        console.print(town.stage)
    console.print(draw_movements(town.movements[-MOVEMENTS_SHOWN:]))
    table = Table(title="trial balance", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("kind", style="bold")
    for column in ("debits", "credits", "balance"):
        table.add_column(f"{column} {CURRENCY}", justify="right")
    for line in trial_lines(trial):
        table.add_row(*line)
    console.print(table)
    for scene in story.scenes:
        played = styled("[green]✔[/] {}: {}", scene.title, scene.line.outcome)
        console.print(played)
    console.print(verified)
    paid = -sum(minor for minor in story.moved.values() if minor < 0)
    scenes = "1 scene" if len(story.scenes) == 1 else f"{len(story.scenes)} scenes"
    sums = (
        f"{scenes}, {money(paid)} {CURRENCY} paid, the books balance; "
        f"{story_s:.1f} s after {set_up_s:.1f} s of set-up."
    )
    console.print(styled("[bold green]Everything held:[/] {}", sums))


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
        self._console.print(f"  {step}", soft_wrap=True)
