"""Merchants and offers on a running switch: listed, edited, closed, withdrawn."""

from __future__ import annotations

import json

import pytest

from tests.pairing import pair_agent
from tests.running import RunningSwitch
from tests.unit.server.commands.conftest import Kessai

EVENT = (
    "--event", "spring", "--event-name", "Spring Concert", "--title", "Adult",
    "--price", "25.00 EUR", "--from", "2000-01-01T19:00Z",
)  # fmt: skip


@pytest.fixture(scope="module")
def accounts(switch: RunningSwitch) -> tuple[str, str]:
    """Two accounts of the hall."""
    return switch.open_account("merchant/hall", 7), switch.open_account("merchant/hall", 8)


class Desk:
    """Commands at a switch: those that must succeed, and those that must be refused in one line."""

    def __init__(self, switch: RunningSwitch, run: Kessai) -> None:
        self._data, self._run = ("--data", str(switch.folder)), run

    def does(self, *words: str) -> str:
        """What it prints."""
        code, out, error = self._run(*words, *self._data)
        assert code == 0, error
        return out

    def is_refused(self, *words: str) -> str:
        """Why."""
        code, _, error = self._run(*words, *self._data)
        assert (code, error.count("\n")) == (1, 1), error
        return error


@pytest.fixture
def desk(switch: RunningSwitch, run: Kessai) -> Desk:
    """The operator's."""
    return Desk(switch, run)


def test_a_merchant_is_edited(switch: RunningSwitch, desk: Desk, accounts: tuple[str, str]) -> None:
    """What is not given stays; another's account is refused."""
    first, second = accounts
    desk.does("merchant", "create", "hall", "--name", "Hall", "--account", first)
    edited = ("--name", "The Hall", "--account", second, "--unverified-limit", "5.00")
    desk.does("merchant", "edit", "hall", *edited)
    [line] = desk.does("merchant", "list", "--json").splitlines()
    hall = json.loads(line)
    assert (hall["display_name"], hall["account_number"]) == ("The Hall", second)
    assert hall["category_code"] == "5411"
    assert hall["unverified_limit"] == {"amount_minor": "500", "currency_code": "EUR"}
    assert "5.00 EUR" in desk.does("merchant", "list")
    desk.does("merchant", "edit", "hall", "--unverified-limit", "never")
    assert "unverified_limit" not in json.loads(desk.does("merchant", "list", "--json"))
    desk.does("merchant", "edit", "hall", "--category", "4111")
    desk.does("merchant", "minimum-balance", "hall", "1.00")
    desk.does("merchant", "minimum-balance", "hall", "0.00 EUR")
    other = switch.open_account("merchant/other", 9)
    assert "has no account" in desk.is_refused("merchant", "edit", "hall", "--account", other)
    assert "no merchant" in desk.is_refused("merchant", "edit", "none", "--name", "None")


def test_offers_are_withdrawn(desk: Desk) -> None:
    """What is over or withdrawn is listed on request; its id is not given again."""
    desk.does("ticket", "offer", "add", "hall", "adult", *EVENT, "--until", "2900-01-01T00:00Z")
    desk.does("ticket", "offer", "add", "hall", "over", *EVENT, "--until", "2001-01-01T00:00Z")
    listed = desk.does("ticket", "offer", "list", "hall")
    assert ("adult" in listed, "over" in listed) == (True, False)
    assert "no offer" in desk.is_refused("ticket", "offer", "withdraw", "hall", "none")
    desk.does("ticket", "offer", "withdraw", "hall", "adult")
    desk.does("ticket", "offer", "withdraw", "hall", "adult")
    assert "adult" not in desk.does("ticket", "offer", "list", "hall")
    everything = desk.does("ticket", "offer", "list", "hall", "--all")
    assert ("over" in everything, "withdrawn" in everything) == (True, True)
    again = ("ticket", "offer", "add", "hall", "adult", *EVENT, "--until", "2900-01-01T00:00Z")
    assert "was withdrawn" in desk.is_refused(*again)


def test_a_merchant_is_closed(
    switch: RunningSwitch,
    desk: Desk,
    accounts: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Once it has neither terminals nor offers on sale; then its account can be closed, too."""
    first, second = accounts
    desk.does("ticket", "offer", "add", "hall", "child", *EVENT, "--until", "2900-01-01T00:00Z")
    pair_agent(tmp_path_factory.mktemp("till"), switch.pair_terminal("hall", "till"))
    refused = desk.is_refused("merchant", "close", "hall")
    assert "agent/hall/till" in refused
    assert "offer child" in refused
    desk.does("device", "revoke", "agent/hall/till")
    desk.does("ticket", "offer", "withdraw", "hall", "child")
    assert "merchant hall names" in desk.is_refused("account", "close", second)
    desk.does("merchant", "close", "hall")
    desk.does("merchant", "close", "hall")
    assert "closed" in desk.does("merchant", "list")
    assert "no merchant" in desk.is_refused("device", "pair", "agent/hall/other")
    assert "no merchant" in desk.is_refused("merchant", "edit", "hall", "--name", "Again")
    desk.does("account", "close", second)
    taken = ("merchant", "create", "hall", "--name", "Hall", "--account", first)
    assert "other properties" in desk.is_refused(*taken)
