"""The end of a process that must not go on: one line for people, and an exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn


def end_process(line: str, code: int) -> NoReturn:
    """End this process now, and say why on stderr; it ends also if that cannot be written."""
    with suppress(Exception):
        sys.stderr.write(f"kessai: {line}\n")
        sys.stderr.flush()
    os._exit(code)
