"""All benches in a row, into docs/benchmarks.md: the machine, figures beside their aims, plots.

Only what stands between the page's marks is written anew; the words around them are people's. Each
bench runs as a command of its own, as it stands in the page. Called by `cli.py`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from kessai.complaint import Complaint
from simulators.load.aims import AIMS, Figures
from simulators.load.postgres_server import find_binaries

RUNS: tuple[tuple[str, ...], ...] = (
    ("engine",),
    ("wire",),
    ("stream",),
    ("flood",),
    ("hot",),
    ("growth", "--accounts=100000", "--rows=100000"),
    ("growth", "--accounts=1000000", "--rows=100000"),
    ("recovery", "--accounts=1000", "--rows=10000"),
    ("recovery", "--accounts=10000", "--rows=100000"),
    ("recovery", "--accounts=20000", "--rows=1000000"),
    ("tap",),
)
QUICK: tuple[tuple[str, ...], ...] = (
    ("engine", "--seconds=2", "--accounts=1000"),
    ("wire", "--seconds=4", "--accounts=1000"),
    ("stream", "--seconds=4", "--accounts=1000"),
    ("flood", "--seconds=10", "--accounts=1000"),
    ("hot", "--seconds=2", "--accounts=1000"),
    ("growth", "--seconds=2", "--accounts=11000", "--rows=1000"),
    ("growth", "--seconds=2", "--accounts=20000", "--rows=1000"),
    ("recovery", "--seconds=3", "--accounts=100", "--rows=1000"),
    ("recovery", "--seconds=3", "--accounts=1000", "--rows=10000"),
    ("tap", "--taps=8"),
)

_KESSAI = "from cli.main import main; main()"
_RUN_LIMIT_S = 1800.0

Measured = list[tuple[tuple[str, ...], Figures]]


def write_page(
    page: Path, folder: Path, runs: tuple[tuple[str, ...], ...], tell: Callable[[str], None]
) -> None:
    """Run the benches on a folder's disk, and write the page and its plots beside it.

    Complaint if the page has no marks, or a bench fails: then nothing is written.
    """
    if find_spec("matplotlib") is None:
        raise Complaint("the plots need matplotlib: pip install 'kessai[bench]'")
    text = fill(page.read_text() if page.exists() else "", "figures", "")
    measured: Measured = []
    for number, run in enumerate(runs):
        tell(f"bench {number + 1} of {len(runs)}: {' '.join(run)}")
        measured.append((run, _run(run, folder)))
    for mark, content in (
        ("machine", machine()),
        ("commands", _commands(runs)),
        ("figures", f"{_table(measured)}\n\n{_images(page, measured)}"),
    ):
        text = fill(text, mark, content)
    from simulators.load.page_plots import draw_plots

    plots = page.with_suffix("")
    plots.mkdir(exist_ok=True)
    draw_plots(plots, measured)
    page.write_text(text)


def fill(text: str, mark: str, content: str) -> str:
    """Put content between `<!-- mark -->` and `<!-- /mark -->`; Complaint if they are not there."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise Complaint(f"the page has no place for the {mark}: it must say {begin} ... {end}")
    before, after = text[: text.index(begin)], text[text.index(end) :]
    return f"{before}{begin}\n{content}\n{after}"


def machine() -> str:
    """Describe this machine and what runs on it, in a paragraph."""
    return (
        f"{os.cpu_count()} processors ({_processor()}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {version('apsw')} "
        f"(apsw), grpcio {version('grpcio')}, {_postgresql()}."
    )


def _run(run: tuple[str, ...], folder: Path) -> Figures:
    command = [sys.executable, "-c", _KESSAI, "bench", *run, "--json", f"--folder={folder}"]
    what = f"kessai bench {' '.join(run)}"
    try:
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, text=True, timeout=_RUN_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        limit = f"{_RUN_LIMIT_S / 60:g} minutes"
        raise Complaint(f"{what} did not end in {limit}; the page was not changed.") from None
    if done.returncode:
        raise Complaint(f"{what} failed; the page was not changed.")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _commands(runs: tuple[tuple[str, ...], ...]) -> str:
    lines = (f"kessai bench {' '.join(run)} --json" for run in runs)
    return "\n".join(("```", *lines, "```"))


def _table(measured: Measured) -> str:
    # Of a bench that ran in several sizes, the largest stands in the table.
    last = {run[0]: (run, figures) for run, figures in measured}
    lines = ["| bench | figure | what | measured | aim | |", "|---|---|---|---|---|---|"]
    for bench, (_, figures) in last.items():
        lines += (aim.row(bench, figures) for aim in AIMS[bench])
    return "\n".join(lines)


def _images(page: Path, measured: Measured) -> str:
    benches = dict.fromkeys(run[0] for run, _ in measured)
    return "\n\n".join(f"![{bench}]({page.stem}/{bench}.svg)" for bench in benches)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _postgresql() -> str:
    binaries = find_binaries()
    if binaries is None:
        return "no PostgreSQL"
    said = subprocess.run(
        [binaries / "postgres", "--version"], check=True, capture_output=True, text=True, timeout=20
    ).stdout
    return f"PostgreSQL {said.split()[2]}"
