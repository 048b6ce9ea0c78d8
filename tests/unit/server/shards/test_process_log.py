"""The switch's own log: nobody else writes a line of it."""

from __future__ import annotations

from kessai.plain_text import MARK
from server.shards.process_log import _on_one_line


def test_what_others_wrote_stays_on_its_line() -> None:
    event = {"event": "call", "why": "no\n2026 [info] paid \x1b[2J", "ms": 1.5, "exception": "a\nb"}
    shown = {
        "event": "call",
        "why": f"no 2026 [info] paid {MARK}[2J",
        "ms": 1.5,
        "exception": "a\nb",
    }
    assert _on_one_line(None, "info", event) == shown
