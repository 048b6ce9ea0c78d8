"""The place before an entrance: the door as a person sees it, and a menu of its faults.

Used by `kessai simulate entrance`. What is typed is something that is done to the door.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from kessai.console import Table
from simulators.devices.live import Picture
from simulators.devices.osdp_door import SimulatedDoor

KEY_FILE = "door.key"

_HELP = {
    "jam, free": "the door sticks in its frame, or not",
    "hold, let go": "somebody holds it open, or not",
    "cut, mend": "the line of its contact is broken, or whole",
    "tamper, seal": "its reader's housing is open, or closed",
    "battery, mains": "where its reader has its power from",
    "silent, speak": "its reader answers nothing, or again",
    "garbage, sense": "its reader talks noise, or sense",
    "unplug, plug": "its line",
    "quit": "",
}


class EntranceSpot:
    """The door of one entrance: FOLDER/door, and the reader's key in FOLDER/door.key."""

    def __init__(self, folder: Path) -> None:
        """Hang the door in; its key is made at the first time."""
        folder.mkdir(parents=True, exist_ok=True)
        key_file = folder / KEY_FILE
        if not key_file.exists():
            key_file.write_text(os.urandom(16).hex())
        self.door = SimulatedDoor(folder / "door", bytes.fromhex(key_file.read_text()))
        door = self.door
        self._does: dict[str, Callable[[], None]] = {
            "jam": door.jam,
            "free": lambda: door.jam(False),
            "hold": door.hold_open,
            "let go": lambda: door.hold_open(False),
            "cut": door.cut_contact,
            "mend": lambda: door.cut_contact(False),
            "tamper": door.tamper,
            "seal": lambda: door.tamper(False),
            "battery": door.cut_power,
            "mains": lambda: door.cut_power(False),
            "silent": door.go_silent,
            "speak": lambda: door.go_silent(False),
            "garbage": door.talk_garbage,
            "sense": lambda: door.talk_garbage(False),
            "unplug": door.unplug,
            "plug": door.plug,
        }

    def obey(self, typed: str) -> str:
        """Do what was typed; what comes back says what happened."""
        word = typed.strip().lower()
        if not word:
            return ""
        if word not in self._does:
            return f'There is no "{word}": {", ".join(self._does)}.'
        self._does[word]()
        return f"Done: {word}."

    def draw(self, typed: str, said: str, rows: int) -> Picture:
        """Draw the door, with what is being typed and what was said last."""
        menu = Table.grid(padding=(0, 2))
        for word, does in _HELP.items():
            menu.add_row(Text(word, style="cyan"), Text(does, style="dim"))
        line = Text.assemble(("> ", "bold cyan"), typed, ("▏", "blink"), "\n", (said, "dim"))
        return Picture(Group(self.door.draw(), Panel(line, title="you", width=36)), menu)

    def close(self) -> None:
        """Take the door away."""
        self.door.close()
