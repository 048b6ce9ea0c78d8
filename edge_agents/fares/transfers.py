"""Transfer rules of Fares v2: which rule joins one ride to the next, and what that costs.

https://gtfs.org/documentation/schedule/reference/#fare_transfer_rulestxt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agents.fares.feed import FeedError, Row, whole_number
from edge_agents.fares.ride import Ride

_SECOND_US = 1_000_000
_UNLIMITED = 10**9

# What a duration_limit is measured between: the first ride and the last one.
_SPANS: dict[str, Callable[[Ride, Ride], int]] = {
    "0": lambda first, last: last.exit_us - first.entry_us,
    "1": lambda first, last: last.entry_us - first.entry_us,
    "2": lambda first, last: last.entry_us - first.exit_us,
    "3": lambda first, last: last.exit_us - first.exit_us,
}
# A + AB, A + AB + B, AB: whether the first ride and the last one are paid beside the transfer.
_PAID = {"0": (True, False), "1": (True, True), "2": (False, False)}


@dataclass(frozen=True, slots=True)
class TransferRule:
    """A rule from a leg group to another; `product` is "" if the transfer itself costs nothing.

    `pays_from` only counts for the first transfer of several: then all before it is paid already.
    """

    from_group: str
    to_group: str
    count: int
    limit_us: int
    span: str
    pays_from: bool
    pays_to: bool
    product: str

    @property
    def key(self) -> tuple[str, str]:
        """The groups that it is for, as the rule has them."""
        return self.from_group, self.to_group


class TransferRules:
    """The rows of fare_transfer_rules.txt; there may be none."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Read the table; FeedError or KeyError if it cannot be."""
        self._rules = [_read_rule(row) for row in rows]
        self._named_from = {rule.from_group for rule in self._rules}
        self._named_to = {rule.to_group for rule in self._rules}

    @property
    def products(self) -> set[str]:
        """The products of the rules."""
        return {rule.product for rule in self._rules} - {""}

    @property
    def groups(self) -> set[str]:
        """The leg groups that rules name."""
        return (self._named_from | self._named_to) - {""}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._rules)

    def key_of(self, from_group: str, to_group: str) -> tuple[str, str] | None:
        """What rules for a transfer between two groups say of their groups; None: there is none."""
        if not from_group or not to_group:
            return None
        key = (
            from_group if from_group in self._named_from else "",
            to_group if to_group in self._named_to else "",
        )
        return key if any(rule.key == key for rule in self._rules) else None

    def matching(
        self, key: tuple[str, str], count: int, first: Ride, last: Ride
    ) -> list[TransferRule]:
        """The rules of a key that take a transfer, the `count`th by that key since `first`."""
        rules = [
            rule
            for rule in self._rules
            if rule.key == key and count <= rule.count and _is_in_time(rule, first, last)
        ]
        fewest = min((rule.count for rule in rules), default=0)
        return [rule for rule in rules if rule.count == fewest]


def _is_in_time(rule: TransferRule, first: Ride, last: Ride) -> bool:
    return not rule.limit_us or _SPANS[rule.span](first, last) <= rule.limit_us


def _read_rule(row: Row) -> TransferRule:
    names = row.get("from_leg_group_id", ""), row.get("to_leg_group_id", "")
    limit, span = row.get("duration_limit", ""), row.get("duration_limit_type", "")
    if bool(limit) != bool(span):
        raise FeedError("a row of fare_transfer_rules.txt has one of duration_limit and type alone")
    if span and span not in _SPANS:
        raise FeedError(f'"{span}" in fare_transfer_rules.txt is no duration_limit_type')
    if row["fare_transfer_type"] not in _PAID:
        raise FeedError(f'"{row["fare_transfer_type"]}" in fare_transfer_rules.txt is no transfer')
    seconds = whole_number("fare_transfer_rules", row, "duration_limit") if limit else 0
    if limit and not seconds:
        raise FeedError("a duration_limit in fare_transfer_rules.txt is 0")
    pays = _PAID[row["fare_transfer_type"]]
    count = _read_count(row, names)
    return TransferRule(
        *names, count, seconds * _SECOND_US, span, *pays, row.get("fare_product_id", "")
    )


def _read_count(row: Row, names: Sequence[str]) -> int:
    """How often it may be used one after the other; 1 between groups that differ."""
    text = row.get("transfer_count", "")
    if names[0] != names[1]:
        if text:
            raise FeedError("a row of fare_transfer_rules.txt has a transfer_count between groups")
        return _UNLIMITED
    if not text and names[0]:
        raise FeedError(f'fare_transfer_rules.txt says of "{names[0]}" no transfer_count')
    if text in ("", "-1"):
        return _UNLIMITED
    count = whole_number("fare_transfer_rules", row, "transfer_count")
    if not count:
        raise FeedError("a transfer_count in fare_transfer_rules.txt is 0")
    return count
