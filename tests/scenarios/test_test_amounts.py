"""Test amounts at a real register: declines, a late answer, and an unknown outcome, on demand.

What a developer of a terminal does at a switch that was made for tests: he sells things that cost
test amounts. On any other switch they are amounts as others are.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from edge_agents.journal import PaymentState
from kessai.decline import MEANINGS, name_of
from kessai.v1 import payment_pb2
from server.switch.test_amounts import DECLINES
from tests.running import KESSAI, kessai
from tests.scenarios.shop import (
    APPROVE,
    BREAD,
    COFFEE,
    MILK,
    SHARDS,
    Customer,
    Register,
    Shop,
    reason_of,
)

# The register does not give up before it has waited so long for an answer, microseconds.
PATIENCE_US = 5_000_000
INSUFFICIENT, LATE, UNANSWERED = MILK, BREAD, COFFEE
COSTS = {INSUFFICIENT: "90.43", LATE: "91.01", UNANSWERED: "92.01"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Give a shop at a switch that was made for tests."""
    opened = Shop(tmp_path_factory.mktemp("rehearsal"), SHARDS, test_amounts=True)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def running_register(shop: Shop) -> Register:
    """Give a register whose goods cost test amounts."""
    register = shop.register("till-1")
    prices = register.folder / "prices.csv"
    rows = (f"{gtin},Thing,{price}" for gtin, price in COSTS.items())
    prices.write_text("\n".join(["gtin,description,price EUR", *rows, ""]))
    register.start("--price-list", str(prices))
    return register


def test_a_decline_that_is_none(shop: Shop, register: Register, alice: Customer) -> None:
    """She has money enough; register and phone say what they say when somebody has not."""
    register.ring_up(INSUFFICIENT)
    phone = register.tap(alice, *APPROVE)
    assert register.steps.next("declined")["reason"] == "INSUFFICIENT_FUNDS"
    register.display.wait_for("Not enough money in the account.")
    assert phone.next("not-paid")["reason"] == "INSUFFICIENT_FUNDS"
    assert shop.switch.balance(alice.account) == 1_000_00
    shop.switch.verify()


def test_a_late_answer(shop: Shop, register: Register, alice: Customer) -> None:
    """A second late; the register waits, and it is paid once."""
    before = shop.switch.balance(alice.account)
    register.ring_up(LATE)
    phone = register.tap(alice, *APPROVE)
    phone.next("paid")
    register.steps.next("settled")
    assert shop.switch.balance(alice.account) == before - 91_01


def test_an_answer_that_does_not_come(shop: Shop, register: Register, alice: Customer) -> None:
    """The register gives up, asks by id, and is told that it was paid; until then it waits."""
    before = shop.switch.balance(alice.account)
    payment_id = str(register.ring_up(UNANSWERED)["payment_id"])
    register.tap(alice, *APPROVE)
    began = register.steps.next("settling")
    settled = register.steps.next("settled")
    assert settled["time"] - began["time"] > PATIENCE_US
    assert register.entry(payment_id).state is PaymentState.SETTLED
    found = shop.find(register.identity, payment_id)
    assert found is not None
    assert shop.receipt(found).outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED
    assert shop.switch.balance(alice.account) == before - 92_01
    shop.switch.verify()


def test_a_store_that_is_away(shop: Shop, running_register: Register, alice: Customer) -> None:
    """The call fails as it does when a disk is full, and nothing is done."""
    before = shop.switch.balance(alice.account)
    pending = running_register.ask(92_00)
    sealed = alice.authorize(pending, running_register.terminal)
    with pytest.raises(grpc.RpcError) as failed:
        shop.settle(running_register.identity, pending, sealed)
    assert reason_of(failed.value) == "STORE_UNAVAILABLE"
    assert shop.find(running_register.identity, pending.payment_id) is None
    assert shop.switch.balance(alice.account) == before


def test_the_switch_says_that_it_is_for_tests(shop: Shop) -> None:
    """In its log, at every start."""
    assert "test amounts are on" in (shop.switch.folder / "serve.log").read_text()


def test_books_that_were_not_made_for_it_are_not_served(tmp_path: Path) -> None:
    """A line in the configuration does not make tests of real money."""
    folder = tmp_path / "real"
    kessai("init", "--data", str(folder), "--shards", "1")
    config = folder / "kessai.toml"
    assert "\ntest_amounts = false\n" in config.read_text()
    config.write_text(config.read_text().replace("test_amounts = false", "test_amounts = true"))
    words = [KESSAI, "serve", "--data", str(folder)]
    refused = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "not made for tests" in refused.stderr.replace("\n", " ")


def test_the_documented_table_is_the_one_that_is_used() -> None:
    """docs/features/test-amounts.md gives each decline its amount."""
    page = Path(__file__).parents[2] / "docs" / "features" / "test-amounts.md"
    rows = re.findall(r"^\| 90\.(\d\d) \| ([A-Z_]+) \|", page.read_text(), re.MULTILINE)
    assert {int(f"90{digits}") for digits, _ in rows} == DECLINES.keys()
    for digits, name in rows:
        reason = DECLINES[int(f"90{digits}")]
        assert name_of(reason) == name
        assert reason in MEANINGS
