"""Lists for programs, amounts as people write them, and what a shell completes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.completion import candidates
from cli.main import ROOMS
from tests.pairing import pair_agent
from tests.running import RunningSwitch
from tests.unit.server.commands.conftest import Kessai

NUMBER = "0001-00000042-20"
LISTS = {
    ("account", "list"): "account_number",
    ("account", "show", NUMBER): "account_number",
    ("account", "statement", NUMBER): "book_time",
    ("ticket", "offer", "list", "shop"): "offer_id",
    ("loss", "list"): "payment_id",
    ("device", "list"): "device",
    ("device", "show", "agent/shop/till"): "attached",
    ("device", "settings"): "key",
    ("operator", "list"): "device",
    ("operator", "proposals"): "proposal_id",
    ("audit",): "request_id",
    ("shards", "status"): "shards",
    ("clock", "status"): "wall_time",
    ("ledger", "trial-balance"): "account_kind",
}


@pytest.fixture(scope="module", autouse=True)
def shop(switch: RunningSwitch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ann's account with money in it, and a shop with a till."""
    switch.open_account("wallet/ann", 42, cash=1000)
    switch.create_merchant("shop", "Shop", switch.open_account("merchant/shop", 7))
    pair_agent(tmp_path_factory.mktemp("till"), switch.pair_terminal("shop", "till"))


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_a_list_is_one_json_object_a_line(
    switch: RunningSwitch, run: Kessai, words: tuple[str, ...]
) -> None:
    """With nothing beside them, also if there is nothing to list."""
    where = () if words == ("device", "settings") else ("--data", str(switch.folder))
    code, out, error = run(*words, "--json", *where)
    assert (code, error) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert all(LISTS[words] in line for line in lines)
    assert lines or words[0] in ("loss", "ticket") or words[-1] == "proposals"


AMOUNTS = {
    ("account", "deposit", NUMBER, "5.00 EUR"): "5.00 EUR paid into",
    ("account", "deposit", NUMBER, "5"): "5.00 EUR paid into",
    ("account", "deposit", NUMBER, "5.00 USD"): "CURRENCY_MISMATCH",
    ("account", "deposit", NUMBER, "-5.00"): "without a sign",
    ("account", "withdraw", NUMBER, "-5.00 EUR"): "without a sign",
    ("account", "withdraw", NUMBER, "--", "-5.00 EUR"): "without a sign",
    ("account", "deposit", NUMBER, "5.00 EURO"): '"EURO" is not a currency',
    ("merchant", "minimum-balance", "shop", "1.00"): "no merchant whose trade is transport",
    ("account", "deposit", "0001-00009999-25", "5.00 EUR"): "There is no such account.",
}


@pytest.mark.parametrize("words", AMOUNTS, ids=" ".join)
def test_an_amount_is_written_one_way(
    switch: RunningSwitch, run: Kessai, words: tuple[str, ...]
) -> None:
    """With its currency, or in that of the account; what is wrong is one line, with no register."""
    where = ("--data", str(switch.folder))
    words = (*words[:-2], *where, *words[-2:]) if "--" in words else (*words, *where)
    code, out, error = run(*words)
    said = out + error
    assert AMOUNTS[tuple(w for w in words if w not in where)] in said
    assert (code, error.count("\n")) == ((0, 0) if "paid" in out else (1, 1)), said
    assert "shop's account" not in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["acc"], {"account"}),
        (["account", "fr"], {"freeze"}),
        (["account", "deposit", "--re"], {"--request-id"}),
        (["ticket", "offer", ""], {"add", "list"}),
        (["agent", "config", "ga"], {"gate"}),
        (["phone", "tap", "--answer", "dec"], {"decline"}),
        (["account", "deposit", "--data", "x"], set()),
        (["nothing", ""], set()),
    ],
)
def test_a_shell_completes(words: list[str], expected: set[str]) -> None:
    """Commands, options, and values of those that have few."""
    assert expected <= set(candidates(ROOMS, words))
    assert all(found.startswith(words[-1]) for found in candidates(ROOMS, words))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_script() -> None:
    """As somebody at a keyboard would have it."""
    beside = Path(sys.executable).parent
    typed = (
        f'export PATH="{beside}:$PATH"; source <(kessai completion bash); '
        "COMP_WORDS=(kessai account fr); COMP_CWORD=2; _kessai; echo ${COMPREPLY[@]}"
    )
    said = subprocess.run(
        ["bash", "-c", typed], check=False, capture_output=True, text=True, timeout=60
    )
    assert said.stdout.split() == ["freeze"], said.stderr
