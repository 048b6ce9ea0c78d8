"""`kessai device` for a fleet's server: paired with merchants, shown, given others, revoked."""

from __future__ import annotations

import json
from pathlib import Path

from tests.pairing import pair_agent
from tests.running import RunningSwitch
from tests.unit.server.commands.conftest import Kessai


def test_a_fleets_server_is_paired_for_merchants(
    switch: RunningSwitch, run: Kessai, tmp_path: Path
) -> None:
    """The newest list counts, whether or not its code is used; the audit names the fleet."""
    for number, merchant in enumerate(("snacks", "drinks"), start=7):
        account = switch.open_account(f"merchant/{merchant}", number)
        switch.create_merchant(merchant, merchant.title(), account)
    where = ("--data", str(switch.folder))
    both = ("--merchant", "snacks", "--merchant", "drinks")
    code, out, _ = run("device", "pair", "relay/nordic", *both, "--json", *where)
    assert code == 0
    pair_agent(tmp_path, json.loads(out)["pairing_uri"])
    code, out, _ = run("device", "show", "relay/nordic", *where)
    assert (code, "drinks, snacks" in out) == (0, True)
    assert run("device", "pair", "relay/nordic", "--merchant", "drinks", *where)[0] == 0
    code, out, _ = run("device", "show", "relay/nordic", "--json", *where)
    assert json.loads(out)["served_merchants"] == ["drinks"]
    code, out, _ = run("audit", "--json", *where)
    acts = [json.loads(line) for line in out.splitlines()]
    assert [act["object"] for act in acts].count("relay/nordic") == 2
    assert run("device", "revoke", "relay/nordic", *where)[0] == 0


def test_what_is_wrong_is_one_line(switch: RunningSwitch, run: Kessai) -> None:
    where = ("--data", str(switch.folder))
    for words, said in (
        (("relay/nordic",), "must be 1 to 100"),
        (("relay/nordic", "--merchant", "nobody"), "no merchant"),
        (("relay/Nordic", "--merchant", "snacks"), "relay/<fleet>"),
        (("relay/a/b", "--merchant", "snacks"), "relay/<fleet>"),
    ):
        code, _, error = run("device", "pair", *words, *where)
        assert (code, error.count("\n")) == (1, 1), error
        assert said in error
