"""The threat table names tests that exist (docs/security.md)."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.tree import ROOT, report

_TEST = re.compile(r"`([a-z0-9_/]+/test_[a-z0-9_]+\.py)`")


def missing(root: Path, page: str) -> list[str]:
    """The tests that a page names and that are not there."""
    named = sorted(set(_TEST.findall(page)))
    return [name for name in named if not (root / "tests" / name).exists()]


def test_every_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    assert len(_TEST.findall(page)) > 30
    found = missing(ROOT, page)
    assert not found, report(found)


def test_a_test_that_is_gone_is_found(tmp_path: Path) -> None:
    assert missing(tmp_path, "| a | b | `unit/test_gone.py` |") == ["unit/test_gone.py"]
