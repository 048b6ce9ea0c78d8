"""A pairing that fails leaves no folder, unless the switch may have done it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agents.cli import pair_terminal
from kessai.complaint import Complaint
from kessai.enrollment import cleared_if_refused
from kessai.enrollment.pairing import PairingUnsure
from kessai.pairing_code import PairingCode, format_code, format_pairing_uri
from simulators.phone.pairing_cli import pair_phone
from simulators.phone.vault import MAX_TRIES, Vault, VaultLocked, WrongPin
from tests.unit.server.ports import serving

TILL = "agent/shop/till"


async def test_a_pairing_that_was_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    """Nor does one whose switch is not there; what was in the folder before stays."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    async with serving(tmp_path / "switch") as switch:
        good = switch.pairing(TILL)
        await leave_nothing(replace(good, code=format_code(bytes(16))), tmp_path)
    await leave_nothing(good, tmp_path)


async def leave_nothing(pairing: PairingCode, place: Path) -> None:
    """Pair a terminal and a phone with a code that is no good."""
    uri = format_pairing_uri(pairing)
    with pytest.raises(Complaint):
        await asyncio.to_thread(pair_terminal, place / "till", uri)
    assert not (place / "till").exists()
    with pytest.raises(Complaint):
        await asyncio.to_thread(pair_phone, place / "mine", uri, "1234")
    assert [path.name for path in (place / "mine").iterdir()] == ["notes"]


def test_a_lost_answer_or_ctrl_c_keeps_the_keys(tmp_path: Path) -> None:
    """The switch may have paired them: the same code is good for the same keys."""
    folder = tmp_path / "till"

    def cut_off(end: BaseException) -> None:
        with cleared_if_refused(folder):
            folder.mkdir(exist_ok=True)
            (folder / "key").write_text("key")
            raise end

    for end, says in ((PairingUnsure("no answer"), "no answer"), (KeyboardInterrupt(), "outcome")):
        with pytest.raises(Complaint, match=says):
            cut_off(end)
        assert (folder / "key").exists()


def test_a_phone_that_is_locked_is_said_to_be(tmp_path: Path) -> None:
    vault = Vault.create(tmp_path, "1234", os.urandom)
    for _ in range(MAX_TRIES):
        with pytest.raises((WrongPin, VaultLocked)):
            vault.unlock("9999")
    uri = format_pairing_uri(PairingCode("127.0.0.1:9", format_code(bytes(16)), bytes(32)))
    with pytest.raises(Complaint, match=r"is locked \(the PIN was wrong too often"):
        pair_phone(tmp_path, uri, "1234")
