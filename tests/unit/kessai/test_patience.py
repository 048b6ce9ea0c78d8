"""What is waited for is said once, and not at all where it comes soon."""

from __future__ import annotations

import threading

import pytest

from kessai import patience
from kessai.patience import told_if_slow


def test_it_is_told_once_and_only_if_it_is_slow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    tell = patience._tell

    def telling(what: str) -> None:
        tell(what)
        told.set()

    monkeypatch.setattr(patience, "_tell", telling)
    with told_if_slow("the switch at nowhere"):
        pass
    monkeypatch.setattr(patience, "PATIENCE_S", 0.01)
    for _ in range(2):
        told.clear()
        with told_if_slow("the switch at nowhere"):
            assert told.wait(5)
    assert capsys.readouterr().err == "kessai: waiting for the switch at nowhere ...\n"
