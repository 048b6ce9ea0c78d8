"""Operators: made and revoked at the switch, limited in cash, and one key alone moves nothing."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningSwitch, kessai


class Desk:
    """An operator's commands at a switch, with an identity folder."""

    def __init__(self, switch: RunningSwitch, identity: Path | None = None) -> None:
        self._around = ["--data", str(switch.folder)]
        if identity is not None:
            self._around += ["--identity", str(identity)]

    def does(self, *words: str) -> str:
        """What a command prints that must succeed."""
        done = self._run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_refused(self, *words: str) -> str:
        """What a command says that must fail: one line."""
        done = self._run(*words)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())

    def sees_done_to(self, *objects: str) -> list[tuple[str, str, str]]:
        """Who did something to these, with what outcome and why, as the audit log lists it."""
        listed = [json.loads(line) for line in self.does("audit", "--json").splitlines()]
        return [
            (one["operator"], one["outcome"], one["reason"])
            for one in listed
            if one["object"] in objects
        ]

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return kessai(*words, *self._around, check=False)


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[RunningSwitch]:
    """A switch that runs."""
    running = RunningSwitch.start(tmp_path / "switch", shards=1)
    yield running
    running.kill()


def test_a_stolen_key_needs_a_second_person(
    switch: RunningSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two operators, four eyes: a phone is paired by both, or not at all."""
    account = switch.open_account("wallet/ann", 42, cash=5000)
    joe = Desk(switch)
    joe.does("operator", "add", "ann")
    ann = Desk(switch, switch.folder / "operator-ann")
    assert "operator/ann" in joe.does("operator", "list")
    switch.stop()
    monkeypatch.setenv("KESSAI_FOUR_EYES", "true")
    switch.restart()

    pair = ("device", "pair", "phone/ann/pixel", "--account", account, "--json")
    said = joe.is_refused(*pair)
    found = re.search(r"kessai approve ([0-9a-f-]{36})", said)
    assert found is not None, said
    proposal = found[1]
    assert "kessai approve" in joe.is_refused("operator", "add", "eve")
    assert "kessai approve" in joe.is_refused("account", "deposit", account, "1000.00")
    assert "his own" in joe.is_refused("approve", proposal)
    assert "no second operator" in joe.is_refused(*pair, "--proposal", proposal)

    assert "phone/ann/pixel" in ann.does("operator", "proposals")
    ann.does("approve", proposal)
    assert json.loads(joe.does(*pair, "--proposal", proposal))["pairing_code"]
    assert "used up" in joe.is_refused(*pair, "--proposal", proposal)
    assert ann.sees_done_to("phone/ann/pixel", proposal) == [
        ("operator/operator", "refused", "APPROVAL_NEEDED"),
        ("operator/operator", "refused", "CALLER_NOT_PERMITTED"),
        ("operator/operator", "refused", "APPROVAL_NEEDED"),
        ("operator/ann", "accepted", ""),
        ("operator/operator", "accepted", ""),
        ("operator/operator", "refused", "FIELD_INVALID"),
    ]
    assert "verifies" in ann.does("audit", "verify")


def test_cash_out_is_limited_by_day_and_the_last_operator_stays(
    switch: RunningSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a restart; a declined withdrawal does not count. Who is revoked cannot call."""
    account = switch.open_account("wallet/ann", 42, cash=600)
    switch.stop()
    monkeypatch.setenv("KESSAI_WITHDRAWAL_LIMIT_PER_OPERATOR_AND_DAY", '["7.00 EUR"]')
    switch.restart()
    joe = Desk(switch)
    assert "INSUFFICIENT_FUNDS" in joe.is_refused("account", "withdraw", account, "7.00")
    joe.does("account", "withdraw", account, "4.00")
    switch.stop()
    switch.restart()
    assert "3.00 EUR more" in joe.is_refused("account", "withdraw", account, "3.01")
    joe.does("account", "withdraw", account, "1.00")
    assert switch.balance(account) == 100

    assert "yourself" in joe.is_refused("operator", "revoke", "operator")
    switch.stop()
    joe.does("operator", "add", "bob")
    bob = Desk(switch, switch.folder / "operator-bob")
    switch.restart()
    bob.does("operator", "revoke", "operator")
    assert "revoked" in joe.is_refused("operator", "list")
    bob.does("operator", "revoke", "bob", "--even-the-last")
    assert "revoked" in bob.is_refused("operator", "list")
    switch.stop()
    joe.does("operator", "add", "operator", "--folder", str(switch.folder / "anew"))
    switch.restart()
    assert "operator/bob" in Desk(switch, switch.folder / "anew").does("operator", "list")
