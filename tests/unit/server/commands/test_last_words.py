"""What a command says when there is nothing to do, nothing to show, or something is missing."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise

import pytest

from kessai.console import Console
from server.commands import devices
from tests.running import RunningSwitch
from tests.unit.server.commands.conftest import Kessai

At = Callable[..., tuple[int, str, str]]


@pytest.fixture
def at(switch: RunningSwitch, run: Kessai) -> At:
    """Run a command at the switch."""
    return lambda *words: run(*words, "--data", str(switch.folder))


def test_what_stands_as_it_was_asked_for_is_said(switch: RunningSwitch, at: At) -> None:
    """Closed, frozen, open and revoked already: nothing is done a second time."""
    account, shop = (switch.open_account(f"wallet/{w}", n) for w, n in (("ann", 1), ("bob", 2)))
    switch.create_merchant("kiosk", "Kiosk", switch.open_account("merchant/kiosk", 3))
    twice = {
        ("account", "freeze", account): "frozen already",
        ("account", "unfreeze", account): "open already",
        ("account", "close", shop): "closed already",
        ("merchant", "close", "kiosk"): "closed already",
    }
    for words, says in twice.items():
        code, out, _ = at(*words)
        assert (code, "already" in out) == (0, False), out
        code, out, _ = at(*words)
        assert (code, says in out, "request" in out) == (0, True, False), out
    at("operator", "add", "eve")
    assert "already" not in at("operator", "revoke", "eve")[1]
    assert "revoked already" in at("operator", "revoke", "eve")[1]
    assert "revoked already" in at("device", "revoke", "operator/eve")[1]


def test_an_empty_list_says_so(at: At) -> None:
    assert at("account", "list", "--owner", "wallet/none") == (
        0,
        "wallet/none has no account\n",
        "",
    )
    code, _, error = at("account", "list", "--owner", "foo")
    assert (code, "write wallet/<id>" in error) == (1, True)
    assert "nothing waits" in at("operator", "proposals")[1]
    assert "nothing to confirm" in at("clock", "confirm")[1]


def test_a_merchant_that_cannot_be_is_told_what_is_wrong(switch: RunningSwitch, at: At) -> None:
    """Its id, or whose the account is; never that there is no such account."""
    account = switch.open_account("wallet/cat", 11)
    named = ("--name", "Shop", "--account", account)
    assert "merchant_id" in at("merchant", "create", "Shop!", *named)[2]
    assert "merchant/shop has no account" in at("merchant", "create", "shop", *named)[2]
    assert (
        "wallet/dan has no account"
        in at("device", "pair", "phone/dan/pixel", "--account", account)[2]
    )


def test_a_currency_may_be_written_small(at: At) -> None:
    code, out, _ = at("account", "open", "wallet/eli", "--currency", "eur", "--number", "12")
    assert (code, "is open" in out) == (0, True)
    assert at("account", "deposit", "0001-00000012-13", "5 eur")[0] == 0


def test_a_phone_without_an_account_is_told_that_it_cannot_pay(at: At) -> None:
    assert "without an account it cannot pay" in at("device", "pair", "phone/fay/pixel")[1]
    assert "cannot pay" not in at("device", "pair", "agent/kiosk/till-1")[1]


def test_the_audit_list_leaves_no_number_out(at: At) -> None:
    """An act that has two records shows both numbers, also where others came in between."""
    heads = [line for line in at("audit")[1].splitlines() if line[:1].isdigit()]
    numbers = sorted(int(each) for line in heads for each in line.split("  ")[0].split(", "))
    assert len(numbers) > 5
    assert all(after == before + 1 for before, after in pairwise(numbers))
    assert " UTC  " in heads[0]


@pytest.mark.parametrize(("height", "is_drawn"), [(24, False), (40, True)])
def test_a_code_that_a_window_cannot_show_is_not_drawn_by_halves(
    at: At, monkeypatch: pytest.MonkeyPatch, height: int, is_drawn: bool
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=height)
    monkeypatch.setattr(devices, "_out", console)
    _, out, _ = at("device", "pair", "phone/gus/pixel")
    assert ("\u2588" in out) is is_drawn
    assert ("enlarge it" in screen.getvalue()) is not is_drawn
    assert "kessai://pair?" in screen.getvalue()
