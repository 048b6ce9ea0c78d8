"""`kessai account list`, `freeze`, `unfreeze` and `close` on a running switch."""

from __future__ import annotations

import json

import pytest

from tests.pairing import pair_phone
from tests.running import RunningSwitch
from tests.unit.server.commands.conftest import Kessai

ANN, BOB, SHOP = "0001-00000042-20", "0001-00000043-17", "0001-00000007-28"


@pytest.fixture(scope="module", autouse=True)
def accounts(switch: RunningSwitch) -> dict[str, str]:
    """Ann's and Bob's, and a shop's."""
    return {
        "ann": switch.open_account("wallet/ann", 42, cash=1000),
        "bob": switch.open_account("wallet/bob", 43),
        "shop": switch.open_account("merchant/shop", 7),
    }


def test_accounts_are_listed(switch: RunningSwitch, run: Kessai, accounts: dict[str, str]) -> None:
    """All, or of one owner; for people, and for programs."""
    data = ("--data", str(switch.folder))
    code, out, _ = run("account", "list", *data)
    assert (code, "10.00 EUR" in out, out.count("wallet/"), "open" in out) == (0, True, 2, True)
    code, out, _ = run("account", "list", "--owner", "wallet/ann", "--json", *data)
    [line] = out.splitlines()
    listed = json.loads(line)
    assert (code, listed["account_number"]) == (0, accounts["ann"])
    assert listed["balance"] == {"amount_minor": "1000", "currency_code": "EUR"}
    assert listed["standing"] == "ACCOUNT_STANDING_OPEN"


def test_nothing_goes_out_of_a_frozen_account(
    switch: RunningSwitch, run: Kessai, accounts: dict[str, str]
) -> None:
    """Until it is released; money comes in meanwhile."""
    data, number = ("--data", str(switch.folder)), accounts["ann"]
    assert run("account", "freeze", number, *data)[0] == 0
    code, _, error = run("account", "withdraw", number, "1.00", *data)
    assert (code, error.count("\n"), "The account is frozen." in error) == (1, 1, True)
    assert run("account", "deposit", number, "1.00", *data)[0] == 0
    assert "frozen" in run("account", "show", number, *data)[1]
    assert run("account", "unfreeze", number, *data)[0] == 0
    assert run("account", "withdraw", number, "1.00", *data)[0] == 0
    switch.verify()


def test_an_account_that_is_named_is_not_closed(
    switch: RunningSwitch,
    run: Kessai,
    accounts: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """By money, by a merchant, by a phone that was told of it; a closed one is named no more."""
    data = ("--data", str(switch.folder))
    assert "It holds money" in run("account", "close", accounts["ann"], *data)[2]
    switch.create_merchant("shop", "Shop", accounts["shop"])
    assert "merchant shop names this account" in run("account", "close", accounts["shop"], *data)[2]
    uri = switch.pair_phone("bob", "pixel", accounts["bob"])
    assert "phone/bob/pixel names" in run("account", "close", accounts["bob"], *data)[2]
    pair_phone(tmp_path_factory.mktemp("bob") / "phone", "1234", uri)
    assert "phone/bob/pixel names" in run("account", "close", accounts["bob"], *data)[2]
    assert run("device", "revoke", "phone/bob/pixel", *data)[0] == 0
    assert run("account", "close", accounts["bob"], *data)[0] == 0
    code, out, _ = run("account", "statement", accounts["bob"], *data)
    assert (code, "wallet/bob" in out) == (0, True)
    refused = (
        ("account", "deposit", accounts["bob"], "1.00"),
        ("device", "pair", "phone/bob/other", "--account", accounts["bob"]),
        ("account", "freeze", accounts["bob"]),
    )
    for words in refused:
        code, _, error = run(*words, *data)
        assert (code, error.count("\n"), "closed" in error) == (1, 1, True), error
    switch.verify()
