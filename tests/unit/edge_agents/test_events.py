"""What an agent tells: JSON lines for a follower, and a log for people or machines."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys

import pytest

from edge_agents import events
from edge_agents.events import Events
from kessai.plain_text import MARK
from tests.unit.edge_agents.parties import make_pending

LOG = """
from edge_agents.events import Events, set_up_log
set_up_log()
Events(lambda: 7).emit("device_lost", device="printer", why="gone")
"""


def test_an_event_of_a_payment_carries_its_ids() -> None:
    follower, pending = io.StringIO(), make_pending()
    Events(lambda: 7, follower).emit("settled", pending, extra="Brötchen")
    assert json.loads(follower.getvalue()) == {
        "event": "settled",
        "time": 7,
        "payment_id": pending.payment_id,
        "order_id": "till-1-000001",
        "amount_minor": 434,
        "currency": "EUR",
        "extra": "Brötchen",
    }
    assert follower.getvalue().count("\n") == 1


def test_the_log_is_json_on_stderr_where_nobody_looks() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOG], capture_output=True, text=True, timeout=60, check=True
    )
    line = json.loads(ended.stderr)
    assert (line["event"], line["level"], line["device"]) == ("device_lost", "warning", "printer")
    assert ended.stdout == ""


def test_nobody_writes_a_line_of_the_log_or_moves_the_cursor() -> None:
    """Neither where people look, nor in what machines read."""
    said = {"why": "gone\n12:00:00 info settled \x1b[2J\x9b1A\u202e"}
    record = logging.makeLogRecord({"msg": "device_lost", "levelname": "INFO", "fields": said})
    for_people, for_machines = (
        events._ForPeople().format(record),
        events._JsonLines().format(record),
    )
    assert for_people.endswith(f"why=gone 12:00:00 info settled {MARK}[2J{MARK}1A{MARK}")
    assert for_machines.isascii()
    assert for_machines.isprintable()
    assert json.loads(for_machines)["why"] == said["why"]


def test_a_follower_that_went_away_does_not_stop_the_till() -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as follower:
        told = Events(lambda: 7, follower)
        os.close(reading)
        told.emit("settled", make_pending())
        told.emit("settled", make_pending())


def test_a_step_is_told_once_on_one_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower beside the log, on the same screen: as JSON alone; the log goes on without it."""
    logged = list[str]()
    log = logging.Handler()
    monkeypatch.setattr(log, "emit", lambda record: logged.append(record.getMessage()))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    follower = io.StringIO()
    monkeypatch.setattr(logging.getLogger("kessai.agent"), "handlers", [log])
    for is_terminal in (True, False):
        monkeypatch.setattr(follower, "isatty", lambda said=is_terminal: said)
        Events(lambda: 7, follower).emit("device_lost")
    assert logged == ["device_lost"]
    assert follower.getvalue().count("device_lost") == 2
