"""A sign as commands for an OSDP reader: lamp, buzzer, and text of one line, in pages if long."""

from __future__ import annotations

import math
from typing import Any

from osdp import CommandLEDColor

from edge_agents.devices.glyphs import glyphs
from edge_agents.devices.paging import pages_of

TEXT_COLUMNS = 32

_SET_FOR_A_WHILE, _SOUND, _TEXT_FOR_A_WHILE = 2, 2, 3
_GREEN, _RED = CommandLEDColor.Green, CommandLEDColor.Red


def pages(text: str) -> list[str]:
    """The text in lines that the reader has room and glyphs for; at least one."""
    return [page[0] for page in pages_of(glyphs(text, "ascii"), TEXT_COLUMNS, rows=1)]


def lamp(is_good: bool, seconds: float) -> dict[str, Any]:
    """Green or red, for some seconds."""
    return {
        "reader": 0, "led_number": 0, "control_code": _SET_FOR_A_WHILE, "on_count": 1,
        "off_count": 0, "on_color": _GREEN if is_good else _RED, "off_color": 0,
        "timer_count": math.ceil(seconds * 10), "temporary": True,
    }  # fmt: skip


def buzzer(is_good: bool) -> dict[str, Any]:
    """One beep for yes, three for no."""
    beeps = 1 if is_good else 3
    return {
        "reader": 0, "control_code": _SOUND, "on_count": 2, "off_count": 1, "rep_count": beeps,
    }  # fmt: skip


def text(page: str, seconds: float) -> dict[str, Any]:
    """A line of text, for some seconds."""
    return {
        "reader": 0, "control_code": _TEXT_FOR_A_WHILE, "temp_time": math.ceil(seconds),
        "offset_row": 1, "offset_col": 1, "data": page,
    }  # fmt: skip
