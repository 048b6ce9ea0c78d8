"""What the phone remembers: the first decision and the first receipt stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kessai.v1 import tap_pb2
from simulators.phone.store import Decision, Store
from tests.unit.simulators.phone.counter import Counter, hash_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Give an empty store."""
    opened = Store(tmp_path)
    yield opened
    opened.close()


def authorized(counter: Counter, sealed: bytes = b"sealed") -> Decision:
    """Make a decision on a new request."""
    request = counter.request()
    return Decision(
        hash_of(request),
        request.SerializeToString(),
        "Corner Bakery",
        tap_pb2.TAP_STATUS_AUTHORIZED,
        sealed,
        counter.now_us,
    )


def test_the_first_decision_stays(store: Store, counter: Counter, tmp_path: Path) -> None:
    """Whoever comes second, also over another connection, is told the first one's."""
    first = authorized(counter)
    other = Store(tmp_path)
    assert store.decide(first) == first
    declined = replace(first, status=tap_pb2.TAP_STATUS_CUSTOMER_DECLINED, sealed=b"")
    assert store.decide(replace(first, sealed=b"another")) == first
    assert other.decide(declined) == first
    assert other.find(first.request_hash) == first
    other.close()


def test_the_first_receipt_stays(store: Store, counter: Counter) -> None:
    """And one for an unknown request is not kept."""
    decision = store.decide(authorized(counter))
    assert store.keep_receipt(decision.request_hash, b"first") == b"first"
    assert store.keep_receipt(decision.request_hash, b"second") == b"first"
    assert store.keep_receipt(bytes(32), b"stray") == b""


def test_the_newest_comes_first(store: Store, counter: Counter) -> None:
    """In the order of the decisions, whatever the clock said."""
    decisions = [store.decide(authorized(counter)) for _ in range(3)]
    counter.now_us -= 1
    decisions.append(store.decide(authorized(counter)))
    assert store.history(3) == decisions[:0:-1]
    assert store.find(bytes(32)) is None


def test_it_waits_for_the_disk(store: Store) -> None:
    """A rollback journal, synced with its folder: what was told survives a power cut."""
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (3,)
