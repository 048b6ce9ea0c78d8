"""JSON that this house kept in a file: damage is a ValueError, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:  # noqa: ANN401  # whatever stands there
    """The value in a file; OSError if it cannot be read, ValueError if it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except RecursionError:
        raise ValueError("its brackets nest without end") from None
