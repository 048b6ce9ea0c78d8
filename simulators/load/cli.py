"""`kessai bench`: measures a real switch on this machine, and prints the figures.

Mounted by `simulators/cli.py`. What is measured, and against what, stands in docs/benchmarks.md.
"""

from __future__ import annotations

import logging
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from kessai.complaint import Complaint
from kessai.console import Console
from simulators.load.books import Payees
from simulators.load.engine import run_engine
from simulators.load.figures import Figures
from simulators.load.flood import run_flood
from simulators.load.gates import run_gates, run_soak
from simulators.load.growth import run_growth
from simulators.load.hot import run_hot
from simulators.load.page import QUICK, RUNS, write_page
from simulators.load.recovery import run_recovery
from simulators.load.stream import run_stream
from simulators.load.tap import run_tap
from simulators.load.wire import run_wire

bench = typer.Typer(
    name="bench",
    help="Measure, and print the figures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Folder = Annotated[
    Path, typer.Option(help="Measure on this folder's disk; what is written there goes again.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on the last line of stdout.")]


@bench.command()
def wire(
    seconds: Annotated[float, typer.Option(min=2, help="Seconds of load.")] = 20,
    accounts: Annotated[int, typer.Option(min=100, help="Funded accounts.")] = 100_000,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """Signed settlements a second over mutual TLS, against no-op calls of the same server.

    Example: kessai bench wire --json
    """
    with _measuring(folder) as (place, tell):
        figures = run_wire(place, seconds, accounts, tell)
    _print(figures, json)


@bench.command()
def stream(
    seconds: Annotated[float, typer.Option(min=2, help="Seconds of load.")] = 20,
    accounts: Annotated[int, typer.Option(min=100, help="Funded accounts.")] = 20_000,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """Signed settlements a second over streams, in batches of 100, against unary calls.

    Example: kessai bench stream --json
    """
    with _measuring(folder) as (place, tell):
        figures = run_stream(place, seconds, accounts, tell)
    _print(figures, json)


@bench.command()
def flood(
    seconds: Annotated[float, typer.Option(min=2, help="Seconds of load.")] = 40,
    accounts: Annotated[int, typer.Option(min=100, help="Funded accounts.")] = 2_000,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """What honest terminals see while one of eight attacks the switch, in five ways.

    Example: kessai bench flood --json
    """
    with _measuring(folder) as (place, tell):
        figures = run_flood(place, seconds, accounts, tell)
    _print(figures, json)


@bench.command()
def engine(
    seconds: Annotated[float, typer.Option(min=2, help="Seconds of load.")] = 15,
    accounts: Annotated[int, typer.Option(min=100, help="Funded accounts.")] = 10_000,
    payees: Annotated[Payees, typer.Option(help="How payments are spread.")] = Payees.UNIFORM,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """Durable settlements a second through the shards, against pgbench on the same disk.

    Example: kessai bench engine --json
    """
    with _measuring(folder) as (place, tell):
        figures = run_engine(place, seconds, accounts, payees, tell)
    _print(figures, json)


@bench.command()
def hot(
    seconds: Annotated[float, typer.Option(min=0.5, help="Seconds of load.")] = 9,
    accounts: Annotated[int, typer.Option(min=100, help="Funded accounts.")] = 10_000,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """Settlements to one distributed payee, against payees drawn evenly.

    Example: kessai bench hot --json
    """
    with _measuring(folder) as (place, tell):
        figures = run_hot(place, seconds, accounts, tell)
    _print(figures, json)


@bench.command()
def growth(
    seconds: Annotated[float, typer.Option(min=2, help="Seconds of load.")] = 12,
    accounts: Annotated[int, typer.Option(min=10_000, help="Accounts, against 10,000.")] = 100_000,
    rows: Annotated[int, typer.Option(min=200, help="Entries of the long history.")] = 50_000,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """What many accounts and long histories cost: settlements, statements, memory.

    Example: kessai bench growth --json
    """
    with _measuring(folder) as (place, tell):
        figures = run_growth(place, seconds, accounts, rows, tell)
    _print(figures, json)


@bench.command()
def recovery(
    seconds: Annotated[float, typer.Option(min=2, help="Seconds of load.")] = 6,
    accounts: Annotated[int, typer.Option(min=100, help="Funded accounts.")] = 10_000,
    rows: Annotated[int, typer.Option(min=1, help="Rows in the log before.")] = 200_000,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """Seconds from a SIGKILL under load until the switch settles again.

    Example: kessai bench recovery --json
    """
    with _measuring(folder) as (place, tell):
        figures = run_recovery(place, seconds, accounts, rows, tell)
    _print(figures, json)


@bench.command()
def tap(
    taps: Annotated[int, typer.Option(min=8, help="Taps, a quarter of them with air time.")] = 80,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """Milliseconds from the touch of a phone to the till's verdict, and to an open gate.

    Example: kessai bench tap --json
    """
    _silence_the_agent()
    with _measuring(folder) as (place, tell):
        figures = run_tap(place, taps, tell)
        gates = run_gates(place / "gates", max(4, taps // 2), tell)
    if not json:
        Console().print(gates.draw())
    _print(replace(figures, gates=gates), json)


@bench.command()
def gate(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long.")] = 10,
    rate: Annotated[int, typer.Option(min=1, max=60, help="Passengers a minute.")] = 60,
    folder: Folder = Path("."),
    json: Json = False,
) -> None:
    """Let passengers through an entry and an exit for long, and count wrong decisions.

    Example: kessai bench gate --json
    """
    _silence_the_agent()
    with _measuring(folder) as (place, tell):
        figures = run_soak(place / "gates", minutes, rate, tell)
    _print(figures, json)
    if figures.wrong_decisions:
        raise typer.Exit(1)


@bench.command()
def page(
    write: Annotated[Path, typer.Option(help="The page.")] = Path("docs/benchmarks.md"),
    folder: Folder = Path("."),
    quick: Annotated[bool, typer.Option(help="Small sizes: to see that all run.")] = False,
) -> None:
    """Run every bench, and write the figures, the machine and plots into a page (`make bench`).

    Example: kessai bench page --quick
    """
    write_page(write, folder, QUICK if quick else RUNS, Console(stderr=True).print)


@contextmanager
def _measuring(folder: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """Give a place to measure in, and a line to tell the progress; all is cleaned up after."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, cleanly
    errors = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    try:
        place = tempfile.TemporaryDirectory(prefix="kessai-bench-", dir=folder)
    except OSError as error:
        raise Complaint(f"nothing can be measured in {folder}: {error.strerror}.") from None
    with (
        place,
        Progress(
            *columns, console=errors, transient=True, disable=not errors.is_terminal
        ) as progress,
    ):
        task = progress.add_task("starting")
        yield Path(place.name).absolute(), lambda doing: progress.update(task, description=doing)


def _silence_the_agent() -> None:
    # Its log of every step is for people at a till; here it would only take time.
    for name in ("kessai.agent", "nfc"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _print(figures: Figures, as_json: bool) -> None:
    Console().print(figures.draw())
    if as_json:
        print(figures.to_json())  # noqa: T201
