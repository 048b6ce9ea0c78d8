"""`kessai account suspense` and `release`, as an operator types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from kessai.account_number import format_account
from tests.unit.server.commands.conftest import Kessai
from tests.unit.server.rpc.test_suspense_servicer import BOB, LOST, NOBODY, at_desk


async def test_an_operator_finds_the_owner_and_pays(tmp_path: Path, run: Kessai) -> None:
    """He sees from whom and for whom it was, pays once, and reads why something is refused."""
    data = ("--data", str(tmp_path / "data"))
    async with at_desk(tmp_path) as desk:
        # The switch in this process logs to the same stdout.
        _, out, _ = await asyncio.to_thread(run, "account", "suspense", *data)
        assert "Nothing lies in suspense." in out
        lost = await desk.lose(1230)
        _, out, _ = await asyncio.to_thread(run, "account", "suspense", *data)
        assert all(word in out for word in (lost, "12.30 EUR"))
        _, out, _ = await asyncio.to_thread(run, "account", "suspense", "--json", *data)
        assert json.loads(out.splitlines()[-1])["payee_account_number"] == format_account(LOST)
        release = ("account", "release", lost)
        for number, amount, said in (
            (NOBODY, "12.30 EUR", "PAYEE_ACCOUNT_UNKNOWN: There is no such account."),
            (BOB, "12.31 EUR", "what lies there is 12.30 EUR"),
        ):
            words = (*release, format_account(number), amount, *data)
            code, _, error = await asyncio.to_thread(run, *words)
            assert (code, error.count("\n"), said in error) == (1, 1, True), error
        code, _, error = await asyncio.to_thread(
            run, "account", "release", "x", format_account(BOB), "1.00 EUR", *data
        )
        assert (code, "Nothing was done" in error) == (1, True)
        code, out, _ = await asyncio.to_thread(run, *release, format_account(BOB), "12.30", *data)
        assert (code, "12.30 EUR released" in out) == (0, True)
        code, _, error = await asyncio.to_thread(run, *release, format_account(BOB), "12.30", *data)
        assert (code, "ALREADY_RELEASED" in error) == (1, True)
